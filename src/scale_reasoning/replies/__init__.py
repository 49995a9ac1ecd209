"""Parses the three structured replies in a model's text: an outline, a choice, a number.

Tries the JSON of the schema first, then other forms that models write. Pure and linear. A reply that cannot be parsed
raises ValueError; nothing is guessed. Text of models is untrusted: it is matched, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from scale_reasoning.replies.lenient import BACKSLASHES, JsonValue, json_values
from scale_reasoning.replies.numbered import numbered_steps
from scale_reasoning.replies.outlines import outline_in
from scale_reasoning.types import JSON, Schema

T = TypeVar("T")
N = TypeVar("N", int, float)


def _object_of(name: str, key: str, value: Mapping[str, JSON]) -> Schema:
    """The schema of an object with one value, because a strict schema must be an object."""
    body = {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}
    return Schema(name=name, body=body)


def outline_schema(at_most: int) -> Schema:
    """The schema of a decomposition: an array of 1 to `at_most` strings."""
    strings = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": at_most}
    return _object_of("decomposition", "subproblems", strings)


def choice_schema(of: int) -> Schema:
    """The schema of a choice: an integer from 1 to `of`."""
    # An enum, because more servers enforce it than bounds.
    return _object_of("choice", "choice", {"type": "integer", "enum": list(range(1, of + 1))})


# Without bounds, because llama.cpp ignores those of a number and the reply is checked in any case.
NUMBER = _object_of("difficulty", "difficulty", {"type": "number"})

STATEMENT = Schema(
    name="statement",
    body={
        "type": "object",
        "properties": {"facts": {"type": "string"}, "question": {"type": "string"}},
        "required": ["facts", "question"],
        "additionalProperties": False,
    },
)
"""The schema of a problem's facts and its question."""

MAX_CHARACTERS = 100_000
"""A longer reply is not parsed."""
# Numbers in prose stand alone (not the 1 of <h1>, x1 or 1.5) and have no sign; a hyphen after a word is not a sign.
_WHOLE = re.compile(r"(?<![\w.])(?<!(?<!\w)[-\u2212])\d{1,3}(?!\w|\.\d)")
_OF_ONE = re.compile(
    r"(?:/|out of)[ ]{0,4}1(?:\.0+)?(?!\.?\d)"
    r"|(?:scale|range) (?:of|from|between) 0(?:\.0+)? ?(?:to|and|[-\u2013]) ?1(?:\.0+)?(?!\.?\d)",
    re.IGNORECASE,
)
"""Phrases that say that a number is from 0 to 1; their own numbers do not count."""
_DECIMAL = re.compile(r"(?<![\w.])(?<!(?<![\d%])[-\u2212])(\d{1,4}(?:\.\d{1,20})?|\.\d{1,20})(?!\w|\.\d)\s*(%?)")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """The value of a reply; `repairs` names the repairs in its JSON."""

    value: T
    repairs: tuple[str, ...] = ()


def read_outline(text: str, at_most: int) -> Read[tuple[str, ...]]:
    """Parses the sub-problems of a decomposition, 1 to `at_most`, in order.

    Accepts a JSON array of texts or objects, an object with such an array, a `{"step1": ...}` map, any of these in
    prose or code fences, and a numbered list or numbered headings. A list named `subproblems` or similar is preferred
    to any other. Of an object its question is used, never its answer. Raises ValueError.
    """
    steps, repairs = outline_in(list(json_values(_check_length(text))))
    if not steps:
        listed = numbered_steps(text)
        steps = listed if not any(step.startswith('{"') for step in listed) else ()
    if not steps:
        raise ValueError("no list of sub-problems")
    return Read(_check_steps(steps, at_most), repairs)


def read_choice(text: str, of: int) -> Read[int]:
    """Parses the number of the selected candidate, from 1 to `of`. Raises ValueError unless there is exactly one."""
    read = _read_value(text, "choice", _as_choice, _integers_in_prose)
    if read is None or not 1 <= read.value <= of:
        raise ValueError(f"no single choice from 1 to {of}")
    return read


def read_number(text: str) -> Read[float]:
    """Parses a difficulty in [0, 1]; `70%` is 0.7. Raises ValueError unless there is exactly one such number."""
    read = _read_value(text, "difficulty", _as_difficulty, _decimals_in_prose)
    if read is None or not 0 <= read.value <= 1:
        raise ValueError("no single number from 0 to 1")
    return Read(float(read.value), read.repairs)


def read_statement(text: str) -> Read[tuple[str, str]]:
    """Parses a problem's facts, which may be empty, and its question. Raises ValueError."""
    for each in json_values(_check_length(text)):
        value = each.value
        table = cast("dict[str, JSON]", value) if isinstance(value, dict) else dict[str, JSON]()
        facts, question = table.get("facts"), table.get("question")
        if isinstance(facts, str) and isinstance(question, str) and question.strip():
            f"{facts}{question}".encode()  # see _check_steps
            return Read((facts.strip(), question.strip()), each.repairs)
    raise ValueError("no facts and question")


def parse_outline(text: str, at_most: int) -> tuple[str, ...]:
    """The value of `read_outline`."""
    return read_outline(text, at_most).value


def parse_choice(text: str, of: int) -> int:
    """The value of `read_choice`."""
    return read_choice(text, of).value


def parse_number(text: str) -> float:
    """The value of `read_number`."""
    return read_number(text).value


def _read_value(
    text: str, name: str, of: Callable[[JSON], N | None], in_prose: Callable[[str], set[N]]
) -> Read[N] | None:
    """The single value under a name in a text's JSON, or else the single number in its prose; None if there is none."""
    found = [
        (value, each.repairs)
        for each in json_values(_check_length(text))
        if (value := of(_value_under(each, name))) is not None
    ]
    named = {value for value, _ in found} or in_prose(text)
    if len(named) != 1:
        return None
    doubled = ("doubled object",) if len(found) > 1 else ()
    return Read(named.pop(), (*found[0][1], *doubled) if found else ())


def _as_choice(value: JSON) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_difficulty(value: JSON) -> float | None:
    if isinstance(value, str):
        written = _decimals_in_prose(value)
        return written.pop() if len(written) == 1 else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integers_in_prose(text: str) -> set[int]:
    return {int(number) for number in _WHOLE.findall(text)}


def _decimals_in_prose(text: str) -> set[float]:
    return {float(number) / (100 if percent else 1) for number, percent in _DECIMAL.findall(_OF_ONE.sub("", text))}


def _check_steps(steps: tuple[str, ...], at_most: int) -> tuple[str, ...]:
    if len(steps) > at_most:
        raise ValueError(f"{len(steps)} sub-problems, at most {at_most} are taken")
    "".join(steps).encode()  # half of a surrogate pair ("\\ud83d") could not be sent to a server
    return steps


def _check_length(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a reply of {len(text)} characters")
    return text


def _value_under(found: JsonValue, name: str) -> JSON:
    """The value itself, or the named value of an object, or the only value of an object without repairs."""
    value: JSON = found.value
    if isinstance(value, dict):
        table = cast("dict[str, JSON]", value)
        alone = len(table) == 1 and not found.part and set(found.repairs) <= {BACKSLASHES}
        return table[name] if name in table else next(iter(table.values())) if alone else None
    return None if found.part or found.key else value
