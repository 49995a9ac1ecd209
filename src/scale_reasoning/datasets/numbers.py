"""How a number in a row becomes text.

A number from a text file keeps its spelling; one stored in binary is written in plain decimals. A whole number that was
written as a float, `27.0`, becomes `27` in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from struct import pack

from scale_reasoning.types import JSON

SHORT_FLOATS: Mapping[str, str] = {"halffloat": "e", "float16": "e", "float": "f", "float32": "f"}
"""The `struct` format of floats of fewer than 64 bits, by the type's name in Arrow and on the Hub."""
_WHOLE = re.compile(r"-?\d+\.0")


def spell_integer(text: str) -> str:
    """An integer of JSON, unchanged. Raises ValueError for more digits than Python converts."""
    int(text)
    return text


def spell_float(text: str) -> str | float:
    """A float of JSON without `.0`; infinity where it is too large for a float."""
    value = float(text)
    if not isfinite(value):
        return value
    return text.removesuffix(".0") if _WHOLE.fullmatch(text) else text


def spell(value: JSON) -> str | None:
    """A number in plain decimals, with the fewest digits that identify the float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return str(value)
    if not isfinite(value):
        return None
    text = f"{Decimal(str(value)):f}"
    return text.removesuffix(".0") if isinstance(value, float) else text


def shorten_floats(fields: Mapping[str, JSON], columns: Mapping[str, str]) -> Mapping[str, JSON]:
    """A row with short floats as they were written: 0.1, not the 0.10000000149011612 that 32 bits hold.

    `columns` has the `struct` format of each column of short floats.
    """
    floats = {name: value for name in columns if isinstance(value := fields.get(name), float)}
    short = {name: _shorten(value, columns[name]) for name, value in floats.items()}
    return {**fields, **short} if short else fields


def _shorten(value: float, form: str) -> float:
    """The number with the fewest digits that packs to the same bytes as `value`."""
    if isfinite(value):
        for digits in range(1, 10):
            near = float(f"{value:.{digits}g}")
            if _pack(near, form) == _pack(value, form):
                return near
    return value


def _pack(value: float, form: str) -> bytes | None:
    try:
        return pack(form, value)
    except OverflowError:  # rounded up beyond the largest float of this format
        return None
