"""The number of an allocator that decides by comparison: the one that the viewer's slider moves.

An allocator that has one names it in a class variable `NUMBER`, and passes each value that it compares with it to
`Subproblem.compare`. What an attempt does then changes at these values only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast

from scale_reasoning.strategies.options import list_parts, nested

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """An option from 0 to 1 with its symbol.

    closed: the side of a range of numbers with one effect that belongs to it. "low": `value <= number` decides, so the
    range is [value, next value). "high": `value < number` decides, so it is (value, next value].
    """

    option: str
    symbol: str
    closed: Literal["low", "high"]


def number_of(shape: type[Any]) -> Number | None:
    """The number of an allocator's class; None for a class without one."""
    found = getattr(shape, "NUMBER", None)
    return found if isinstance(found, Number) else None


def find_number(strategy: object) -> tuple[Number, float] | None:
    """The number of a strategy with its value: that of the outermost part that has one.

    None if none has, or if another part has the same number with another value: they could not be moved as one.
    """
    found = [
        (number, getattr(part, number.option))
        for part in nested(strategy)
        if (number := number_of(cast("type[Any]", type(part))))
    ]
    same = {value for number, value in found if number == found[0][0]}
    return found[0] if len(same) == 1 else None


def set_number(strategy: T, number: Number, value: float) -> T:
    """The strategy, or a part of one, with another value of this number."""
    if number_of(cast("type[Any]", type(strategy))) == number:
        return replace(cast("Any", strategy), **{number.option: value})
    changes = {name: set_number(inner, number, value) for name, inner in list_parts(strategy)}
    return replace(cast("Any", strategy), **changes)
