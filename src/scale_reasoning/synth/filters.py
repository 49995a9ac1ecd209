"""Which attempts become training rows: the funnel's stages, their order and their limits.

Decides what each stage asks of an attempt and says in whole sentences why one is dropped. Loops, duplicates and
contamination have files of their own; nothing here counts or keeps.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias, get_args

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth import contamination, duplicates, repetition
from scale_reasoning.synth.contamination import Lists
from scale_reasoning.synth.funnel import Candidate, Stage
from scale_reasoning.synth.trace import chain_of
from scale_reasoning.types import THINK, Problem, Solution
from scale_reasoning.types import Stage as Purpose

Choice: TypeAlias = Literal["fewest", "most", "first", "all"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

CHARACTERS_A_TOKEN = 3.0
"""Where a server did not count. SmolLM2's tokens have 2.6 in formulae, 3.0 in contest problems and 3.9 in prose."""
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What is asked of a training row.

    `max_tokens` is of the response; the default is LIMO's cut-off length. `choose` says which of a problem's samples
    stays, by tokens or the first. `target` is the most rows wanted, None for all. `against` has further lists of
    problems, by name, that no row may come from; `allowed` names the benchmarks that rows may come from. Raises
    `ConfigError` for a setting out of range.
    """

    max_tokens: int = 16_384
    choose: Choice = "fewest"
    target: int | None = None
    against: Lists = field(default_factory=dict[str, Sequence[Problem]])
    allowed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.choose not in CHOICES:
            raise ConfigError(f"choose: {self.choose!r} is none of {', '.join(CHOICES)}")
        for name, value in (("max_tokens", self.max_tokens), ("target", self.target)):
            if value is not None and value < 1:
                raise ConfigError(f"{name}: must be at least 1, not {value}")


def stages(settings: Filters) -> Mapping[str, Stage]:
    """The stages in their order: what one attempt is, then which of a problem's, then which problems."""
    return {
        "answered": _each(unanswered),
        "correct": _each(wrong),
        "complete": _each(cut_off),
        "repetition": _each(lambda candidate: repetition.reason(candidate.text)),
        "tags": _each(tagged),
        "length": _each(partial(too_long, max_tokens=settings.max_tokens)),
        "one a problem": partial(one_a_problem, choose=settings.choose),
        "duplicates": duplicates.stage,
        "contamination": contamination.stage(settings.against, settings.allowed),
        **({} if settings.target is None else {"target": partial(beyond, target=settings.target)}),
    }


def _each(reason: Callable[[Candidate], str | None]) -> Stage:
    return lambda candidates: [reason(candidate) for candidate in candidates]


def unanswered(candidate: Candidate) -> str | None:
    """Asks for a solution with an answer, and no failure of the world or the model."""
    record = candidate.record
    if record.failure is not None:
        return f"the {record.failure.blame}'s failure ({record.failure.kind}): {record.failure.message}"
    if record.solution is None or not candidate.text.strip():
        return "it has no solution"
    return None if record.solution.answer is not None else "its solution has no final answer"


def wrong(candidate: Candidate) -> str | None:
    """Asks for an answer that was graded right."""
    gold, record = candidate.problem.answer, candidate.record
    if gold is None:
        return "its problem has no gold answer to compare with"
    if record.grade is None:
        return "its answer was not graded"
    if record.grade.correct:
        return None
    answer = record.solution.answer if record.solution else None
    why = f" ({record.grade.reason})" if record.grade.reason else ""
    return f"its answer is {_shown(answer)}, the gold answer is {_shown(gold)}{why}"


def cut_off(candidate: Candidate) -> str | None:
    """Asks that every step ended by itself: a forced answer hides that the thought before it was cut off."""
    chain = _place(candidate.record.solution)
    for call in candidate.record.calls:
        if call.finish_reason == "length" and call.stage is Purpose.SOLVE and call.path.startswith(chain):
            return f"the call {call.path} was cut off by its token limit"
    steps = chain_of(candidate.record)
    short = [number for number, step in enumerate(steps, 1) if step.finish_reason == "length"]
    return f"step {short[0]} of {len(steps)} was cut off by its token limit" if short else None


def _place(solution: Solution | None) -> str:
    """Where in an attempt's paths the trace was made: in the chain that won a vote, else anywhere."""
    if solution is None or not solution.chains or solution.selected is None:
        return ""
    return f"chain{solution.selected + 1}/"


_THINK = re.compile("|".join((*THINK, "<thinking>", "</thinking>")), re.IGNORECASE)
_CONTROL = re.compile(
    r"<[|\uff5c][a-z][\w\u2581 .:-]{2,40}[|\uff5c]>|</?s>|<<?/?SYS>>?|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS)\]"
    r"|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk|mask)>",
    re.IGNORECASE,
)


def tagged(candidate: Candidate) -> str | None:
    """Asks that a trace opens and closes its thought once at most, and that no text is a chat template's."""
    for what, text in (("its trace", candidate.text), ("its problem", candidate.problem.text)):
        if control := _CONTROL.search(text):
            return f"{what} holds the control token {control.group()}"
    tags = _THINK.findall(candidate.text)
    outer = tags == list(THINK) and candidate.text.lstrip().startswith(THINK[0])
    if _THINK.search(candidate.problem.text):
        return "its problem holds a thinking tag"
    return None if outer or not tags else f"its trace holds {len(tags)} thinking tags: {' '.join(tags[:6])}"


def too_long(candidate: Candidate, max_tokens: int) -> str | None:
    """Asks for a response within `max_tokens`."""
    tokens = length(candidate)
    if tokens <= max_tokens:
        return None
    return f"{_counted(candidate)}, at most {max_tokens:,} are wanted"


def length(candidate: Candidate) -> int:
    """Response tokens as the server counted them, else an estimate from the trace's characters."""
    if candidate.tokens is not None:
        return candidate.tokens
    return round(len(candidate.text) / CHARACTERS_A_TOKEN)


def _counted(candidate: Candidate) -> str:
    if candidate.tokens is not None:
        return f"{candidate.tokens:,} tokens"
    return (
        f"about {length(candidate):,} tokens (an estimate: {len(candidate.text):,} characters, "
        f"{CHARACTERS_A_TOKEN:g} a token)"
    )


def one_a_problem(candidates: Sequence[Candidate], choose: Choice) -> list[str | None]:
    """Keeps one of each problem's attempts, or all of them; of equals, the earlier sample."""
    if choose == "all":
        return [None] * len(candidates)
    rank = _RANKS[choose]
    groups: defaultdict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.dataset, candidate.problem.id].append(candidate)
    best = {key: min(group, key=rank) for key, group in groups.items()}
    reasons: list[str | None] = []
    for candidate in candidates:
        kept = best[candidate.dataset, candidate.problem.id]
        reasons.append(None if candidate is kept else _beaten(candidate, kept, choose))
    return reasons


_RANKS: Mapping[Choice, Callable[[Candidate], tuple[int, int]]] = {
    "fewest": lambda candidate: (length(candidate), candidate.record.attempt.sample),
    "most": lambda candidate: (-length(candidate), candidate.record.attempt.sample),
    "first": lambda candidate: (candidate.record.attempt.sample, 0),
}


def _beaten(candidate: Candidate, kept: Candidate, choose: Choice) -> str:
    return (
        f"sample {kept.record.attempt.sample} of its problem is kept ({choose}): {_counted(kept)}, "
        f"this one has {_counted(candidate)}"
    )


def beyond(candidates: Sequence[Candidate], target: int) -> list[str | None]:
    """Keeps the first `target`."""
    surplus = max(0, len(candidates) - target)
    return [None] * (len(candidates) - surplus) + [f"beyond the target of {target:,}"] * surplus


def _shown(answer: str | None) -> str:
    if answer is None:
        return "none"
    return answer if len(answer) <= LONGEST_SHOWN else f"{answer[:LONGEST_SHOWN]}..."
