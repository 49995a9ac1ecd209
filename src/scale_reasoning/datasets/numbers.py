"""How a number in a row is spelled as text.

A file of text keeps the spelling that it has; what is stored in binary is spelled in plain decimals. A whole number
that a program wrote as a float, `27.0`, is `27` in either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from struct import pack

from scale_reasoning.types import JSON

SHORT_FLOATS: Mapping[str, str] = {"halffloat": "e", "float16": "e", "float": "f", "float32": "f"}
"""How `struct` packs floats of fewer than 64 bits, by what Arrow and the Hub call their columns."""
_WHOLE = re.compile(r"-?\d+\.0")


def integer_text(text: str) -> str:
    """An integer of JSON as it is spelled. Raises ValueError for more digits than Python converts."""
    int(text)
    return text


def float_text(text: str) -> str | float:
    """A float of JSON as it is spelled; one that is too large for a float stays infinite."""
    value = float(text)
    if not isfinite(value):
        return value
    return text.removesuffix(".0") if _WHOLE.fullmatch(text) else text


def spelled(value: JSON) -> str | None:
    """A number in plain decimals, with as many digits as tell it from the next float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return str(value)
    if not isfinite(value):
        return None
    text = f"{Decimal(str(value)):f}"
    return text.removesuffix(".0") if isinstance(value, float) else text


def with_short_floats(fields: Mapping[str, JSON], columns: Mapping[str, str]) -> Mapping[str, JSON]:
    """A row whose short floats are the numbers that were stored: 0.1, not the 0.10000000149011612 that 32 bits hold.

    `columns` says how the floats of a column are packed.
    """
    floats = {name: value for name in columns if isinstance(value := fields.get(name), float)}
    short = {name: _shortest(value, columns[name]) for name, value in floats.items()}
    return {**fields, **short} if short else fields


def _shortest(value: float, form: str) -> float:
    """The number of the fewest digits that is stored as `value` is."""
    if isfinite(value):
        for digits in range(1, 10):
            near = float(f"{value:.{digits}g}")
            if _stored(near, form) == _stored(value, form):
                return near
    return value


def _stored(value: float, form: str) -> bytes | None:
    try:
        return pack(form, value)
    except OverflowError:  # rounded up past the largest
        return None
