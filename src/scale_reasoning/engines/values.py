"""Parts of JSON from servers, whose shape is unknown: nothing here raises."""

from __future__ import annotations

from typing import cast

from scale_reasoning.types import JSON


def as_table(value: JSON) -> dict[str, JSON]:
    """The value if it is an object, else {}."""
    return cast("dict[str, JSON]", value) if isinstance(value, dict) else {}


def as_list(value: JSON) -> list[JSON]:
    """The value if it is an array, else []."""
    return cast("list[JSON]", value) if isinstance(value, list) else []


def value_at(value: JSON, *keys: str) -> JSON:
    """The value below these keys, None where there is none."""
    for key in keys:
        value = as_table(value).get(key)
    return value
