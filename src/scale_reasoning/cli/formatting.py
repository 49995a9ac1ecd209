"""How the live view words strategies, modes, texts and costs."""

from __future__ import annotations

from collections import Counter

from scale_reasoning.events import Routed
from scale_reasoning.lm import Strategy
from scale_reasoning.printable import count
from scale_reasoning.strategies import describe, label
from scale_reasoning.types import Mode, Record, Stage, Usage

MODES = {Mode.SYSTEM1: "System 1", Mode.SYSTEM2: "System 2"}
STAGES = {
    Stage.DECOMPOSE: "decomposing",
    Stage.SELECT: "comparing the candidates",
    Stage.ASSESS: "assessing",
    Stage.SUMMARISE: "summarising",
    Stage.SOLVE: "solving",
}


def format_strategy(strategy: Strategy) -> str:
    """A strategy's name, and the options that tell it from others."""
    described = describe(strategy)
    return ", ".join([str(described["name"]), *(f"{key} {value}" for key, value in label(described).items())])


def draw_bar(difficulty: float, width: int = 10) -> str:
    """A difficulty as a bar."""
    full = round(difficulty * width)
    return "█" * full + "░" * (width - full)


def format_difficulty(event: Routed) -> str:
    """A difficulty with its bar, and its source if it is not the rating that the model says."""
    if event.difficulty is None:
        return "not assessed"
    source = event.assessment.unusual_source if event.assessment else ""
    return f"difficulty {event.difficulty:.2f} {draw_bar(event.difficulty)}{f' ({source})' if source else ''}"


def indent(text: str) -> str:
    """The text with two spaces before each line that is not empty."""
    return "\n".join(f"  {line}" if line.strip() else "" for line in text.splitlines())


def count_words(text: str) -> str:
    """`1,234 words`."""
    return count(len(text.split()), "word")


def count_tokens(usage: Usage) -> str:
    """`1,234 tokens` of replies."""
    return "? tokens" if usage.completion_tokens is None else count(usage.completion_tokens, "token")


def format_cost(record: Record) -> str:
    """Calls and tokens by mode, prompts, seconds."""
    calls = Counter(call.mode for call in record.calls)
    by_mode = [
        f"{MODES[mode]}: {count(calls[mode], 'call')}, {count_tokens(record.usage.by_mode[mode])}" for mode in Mode
    ]
    total = record.usage.total
    prompt = "?" if total.prompt_tokens is None else f"{total.prompt_tokens:,}"
    cached = "" if total.cached_tokens is None else f" ({total.cached_tokens:,} cached)"
    return "cost    " + "; ".join([*by_mode, f"prompts {prompt} tokens{cached}", f"{record.seconds:.1f} s"])
