r"""Finds the answer that a text without a box states in so many words: "the answer is 21", `= 36 metres.` at its end.

Decides what counts as a statement. Only the end of a text is searched, and only a result with a digit in it is taken:
anything else is left to a question. Knows no algebra and checks no answer.
"""

from __future__ import annotations

import re

TAIL_CHARS = 2_000
"""A statement is searched for in so many characters at the end of a text."""
MAX_RESULT = 100
"""Characters of the longest result."""

_DECLARED = re.compile(
    r"(?:\banswer\b[^.\n=:]{0,80}?(?:\bis\b|\bare\b|[:=])|(?:^|\n)#{4})(?:[\s:*=]|\$(?!\d)|\\[(\[])*"
    r"(?P<result>[^\n]+?)(?=\banswer\b|\n|$)",
    re.IGNORECASE,
)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_EQUATION = re.compile(r"(?<![!<>:])=(?P<result>[^=\n]+)$")
_APPROXIMATION = re.compile(r"(?:\\approx|≈)[^=]*$")
_NO_RESULT = re.compile(r"=[^=]*\band\b[^=]*=|\bwhere\b")
"""Two equations, or one that only defines a name."""
_AFTER = re.compile(r"[,;]\s|[.!](?=\s|$)|\s(?:because|since|which|so|as|when|where|after|and then)\s|\s[-–—(]\s?")  # noqa: RUF001
_MARKUP = re.compile(r"\\[\[\]()]|\*\*|`|\\(?:,|;|!|quad|displaystyle)(?![A-Za-z])")
_DOLLARS = re.compile(r"(?<!\\)\$(?!\s*\d[\d,.]*(?:\s|[.,]|$))")
_BARE = re.compile(r"[^\w\s]{0,3}\s*[-+]?\$?\s*\d[\d.,/:^%\s]*(?:\s*[A-Za-z²³°%/]+){0,3}[.\s]*")
_RESULT = re.compile(r"(?=.*\d)[^?]+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{2,}")
MOST_WORDS = 6
"""Words that a result may have, its units among them."""


def stated_answer(text: str) -> str | None:
    """The result that a text calls its answer, None if it states none. Linear in the length of the text.

    In this order: what comes after "answer is" or "answer:" (the last of them), a bold result in the last line, the
    right side of an equation that ends the text, and a text that is nothing but a result. Two results in the last line
    ("**3** and **4**", "A = 3 and B = 4") are no statement.
    """
    tail = text.strip()[-TAIL_CHARS:].replace("```", "")
    lines = [line.strip() for line in tail.splitlines() if line.strip(" \t\\[]()$`*")]
    if not lines:
        return None
    declared = [found["result"] for found in _DECLARED.finditer(tail)]
    if declared and (result := _as_result(_AFTER.split(_MARKUP.sub("", declared[-1]), maxsplit=1)[0])):
        return result
    last = lines[-1]
    bold = {result for each in _BOLD.findall(last) if (result := _as_result(each))}
    if len(bold) == 1:
        return bold.pop()
    equation = _EQUATION.search(_APPROXIMATION.sub("", _MARKUP.sub("", last)).rstrip(" .$"))
    if equation and not bold:
        return None if _NO_RESULT.search(last) else _as_result(equation["result"])
    if len(lines) == 1 and _BARE.fullmatch(_MARKUP.sub("", last)):
        return _as_result(last)
    return None


def _as_result(text: str) -> str | None:
    """The text as a bare result, None if it is none: no digit, too long or too many words."""
    result = _DOLLARS.sub("", _MARKUP.sub("", text)).strip(" \t\n.:*,;")
    if (
        len(result) > MAX_RESULT
        or result.count("{") != result.count("}")
        or not _RESULT.fullmatch(result)
        or len(_WORD.findall(result)) > MOST_WORDS
    ):
        return None
    left, equals, right = result.rpartition("=")
    return right.strip() if equals and not _WORD.search(left) and re.search(r"\d", right) else result
