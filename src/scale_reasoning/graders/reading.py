r"""Finds the part of a text that is its answer, and spells it as LaTeX.

Reasoning is never searched. Of a model's boxes the last one counts; a gold answer's boxes next to each other are a
list. Knows no algebra and checks no answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from scale_reasoning.answers import MAX_CHARS, last_box
from scale_reasoning.answers.notation import plain
from scale_reasoning.types import THINK

TAIL_CHARS = 4_000
"""Only the end of prose without a box is searched: answers come last, and the search is not linear."""
MAX_BOXES = 100
"""The most boxes of a list that are read."""

Boxes = Literal["last", "listed"]
"""Which boxes count: the last one, or all that are next to each other, as a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A text with an answer: one expression in LaTeX (`bare`), or prose that contains one."""

    text: str
    bare: bool


def drop_reasoning(text: str) -> str:
    """The text after the reasoning; empty when it was cut off inside a thought."""
    opens, closes = THINK
    return text.rpartition(closes)[2].partition(opens)[0].strip()


def read(text: str, boxes: Boxes) -> tuple[Reading, ...]:
    """The readings of a text, which may be a bare answer; the first that parses is its answer.

    The last box counts, unless a "final answer is" comes after it.
    """
    box = last_box(text)
    if box is None:
        return _read_unboxed(text)
    answer = text[box] if boxes == "last" else ", ".join(_list_boxes(text))
    boxed = Reading(text=_DOLLAR.sub("", answer).strip(), bare=True)
    after = text[box.stop :]
    late = _DECLARED.search(after)
    return (Reading(text=after[late.start() :][:TAIL_CHARS], bare=False), boxed) if late else (boxed,)


def _list_boxes(text: str) -> list[str]:
    """The last box and those just before it, separated only by commas, "and" and labels (`y_1 =`)."""
    answers: list[str] = []
    while len(answers) < MAX_BOXES and (box := last_box(text)):
        if answers and not _BETWEEN.fullmatch(text[box.stop :]):
            break
        answers.insert(0, text[box])
        text = text[: text.rindex("\\", 0, box.start)].rstrip("\\")
    return answers


_DOLLAR = re.compile(r"(?<!\\)\$")
_DECLARED = re.compile(r"final answer\b[^.\n]{0,100}?(?:\bis\b|:)", re.IGNORECASE)
_BETWEEN = re.compile(r"\}(?:[\s,;$]|\\q?quad|\\[,;: ()]|\\text\s*\{\s*(?:and|or)\s*\}|and|or|[A-Za-z](?:_\w)?\s*=)*+")
_PROSE = re.compile(r"[$\n]|\\[(\[]|(?<![A-Za-z])[A-Za-z]{2,}+(?:\s*:|\s+[A-Za-z]{2})")
_SPAN = re.compile(r"\$([^$\n]+)\$|\\\(([^\n]+?)\\\)")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+")


def _read_unboxed(text: str) -> tuple[Reading, ...]:
    prose = Reading(text=text[-TAIL_CHARS:], bare=False)
    if len(text) > MAX_CHARS:
        return (prose,)
    if span := _SPAN.fullmatch(text):
        return Reading(text=span[1] or span[2], bare=True), prose
    if not text or _PROSE.search(_TEXT.sub(" ", text)):
        return (prose,)
    return Reading(text=text, bare=True), prose


_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:mathrm|text)\s*\{([eid])\}", r"\1 "),
        (r"(?<=[0-9])i(?![A-Za-z])", " i"),  # math-verify sees an imaginary unit only where it stands alone
        (r"(?<![\\^])\*", r"\\cdot "),
        (r"(?<![\\A-Za-z])(sin|cos|tan|cot|sec|csc|log|ln|exp|pi|infty)(?![A-Za-z])", r"\\\1 "),
    )
)
_SIDE_BY_SIDE = re.compile(r"\)\s*\(")
_APPROXIMATELY = re.compile(r"\\approx|≈")
_ASSIGNMENTS = re.compile(r"\s*\w+\s*=[^=,;]+(?:,\s*\w+\s*=[^=,;]+)+")
_AND = re.compile(r"(?:\\quad|\s|,)*(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)(?:\\quad|\s)*")


def to_latex(expression: str) -> str:
    """The expression with typed notation (`sqrt(2)`, `x**(n+1)`, `2*pi`) spelled as LaTeX."""
    expression = plain(_drop_approximation(expression).replace("**", "^"))
    if "," not in expression:
        expression = _SIDE_BY_SIDE.sub(r")\\cdot(", expression)  # math-verify reads (3)(4) as a mixed number
    for pattern, spelling in _SPELLINGS:
        expression = pattern.sub(spelling, expression)
    solutions = _AND.split(expression)
    if len(solutions) > 1 and all(_ASSIGNMENTS.fullmatch(solution) for solution in solutions):
        return ";".join(solutions)  # "p = 5, q = 2 and p = 7, q = 2": "and" binds looser than the comma
    return expression


def _drop_approximation(expression: str) -> str:
    """The exact value without the approximation that follows it."""
    approximations = list(_APPROXIMATELY.finditer(expression))
    exact = expression[: approximations[-1].start()].rstrip() if approximations else ""
    return exact if re.search("[0-9]", exact) else expression
