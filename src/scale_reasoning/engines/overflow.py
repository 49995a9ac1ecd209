"""What a refusal says about the window: whether prompt and reply do not fit, and with which numbers.

Pure. Knows the words of the servers; fit.py decides how many tokens to ask for instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from scale_reasoning.errors import ContextOverflow

_NUMBER = r"(\d{1,3}(?:,\d{3})+(?!\d)|\d+)"


def _patterns(*words: str) -> tuple[re.Pattern[str], ...]:
    """Patterns in which # is a number; the first that matches counts."""
    return tuple(re.compile(word.replace("#", _NUMBER), re.IGNORECASE) for word in words)


_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|context[ _](?:size|window|length|limit)|maximum context"
    r"|max_(?:model|seq)_len|max_(?:total|num)_tokens|maximum (?:model|prompt|input|sequence) length"
    r"|\b(?:prompt|inputs?|messages?)\b[^.]{0,40}\btoo (?:long|large|many)\b|too many (?:input )?tokens"
    r"|longer than the (?:model|maximum)|\b(?:input|prompt) (?:token )?(?:length|count)|`max_new_tokens` must be"
    r"|reduce the length of the|maximum number of (?:input )?tokens|max_tokens must be at least 1, got"
    r"|must have less than \d+ tokens|prompt exceeds|sequence length|exceeded model token limit",
    re.IGNORECASE,
)
_CAP = re.compile(
    r"at most [\d,]+ (?:completion|output) tokens|allowed number of output tokens|maximum (?:output|completion) tokens"
    r"|max_?output_?tokens|range of max_|maximum value for .?max_|string too long|per (?:minute|day|hour)\b|\bTPM\b"
    r"|rate.limit",
    re.IGNORECASE,
)
"""Limits of replies, rates or texts: they do not mean that a prompt is too long."""

_WINDOW = _patterns(
    r"context limit: [\d,]+ \+ [\d,]+ > #",
    r"context[ _](?:length|size|window|limit) \([\d,]+ > #",
    r"n_ctx\W{1,6}#",
    r"max_(?:model_len|seq_len|(?:total|num)_tokens)[^\d.;]{0,30}#",
    r"context[ _](?:length|size|window|limit)(?: is only| of only| is| of|:|=)? ?\(?#",
    r"# (?:tokens? )?maximum context length",
    r"maximum (?:model|prompt|sequence|allowed|input) length(?: is| of|:)? ?\(?#",
    r"tokens? > #(?: tokens)? maximum",
    r"max_new_tokens`? must be <= #",
    r"must have less than # tokens",
    r"tokens allowed:? ?\(?#",
    r"input length should be \[\d+, ?#",
    r"cannot exceed #",
    r"sequence length is (?:just )?#",
    r"while limit is #",
    r"token limit: #",
    r"limit of #",
    r"[\d,]+ > #\b",
)
_AT_LEAST = _patterns(r"at least # input tokens", r"at least # tokens in the (?:prompt|input)")
_PROMPT = _patterns(
    r"# (?:tokens )?(?:in|from|of) (?:the |your )?(?:messages|prompt|input|text input)",
    r"(?:has|passed|contains?|with) # (?:input |prompt )?tokens",
    r"n_prompt_tokens\W+#",
    r"n_keep\W+#",
    r"context limit: # \+",
    r"given: # `inputs`",
    r"(?:resulted in|too long:|input|request|prompt) ?\(?# ?(?:tokens|,|>|input)",
    r"(?:prompt|input) ?\(?(?:total )?length:? ?\(?#",
    r"token count (?:of |is )?\(?#",
    r"\bprompt \(#\)",
    r"\(# > \d",
    r"prompt is # tokens long",
)


def read_overflow(status: int | None, text: str, message: str) -> ContextOverflow | None:
    """The overflow that a response with this status and text reports, with this message; None where it reports none.

    Some proxies send a 400 as a 500, so a 500 counts when it names a window.
    """
    if not _OVERFLOW.search(text) or status not in (None, 400, 413, 422, 500):
        return None
    window = _find_number(_WINDOW, text)
    if (window is None or status == 413) and _CAP.search(text) and "context_length_exceeded" not in text:
        return None
    if status == 500 and window is None:
        return None
    at_least = _find_number(_AT_LEAST, text)
    counted = None if at_least is not None else _find_number(_PROMPT, text)
    return ContextOverflow(message, counted, window, at_least)


_VLLM_015 = re.compile(r"request has \d+ input tokens\. Please reduce the length of the input")


def correct_window(error: ContextOverflow, max_tokens: int | None) -> ContextOverflow:
    """The overflow with its true window: vLLM 0.15 reports the window without the `max_tokens` of the request."""
    counted, window = error.prompt_tokens, error.window
    if max_tokens is None or window is None or counted is None or not _VLLM_015.search(error.said):
        return error
    whole = ContextOverflow(error.message, counted, window + max_tokens)
    whole.said = error.said
    return whole


def _find_number(patterns: Iterable[re.Pattern[str]], text: str) -> int | None:
    found = next((match for pattern in patterns if (match := pattern.search(text))), None)
    return int(found.group(1).replace(",", "")) if found else None
