"""From rows of named fields to problems, whoever read the rows.

Decides which field is the problem, which the answer, what a usable value is and what a row without an id is called.
Knows no file formats; every error says where the row stood and which field or fields it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from scale_reasoning.datasets.controls import control_character
from scale_reasoning.datasets.dataset import normalised
from scale_reasoning.datasets.numbers import spelled
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import JSON, Problem

PROBLEM_FIELDS = ("problem", "question", "text", "prompt")
ANSWER_FIELDS = ("answer", "solution", "final_answer", "gold")
"""Tried in this order, whatever their case, where no field is named."""
MOST_ROWS, MOST_CHARACTERS = 1_000_000, 1_000_000
"""Rows of a dataset, and characters of a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row, and where it stood (`my.jsonl, line 3`)."""

    where: str
    fields: Mapping[str, JSON]


def problems_of(
    rows: Iterable[Row], source: str, *, problem_field: str | None = None, answer_field: str | None = None
) -> tuple[Problem, ...]:
    """One problem a row. The first row decides which fields are read, and every row must have them.

    Raises `ConfigError` for no rows at all, a missing field, a value that is no text or holds a control character, and
    an id that comes twice.
    """
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for row in rows:
        problem_field = problem_field or _first_of(PROBLEM_FIELDS, row, "problem")
        answer_field = answer_field or _first_of(ANSWER_FIELDS, row, "answer")
        text = _value(row, problem_field)
        problem = Problem(id=_id(row, text), text=text, answer=_value(row, answer_field))
        if problem.id in places:
            same = "the problem, without an id," if problem.id == digest_id(text) else f"the id {problem.id!r}"
            raise ConfigError(f"{row.where}: {same} is that of {places[problem.id]} again")
        if len(problems) == MOST_ROWS:
            raise ConfigError(f"{source} has over {MOST_ROWS:,} rows, which is the most that is read; cut it first")
        places[problem.id] = row.where
        problems.append(problem)
    if not problems:
        raise ConfigError(f"{source} has no rows")
    return tuple(problems)


def digest_id(text: str) -> str:
    """The id of a problem that has none: 16 hex digits of its normalised text's sha256."""
    return sha256(normalised(text).encode()).hexdigest()[:16]


def _first_of(names: tuple[str, ...], row: Row, what: str) -> str:
    for name in names:
        alike = [field for field in row.fields if field.lower() == name]
        if alike:
            return name if name in alike else alike[0]
    raise ConfigError(
        f"{row.where}: no {what} among its fields ({_listed(row)}); tried {', '.join(names)}: "
        f"name it with --{what}-field"
    )


def _id(row: Row, text: str) -> str:
    value = row.fields.get("id")
    if value is None or (isinstance(value, str) and not value.strip()):
        return digest_id(text)
    return _value(row, "id")


def _value(row: Row, field: str) -> str:
    """The field's value as text. A number is spelled in plain decimals, a whole one as an integer."""
    if field not in row.fields:
        raise ConfigError(f"{row.where}: no field {field!r}; found {_listed(row)}")
    value = row.fields[field]
    if (number := spelled(value)) is not None:
        return number
    if not isinstance(value, str):
        raise ConfigError(f"{row.where}: {field!r} is {_kind(value)}; text or a number is needed")
    if len(value) > MOST_CHARACTERS:
        raise ConfigError(f"{row.where}: {field!r} has {len(value):,} characters; at most {MOST_CHARACTERS:,} are read")
    if not value.strip():
        raise ConfigError(f"{row.where}: {field!r} is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{row.where}: {field!r} holds half a character (a lone surrogate) at {error.start}"
        ) from None
    if damage := control_character(value):
        raise ConfigError(f"{row.where}: {field!r} holds {damage}")
    return value.strip()


def _kind(value: JSON) -> str:
    return "missing" if value is None else f"{value!r:.40} ({type(value).__name__})"


def _listed(row: Row) -> str:
    return ", ".join(map(repr, row.fields)) or "none"
