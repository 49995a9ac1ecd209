"""Names the equivalence class of an answer, so that votes can be counted."""

from __future__ import annotations

import re

from scale_reasoning.answers.compact import normalise
from scale_reasoning.answers.notation import MAX_CHARS
from scale_reasoning.answers.numbers import rational_of
from scale_reasoning.answers.wording import FORMULA, read_wording

_ASSIGNED = re.compile(r"^[A-Za-z](?:_\w|\([a-z]\))?=(?=[^=]*$)")


def answer_class(answer: str) -> str:
    """The name of the answer's equivalence class: answers with equal names are equal. Defined for any text, and fast.

    The name of a number is its exact value (`1/2`, `-5`), that of words is their text in lower case, and that of
    anything else its normalised text without the variable that it is assigned to.
    """
    text = normalise(answer)
    number = rational_of(text)
    if number is not None:
        return str(number)
    if text[:1].isalpha() and len(text) <= MAX_CHARS and FORMULA not in (said := read_wording(text)).words:
        return " ".join(said.words) or text
    return _ASSIGNED.sub("", text)
