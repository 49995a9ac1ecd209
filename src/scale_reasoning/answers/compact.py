r"""Normalises an answer to compare it letter by letter: without spaces, fonts, units or introductory words."""

from __future__ import annotations

import re

from scale_reasoning.answers.boxes import final_answer
from scale_reasoning.answers.notation import MAX_CHARS, closing_bracket, plain
from scale_reasoning.answers.units import class_value
from scale_reasoning.answers.wording import drop_lead

_FONT = re.compile(r"\\(?:text|mbox|mathrm|textrm|textbf|textit|operatorname)\{([^{}]*)\}")
_LOOSE_SPACE = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")
_SPACE_AFTER_COMMAND = re.compile(r"(\\[A-Za-z]+) (?![A-Za-z])")
_LIST_OF_NUMBERS = re.compile(r"[+-]?[0-9]{1,3}(?:, ?[0-9]{3})+")
_DIGITS = re.compile(r"-?[0-9]+", re.ASCII)
_OVER_ONE = re.compile(r"\\frac\{([0-9]+)\}\{1\}|(?<![0-9./])([0-9]+)/1(?![0-9./])")


def normalise(answer: str) -> str:
    r"""The answer without notation that has no meaning: delimiters, spacing, `\left`, `\dfrac`, fonts, units after a
    number, degree signs, a full stop. The result is for comparing, not for showing.
    """
    if len(answer) > MAX_CHARS or _DIGITS.fullmatch(answer):
        return answer.strip()
    text = plain(final_answer(answer) or answer)
    return text if _DIGITS.fullmatch(text) else compact(class_value(text))


def compact(text: str) -> str:
    """As `normalise`, for a text in plain notation without its unit."""
    text = _FONT.sub(r" \1 ", text).replace(r"^\circ", "").replace(r"\$", "").replace(r"\equiv", "=")
    text = " ".join(drop_lead(text).split()).strip(" *`")
    if _LIST_OF_NUMBERS.fullmatch(text):
        return text
    text = _OVER_ONE.sub(r"\1\2", _LOOSE_SPACE.sub("", _SPACE_AFTER_COMMAND.sub(r"\1", text)))
    while text[:1] in ("(", "{") and closing_bracket(text, 0) == len(text) - 1 and not re.search(r"[,;]", text):
        text = text[1:-1]
    return text
