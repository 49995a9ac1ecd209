"""What an endpoint's answers prove about it: each ability a finding, each lack with its cost and its mend.

Pure. Decides which evidence counts (a token count can betray hidden reasoning) and what to advise; refuses to know how
the answers were had (engines.probe) and how findings are shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import msgspec

from scale_reasoning.engines.adapting import Adaptation
from scale_reasoning.engines.refusals import one_line
from scale_reasoning.errors import Rejected
from scale_reasoning.profiles import ModeProfile, Profile
from scale_reasoning.types import JSON, Completion, Usage

Verdict: TypeAlias = Literal["yes", "no", "unknown"]

SPARE_TOKENS = 16
"""Tokens that may go into a reply without showing in it: its end, a template's marks."""

_MARK = re.compile(r"</?(?:\w+:)?think(?:ing)?>|\[/?THINK\]|<\|channel\|>|◁/?think▷", re.IGNORECASE)
"""How families write the bounds of a thought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`found` is what was seen, on one line; `cost` and `fix` say what a lack costs and how to mend it."""

    name: str
    verdict: Verdict
    found: str
    cost: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One reply: how many pieces it came in, the seconds until the first of them, and until it was whole."""

    completion: Completion
    pieces: int
    silence: float
    seconds: float


def yes(found: str) -> Finding:
    """An ability; the caller names it."""
    return Finding(name="", verdict="yes", found=found)


def no(found: str, cost: str, fix: str) -> Finding:
    """A lack; the caller names it."""
    return Finding(name="", verdict="no", found=found, cost=cost, fix=fix)


def unknown(found: str, cost: str = "", fix: str = "") -> Finding:
    """Neither shown nor refuted; the caller names it."""
    return Finding(name="", verdict="unknown", found=found, cost=cost, fix=fix)


def profile(family: Profile, asked: str, *, named: bool) -> Finding:
    """Which family the model is spoken to as; `named` when the user said so."""
    if family.name == "instruct" and not named:
        return unknown(
            f"instruct, the fallback: no family matches {one_line(asked)}",
            "if the model can think, nothing switches that: a sentence in the prompt stands in",
            "--profile NAME if its family is known (see docs/engines.md), or a family of your own: --profiles FILE",
        )
    return yes(f"{family.name}{' (as told)' if named else ''}")


def thought(completion: Completion) -> str:
    """The evidence that a reply was reasoned about, "" when there is none."""
    usage, text = completion.usage, completion.text
    if mark := _MARK.search(text):
        return f"{mark.group()} in the text"
    if words := len(completion.reasoning.split()):
        return f"{words:,} words of reasoning"
    if usage.reasoning_tokens:
        return f"{usage.reasoning_tokens:,} reasoning tokens"
    size = len(text.encode())
    if usage.completion_tokens and usage.completion_tokens > size + SPARE_TOKENS:  # no token is less than a byte
        return f"{usage.completion_tokens:,} tokens for a text of {size} bytes: hidden reasoning"
    return "no text at all before the limit: hidden reasoning" if completion.cut_off and not text.strip() else ""


def leak(replies: Sequence[Completion], spoken: ModeProfile) -> Finding:
    """Whether System 1 is really off, from its replies to small sums."""
    evidence = [found for reply in replies if (found := thought(reply))]
    if evidence:
        swallowed = all(not reply.text.strip() and not reply.cut_off for reply in replies)
        return no(
            f"{evidence[0]} ({len(evidence)} of {len(replies)} replies)",
            "easy steps pay for thoughts: SCALE's saving is lost, and figures by mode mean nothing",
            "the answer itself comes as reasoning: start the server with the parser of this family, or a newer server"
            if swallowed
            else _switch_off(spoken),
        )
    if all(reply.cut_off for reply in replies):
        return unknown("no marks of reasoning, but every reply to a small sum was cut off: it may think aloud")
    return yes(f"none in {len(replies)} replies")


def _switch_off(spoken: ModeProfile) -> str:
    if "chat_template_kwargs" in spoken.extras:
        return (
            "the server or its chat template ignores chat_template_kwargs: use the model's own template (vLLM, SGLang; "
            "llama.cpp with --jinja), with no proxy that drops the key; or --system1-model with one that does not think"
        )
    if spoken.extras:
        return f"{', '.join(spoken.extras)} does not turn it off: --system1-model with one that does not think"
    return "the model thinks unasked: --profile NAME of its family, or --system1-model with one that does not think"


def reasons(reply: Completion, spoken: ModeProfile) -> Finding:
    """Whether System 2 thinks, from its reply to a sum worth a thought."""
    if evidence := thought(reply):
        return yes(evidence)
    if not spoken.extras and not spoken.starts_thinking:
        return unknown("no reasoning apart from the text: no switch, a sentence in the prompt stands in for one")
    return no("no reasoning, apart or in the text", THOUGHTLESS, switch_on(spoken))


def refused_first(refusal: Rejected, spoken: ModeProfile) -> str:
    """What to do where the very first chat is refused."""
    if refusal.status in (400, 422) and spoken.extras:
        return f"if {', '.join(spoken.extras)} is what it refuses, this is not the server's family: --profile NAME"
    return "--base-url (ends in /v1?), --model and --api-key-env must be the server's"


THOUGHTLESS = "hard steps are answered without thinking: System 2 is System 1 at its price"


def switch_on(spoken: ModeProfile) -> str:
    """What to do where System 2 does not think."""
    if "chat_template_kwargs" in spoken.extras:
        return (
            "the server or its chat template ignores chat_template_kwargs: use the model's own template "
            "(llama.cpp: --jinja), and vLLM's or SGLang's --reasoning-parser (qwen3 for Qwen3)"
        )
    keys = ", ".join(spoken.extras)
    asked = f"the server ignores {keys} or hides the thought" if keys else "the server may hide the thought"
    return f"{asked}; is it the family's own model? --profile NAME"


def schema(text: str, key: str) -> bool:
    """Whether a text is the JSON object asked for: one integer at `key`, and nothing else."""
    try:
        body = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return isinstance(body, dict) and [*map(type, cast("dict[str, JSON]", body).values())] == [int] and key in body


_COSTS = {
    "seed": "a run asked anew gives other texts (the journal still replays what was paid for)",
    "stream_options": "tokens may not be counted: reports and comparisons show unknown then",
    "the system role": "nothing, if the model heeds a user turn as it would a system prompt",
    "stream": "a reply must be whole within --first-byte-timeout, and the live view stands still",
    "max_tokens": "longer replies are cut off there",
    "max_completion_tokens": "longer replies are cut off there",
}


def keys(found: Sequence[Adaptation]) -> Finding:
    """Which of a request's keys the server refuses, and what was done about each."""
    if not found:
        return yes("every key that was sent is taken")
    lost = any(each.lost_switch for each in found)
    costs = dict.fromkeys(_cost_of(each) for each in found)
    costs.pop("", None)
    return no(
        "refused: " + "; ".join(each.told.partition(" refuses ")[2].partition(", and a sentence")[0] for each in found),
        "; ".join(costs) or "nothing",
        "--profile NAME of another family, --system1-model, or a server that takes the switch"
        if lost
        else "nothing must be done: what is refused is changed in every request, and a run's manifest keeps it",
    )


def _cost_of(adaptation: Adaptation) -> str:
    if adaptation.lost_switch:
        return "System 1 and System 2 may be answered alike, at one price"
    if adaptation.key == "response_format":
        return UNSTRUCTURED
    if " is sent as " in adaptation.told:
        return ""
    return _COSTS.get(adaptation.key, "replies are drawn by the server's own sampling")


UNSTRUCTURED = "plain text with repair is used: now and then a call more, or a candidate lost"


def choices(count: int, refusal: str = "") -> Finding:
    """Whether one request for two replies had two, or was refused."""
    if count == 2:
        return yes("two choices in one reply")
    return no(
        f"refused: {refusal}" if refusal else f"{count} for n = 2",
        "nothing: SCALE sends separate requests, each with a seed of its own",
        "nothing to do",
    )


def seed(first: str, again: str, other: str) -> Finding:
    """Whether a seed decides the text, from two replies to one seed and one to another."""
    if not first and not again:
        return unknown("the replies were empty")
    if first != again:
        return no(
            "one seed gave two texts",
            "a run asked anew gives other texts (the journal still replays what was paid for)",
            "vLLM: VLLM_BATCH_INVARIANT=1 where the card allows it; hosted models promise no better",
        )
    if first == other:
        return no(
            "another seed gave the same text",
            "candidates and votes may all be alike: sampling buys nothing",
            "is sampling on? --temperature 1; does a proxy answer from its cache?",
        )
    return yes("one seed one text, another seed another")


def usage(replies: Sequence[Completion], *, reasoning_is_apart: bool = False) -> Finding:
    """Which tokens the server counts, from all that it replied; whether reasoning in addition to the completion."""
    counted = {
        "prompt": _counted([reply.usage.prompt_tokens for reply in replies]),
        "completion": _counted([reply.usage.completion_tokens for reply in replies]),
        "reasoning": _counted([reply.usage.reasoning_tokens for reply in replies if thought(reply)]),
    }
    found = ", ".join(f"{'' if there else 'no '}{name}" for name, there in counted.items() if there is not None)
    if not (counted["prompt"] and counted["completion"]):
        return no(
            f"{found} tokens",
            "costs cannot be told: reports and comparisons show unknown",
            "the server must heed stream_options.include_usage; a proxy in between may drop it",
        )
    if counted["reasoning"] is False:
        return no(
            f"{found} tokens",
            "thoughts are counted within the completion and not apart",
            "a recent vLLM or SGLang with --reasoning-parser counts them; otherwise nothing to do",
        )
    apart = ", reasoning in addition to the completion: it is added" if reasoning_is_apart else ""
    return yes(f"{found} tokens{apart}")


def _counted(counts: Sequence[int | None]) -> bool | None:
    return all(count is not None for count in counts) if counts else None


def cached(second: Usage) -> Finding:
    """Whether a prompt's beginning is read from a cache, from the usage of the second call that shares it."""
    if second.cached_tokens:
        total = "" if second.prompt_tokens is None else f" of {second.prompt_tokens:,}"
        return yes(f"{second.cached_tokens:,}{total} prompt tokens")
    if second.cached_tokens is None:
        return no(
            "not reported",
            "what prefix caching saves stays unseen; it may be at work all the same",
            "vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report",
        )
    return no(
        "0 tokens of a prompt that shared its beginning",
        "every step reads its whole context anew: time and money that grow with each step",
        "vLLM: --enable-prefix-caching; SGLang: no --disable-radix-cache; llama.cpp: no --no-cache-prompt",
    )


def streaming(replies: Sequence[Heard]) -> Finding:
    """Whether replies come in pieces."""
    most = max((reply.pieces for reply in replies), default=0)
    if most > 1:
        return yes(f"{most} pieces in one reply")
    sizes = [reply.completion.usage.completion_tokens or len(reply.completion.text.split()) for reply in replies]
    if max(sizes, default=0) <= 8:
        return unknown("every reply was too short to tell")
    return no(
        "whole replies at once",
        "the live view stands still, and a long thought looks like a dead server",
        "a proxy may buffer (nginx: proxy_buffering off); else raise --first-byte-timeout",
    )
