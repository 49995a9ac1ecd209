"""Names the class of answers that an answer is in, so that votes can be counted."""

from __future__ import annotations

import re

from scale_reasoning.answers.compact import normalise
from scale_reasoning.answers.notation import MAX_CHARS
from scale_reasoning.answers.numbers import rational_of
from scale_reasoning.answers.wording import FORMULA, wording

_ASSIGNED = re.compile(r"^[A-Za-z](?:_\w|\([a-z]\))?=(?=[^=]*$)")


def answer_class(answer: str) -> str:
    """The name of the answer's equivalence class: equal names, equal answers. Total, and fast on any text.

    Numbers are named by their exact value (`1/2`, `-5`), words by themselves in lower case, everything else by its
    normalised text, without the one variable it is assigned to.
    """
    text = normalise(answer)
    number = rational_of(text)
    if number is not None:
        return str(number)
    if text[:1].isalpha() and len(text) <= MAX_CHARS and FORMULA not in (said := wording(text)).words:
        return " ".join(said.words) or text
    return _ASSIGNED.sub("", text)
