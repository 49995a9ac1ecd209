"""From rows with named fields to problems.

Decides which fields are the problem and the answer, which values are usable, and the id of a row without one. Knows no
file formats. Every error names the row's place and the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from scale_reasoning.datasets.controls import find_control_character
from scale_reasoning.datasets.dataset import normalise_text
from scale_reasoning.datasets.numbers import spell
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import JSON, Problem

PROBLEM_FIELDS = ("problem", "question", "text", "prompt")
ANSWER_FIELDS = ("answer", "solution", "final_answer", "gold")
"""Tried in this order, in any case, where no field is named."""
MOST_ROWS, MOST_CHARACTERS = 1_000_000, 1_000_000
"""Rows of a dataset, and characters of a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One row of a dataset, and where it is (`my.jsonl, line 3`)."""

    where: str
    fields: Mapping[str, JSON]


def make_problems(
    rows: Iterable[SourceRow], source: str, *, problem_field: str | None = None, answer_field: str | None = None
) -> tuple[Problem, ...]:
    """One problem per row. The first row decides which fields are read, and every row must have them.

    Raises `ConfigError` for no rows, a missing field, a value that is not text or has a control character, and an id
    that is not unique.
    """
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for row in rows:
        problem_field = problem_field or _find_field(PROBLEM_FIELDS, row, "problem")
        answer_field = answer_field or _find_field(ANSWER_FIELDS, row, "answer")
        text = read_text(row, problem_field)
        problem = Problem(id=_read_id(row, text), text=text, answer=read_text(row, answer_field))
        if problem.id in places:
            same = "the problem, without an id," if problem.id == make_id(text) else f"the id {problem.id!r}"
            raise ConfigError(f"{row.where}: {same} is that of {places[problem.id]} again")
        if len(problems) == MOST_ROWS:
            raise ConfigError(f"{source} has over {MOST_ROWS:,} rows, the limit; cut it first")
        places[problem.id] = row.where
        problems.append(problem)
    if not problems:
        raise ConfigError(f"{source} has no rows")
    return tuple(problems)


def make_id(text: str) -> str:
    """The id of a problem without one: 16 hex digits of the sha256 of its normalised text."""
    return sha256(normalise_text(text).encode()).hexdigest()[:16]


def _find_field(names: tuple[str, ...], row: SourceRow, what: str) -> str:
    for name in names:
        alike = [field for field in row.fields if field.lower() == name]
        if alike:
            return name if name in alike else alike[0]
    raise ConfigError(
        f"{row.where}: no {what} among its fields ({_list_fields(row)}); tried {', '.join(names)}: "
        f"name it with --{what}-field"
    )


def _read_id(row: SourceRow, text: str) -> str:
    value = row.fields.get("id")
    if value is None or (isinstance(value, str) and not value.strip()):
        return make_id(text)
    return read_text(row, "id")


def read_text(row: SourceRow, field: str) -> str:
    """The field's value as text, a number in plain decimals. Raises `ConfigError` for a value that is not usable."""
    if field not in row.fields:
        raise ConfigError(f"{row.where}: no field {field!r}; found {_list_fields(row)}")
    value = row.fields[field]
    if (number := spell(value)) is not None:
        return number
    if not isinstance(value, str):
        raise ConfigError(f"{row.where}: {field!r} is {_describe(value)}; text or a number is needed")
    if len(value) > MOST_CHARACTERS:
        raise ConfigError(f"{row.where}: {field!r} has {len(value):,} characters; the limit is {MOST_CHARACTERS:,}")
    if not value.strip():
        raise ConfigError(f"{row.where}: {field!r} is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{row.where}: {field!r} holds half a character (a lone surrogate) at {error.start}"
        ) from None
    if damage := find_control_character(value):
        raise ConfigError(f"{row.where}: {field!r} holds {damage}")
    return value.strip()


def _describe(value: JSON) -> str:
    return "missing" if value is None else f"{value!r:.40} ({type(value).__name__})"


def _list_fields(row: SourceRow) -> str:
    return ", ".join(map(repr, row.fields)) or "none"
