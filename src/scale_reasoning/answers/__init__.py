"""Finds the final answer in a model's text and decides which answers are the same.

Decides what a box is, which part of an answer is only notation, and which numbers are equal (exactly, never by floats).
Does no algebra: `x+1` and `1+x` are two classes here, but equal for the symbolic grader.
"""

from __future__ import annotations

from scale_reasoning.answers.boxes import final_answer, last_box
from scale_reasoning.answers.classes import answer_class
from scale_reasoning.answers.compact import normalise
from scale_reasoning.answers.notation import MAX_CHARS
from scale_reasoning.answers.numbers import MAX_DIGITS, rational
from scale_reasoning.answers.stated import stated_answer

__all__ = [
    "MAX_CHARS",
    "MAX_DIGITS",
    "answer_class",
    "final_answer",
    "last_box",
    "normalise",
    "rational",
    "stated_answer",
]
