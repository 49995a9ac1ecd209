"""Labels beside points: each where it hides the least of other labels, points and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from scale_reasoning.report.plots.style import SMALL

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right and top, in points."""

MARKER, STROKE = 2.5, 0.75
"""Half of a marker's and of a line's width, in points."""
NEAR = 6.0
"""A label so near another point, in points, might be taken for its own."""
GAP = 3.0
LETTER = 0.6
"""Width of a letter over its height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text for the point at (x, y), both as in the data."""

    text: str
    x: float
    y: float
    colour: str


def place_labels(axes: Any, labels: Sequence[Label], strokes: Sequence[Box]) -> None:
    """Writes the labels on the axes, which must be laid out. `strokes` run from (left, bottom) to (right, top)."""
    scale = 72 / axes.figure.dpi
    spots: list[tuple[float, float]] = [tuple(axes.transData.transform((label.x, label.y)) * scale) for label in labels]
    taken = [_grown((x, y, x, y), MARKER) for x, y in spots]
    for left, bottom, right, top in strokes:
        ends = (axes.transData.transform(end) * scale for end in ((left, bottom), (right, top)))
        taken.append(_grown(tuple(number for end in ends for number in end), STROKE))
    frame = axes.bbox
    inside = (frame.x0 * scale, frame.y0 * scale, frame.x1 * scale, frame.y1 * scale)
    for label, (x, y) in zip(labels, spots, strict=True):
        near = [_grown((*spot, *spot), NEAR) for spot in spots if spot != (x, y)]
        box = min(_around(x, y, label.text), key=lambda box: _hidden(box, [*taken, *near]) + _outside(box, inside))
        taken.append(box)
        axes.annotate(
            label.text,
            (label.x, label.y),
            (box[0] - x, box[1] - y),
            textcoords="offset points",
            size=SMALL,
            color=label.colour,
            annotation_clip=False,
        ).set_in_layout(False)


def _grown(box: Box, by: float) -> Box:
    left, bottom, right, top = box
    return left - by, bottom - by, right + by, top + by


def _around(x: float, y: float, text: str) -> list[Box]:
    width, height = LETTER * SMALL * len(text), SMALL
    lefts = {"right": x + GAP, "middle": x - width / 2, "left": x - GAP - width}
    bottoms = {"above": y + GAP, "beside": y - height / 2, "below": y - GAP - height}
    spots = [
        (lefts["right"], bottoms["above"]),
        (lefts["left"], bottoms["above"]),
        (lefts["right"], bottoms["below"]),
        (lefts["left"], bottoms["below"]),
        (lefts["middle"], bottoms["above"] + 1),
        (lefts["middle"], bottoms["below"] - 1),
        (lefts["right"] + 1, bottoms["beside"]),
        (lefts["left"] - 1, bottoms["beside"]),
    ]
    return [(left, bottom, left + width, bottom + height) for left, bottom in spots]


def _hidden(box: Box, taken: Sequence[Box]) -> float:
    return sum(_overlap(box, other) for other in taken)


def _outside(box: Box, frame: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
