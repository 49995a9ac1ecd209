"""Which ticks an axis has: few enough to be read at a column's width. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log2, log10

AXIS_POINTS, LETTER_POINTS = 185, 4.6
"""Width of an axis and of a digit."""
WIDE = 6
"""A log axis is used where the largest value is so many times the smallest."""


def thinned(values: Sequence[float]) -> list[float]:
    """Those of the sorted values whose numbers do not touch on a log2 axis; first and last are kept."""
    if len(values) < 3:
        return list(values)
    points = AXIS_POINTS / log2(values[-1] / values[0])
    kept = [values[0]]
    for value in values[1:]:
        room = LETTER_POINTS * len(f"{value:g}")
        if log2(value / kept[-1]) * points >= room and (
            value == values[-1] or log2(values[-1] / value) * points >= room
        ):
            kept.append(value)
    return kept


def log_ticks(values: Sequence[float]) -> list[float]:
    """Ticks at 1, 2 and 5 times powers of ten within the values; none where they lie close together."""
    positive = [value for value in values if value > 0]
    if not positive or max(positive) < WIDE * min(positive):
        return []
    low, high = min(positive), max(positive)
    steps = (1, 2, 5) if high < 500 * low else (1,)
    powers = range(floor(log10(low)), floor(log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps if low * 0.9 <= step * 10.0**power <= high * 1.1]
