"""The tokens that a server counted for a reply, in any dialect of `usage`.

Decides which counts are true: a count that cannot be read is unknown, never zero, and reasoning that is counted in
addition to the completion is added to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scale_reasoning.engines.values import value_at
from scale_reasoning.types import JSON, Usage

LARGEST = 10**12
"""Tokens; a larger count is unknown."""

_PROMPT = (("prompt_tokens",), ("input_tokens",))
_COMPLETION = (("completion_tokens",), ("output_tokens",), ("generated_tokens",))
_REASONING = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "thinking_tokens"),  # Anthropic
    ("reasoning_tokens",),
)
_CACHED = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),  # DeepSeek
    ("cached_tokens",),  # Moonshot
    ("cache_read_input_tokens",),  # Anthropic
)
_DIGITS = re.compile(r"\s*([0-9]{1,12})(?:\.0*)?\s*")


@dataclass(slots=True, kw_only=True)
class Counts:
    """The counts of one `usage` object, None where it has none that can be read."""

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    total: int | None = None

    def add(self, later: Counts) -> None:
        """Adds a later `usage` of the same reply: its counts replace earlier ones, unless they are zero or missing."""
        grown = bool(later.completion) or (later.total or 0) > (later.prompt or self.prompt or 0)
        if grown or self.completion is None:
            self.completion, self.total = later.completion, later.total
            self.reasoning = self.reasoning if later.reasoning is None else later.reasoning
        self.prompt = later.prompt or self.prompt
        self.cached = later.cached or (self.cached if later.cached is None else self.cached or 0)

    @property
    def reasoning_is_apart(self) -> bool:
        """Whether reasoning is counted in addition to the completion tokens (xAI, Gemini)."""
        return self.completion is not None and (_count_new(self) or 0) > self.completion

    def usage(self, *, empty: bool) -> Usage:
        """The usage of the reply. `empty`: it has no text, so zero tokens can be true.

        A prompt has tokens, and so has a reply with text: a server that says zero does not count.
        """
        prompt, completion = self.prompt or None, _count_new(self)
        if not completion and not empty:
            completion = None
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            reasoning_tokens=self.reasoning or (None if completion is None else self.reasoning),
            cached_tokens=self.cached or (None if prompt is None else self.cached),
        )


def read_counts(usage: JSON) -> Counts:
    """The counts of a `usage` object; all unknown when it is no object."""
    return Counts(
        prompt=_count_prompt(usage),
        completion=_find(usage, _COMPLETION),
        reasoning=_find(usage, _REASONING),
        cached=_find(usage, _CACHED),
        total=_find(usage, (("total_tokens",),)),
    )


def _count_prompt(usage: JSON) -> int | None:
    """All prompt tokens: Anthropic's `input_tokens` lack those that its cache was read for or written with."""
    prompt = _find(usage, _PROMPT)
    if prompt is None or value_at(usage, "prompt_tokens") is not None:
        return prompt
    apart = (_find(usage, ((key,),)) for key in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return prompt + sum(filter(None, apart))


def _count_new(counts: Counts) -> int | None:
    """All new tokens. Where the total has more than the completion, the rest is reasoning."""
    completion, reasoning = counts.completion, counts.reasoning
    if counts.total and counts.prompt:
        new = counts.total - counts.prompt
        apart = new - (completion or 0)
        # A total may also include tokens from a cache, which are not new.
        if apart > 0 and (not completion or apart == reasoning or (reasoning is None and not counts.cached)):
            return new
    elif completion is not None and reasoning is not None and reasoning > completion:
        return completion + reasoning
    return completion


def _find(usage: JSON, paths: tuple[tuple[str, ...], ...]) -> int | None:
    """The first count at one of these paths."""
    counts = (_count(value_at(usage, *path)) for path in paths)
    return next((count for count in counts if count is not None), None)


def _count(value: JSON) -> int | None:
    """A number of tokens, also written as `10.0` or `"10"`; None for anything else."""
    if isinstance(value, str):
        digits = _DIGITS.fullmatch(value)
        return int(digits[1]) if digits else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < LARGEST else None
