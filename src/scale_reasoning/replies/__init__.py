"""Reads the three structured replies out of a model's text: an outline, a choice, a number.

The schema's own JSON is tried first, then the forms that models fall back to. Pure and linear; what cannot be read
raises ValueError and is never guessed at. Text of models is hostile input: it is matched, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from scale_reasoning.replies.lenient import BACKSLASHES, Found, json_values
from scale_reasoning.replies.numbered import numbered_steps
from scale_reasoning.replies.outlines import outline_in
from scale_reasoning.types import JSON, Schema

T = TypeVar("T")
N = TypeVar("N", int, float)


def _object_of(name: str, key: str, value: Mapping[str, JSON]) -> Schema:
    """An object with one value: strict schemas must be objects at their top."""
    body = {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}
    return Schema(name=name, body=body)


def outline_schema(at_most: int) -> Schema:
    """A decomposition: an array of 1 to `at_most` strings."""
    strings = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": at_most}
    return _object_of("decomposition", "subproblems", strings)


def choice_schema(of: int) -> Schema:
    """A choice: a whole number from 1 to `of`."""
    # A list, which more servers keep to than to bounds.
    return _object_of("choice", "choice", {"type": "integer", "enum": list(range(1, of + 1))})


# Without bounds: llama.cpp drops those of a number, and the reply is checked in any case.
NUMBER = _object_of("difficulty", "difficulty", {"type": "number"})

MAX_CHARACTERS = 100_000
"""A longer reply is not read: none of the three is that long."""
# Numbers in prose stand alone (not the 1 of <h1>, x1 or 1.5) and have no sign; a hyphen after a word is none.
_WHOLE = re.compile(r"(?<![\w.])(?<!(?<!\w)[-\u2212])\d{1,3}(?!\w|\.\d)")
_OF_ONE = re.compile(
    r"(?:/|out of)[ ]{0,4}1(?:\.0+)?(?!\.?\d)"
    r"|(?:scale|range) (?:of|from|between) 0(?:\.0+)? ?(?:to|and|[-\u2013]) ?1(?:\.0+)?(?!\.?\d)",
    re.IGNORECASE,
)
"""How a reply says that its number is one from 0 to 1: no further numbers."""
_DECIMAL = re.compile(r"(?<![\w.])(?<!(?<![\d%])[-\u2212])(\d{1,4}(?:\.\d{1,20})?|\.\d{1,20})(?!\w|\.\d)\s*(%?)")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What a reply says; `repairs` names what had to be repaired in its JSON to read it."""

    value: T
    repairs: tuple[str, ...] = ()


def read_outline(text: str, at_most: int) -> Read[tuple[str, ...]]:
    """The sub-problems of a decomposition, 1 to `at_most`, in order.

    Reads a JSON array of texts or objects, an object that holds one, a `{"step1": ...}` map, any of these inside prose
    or code fences, and a numbered list or numbered headings. A list named `subproblems` or the like comes before any
    other; of an object its question is taken, never its answer. Raises ValueError.
    """
    steps, repairs = outline_in(list(json_values(_bounded_text(text))))
    if not steps:
        listed = numbered_steps(text)
        steps = listed if not any(step.startswith('{"') for step in listed) else ()
    if not steps:
        raise ValueError("no list of sub-problems")
    return Read(_bounded(steps, at_most), repairs)


def read_choice(text: str, of: int) -> Read[int]:
    """Which of `of` candidates was chosen, counted from 1. Raises ValueError when none, several or another is named."""
    read = _read(text, "choice", _choice, _whole_numbers)
    if read is None or not 1 <= read.value <= of:
        raise ValueError(f"no single choice from 1 to {of}")
    return read


def read_number(text: str) -> Read[float]:
    """A difficulty in [0, 1]; `70%` is 0.7. Raises ValueError when none, several or one out of range is given."""
    read = _read(text, "difficulty", _difficulty, _decimal_numbers)
    if read is None or not 0 <= read.value <= 1:
        raise ValueError("no single number from 0 to 1")
    return Read(float(read.value), read.repairs)


def parse_outline(text: str, at_most: int) -> tuple[str, ...]:
    """The value of `read_outline`."""
    return read_outline(text, at_most).value


def parse_choice(text: str, of: int) -> int:
    """The value of `read_choice`."""
    return read_choice(text, of).value


def parse_number(text: str) -> float:
    """The value of `read_number`."""
    return read_number(text).value


def _read(text: str, name: str, of: Callable[[JSON], N | None], in_prose: Callable[[str], set[N]]) -> Read[N] | None:
    """The one value under a name in a text's JSON, else the one number in its prose."""
    found = [
        (value, each.repairs)
        for each in json_values(_bounded_text(text))
        if (value := of(_named_value(each, name))) is not None
    ]
    named = {value for value, _ in found} or in_prose(text)
    if len(named) != 1:
        return None
    doubled = ("doubled object",) if len(found) > 1 else ()
    return Read(named.pop(), (*found[0][1], *doubled) if found else ())


def _choice(value: JSON) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _difficulty(value: JSON) -> float | None:
    if isinstance(value, str):
        written = _decimal_numbers(value)
        return written.pop() if len(written) == 1 else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole_numbers(text: str) -> set[int]:
    return {int(number) for number in _WHOLE.findall(text)}


def _decimal_numbers(text: str) -> set[float]:
    return {float(number) / (100 if percent else 1) for number, percent in _DECIMAL.findall(_OF_ONE.sub("", text))}


def _bounded(steps: tuple[str, ...], at_most: int) -> tuple[str, ...]:
    if len(steps) > at_most:
        raise ValueError(f"{len(steps)} sub-problems, at most {at_most} are taken")
    "".join(steps).encode()  # half of a surrogate pair ("\\ud83d") is no text, and could not be sent on
    return steps


def _bounded_text(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a reply of {len(text)} characters")
    return text


def _named_value(found: Found, name: str) -> JSON:
    """The value itself, or the named one in an object, or the only one of an object that took no repair."""
    value: JSON = found.value
    if isinstance(value, dict):
        table = cast("dict[str, JSON]", value)
        alone = len(table) == 1 and not found.part and set(found.repairs) <= {BACKSLASHES}
        return table[name] if name in table else next(iter(table.values())) if alone else None
    return None if found.part or found.key else value
