"""Labels beside points: each where it hides the fewest other labels and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from scale_reasoning.report.plots.style import SMALL

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right and top, in points."""

MARKER = 2.5
GAP = 3.0
LETTER = 0.6
"""Width of a letter over its height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text for the point at (x, y), both as in the data; without text the point is an obstacle only."""

    text: str
    x: float
    y: float
    colour: str


def place(axes: Any, labels: Sequence[Label]) -> None:
    """Writes the labels on the axes, which must be laid out."""
    scale = 72 / axes.figure.dpi
    spots = [tuple(axes.transData.transform((label.x, label.y)) * scale) for label in labels]
    taken: list[Box] = [(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in spots]
    frame = axes.bbox
    inside = (frame.x0 * scale, frame.y0 * scale, frame.x1 * scale, frame.y1 * scale)
    for label, (x, y) in zip(labels, spots, strict=True):
        if not label.text:
            continue
        box = min(_around(x, y, label.text), key=lambda box: _hidden(box, taken) + _outside(box, inside))
        taken.append(box)
        axes.annotate(
            label.text,
            (label.x, label.y),
            (box[0] - x, box[1] - y),
            textcoords="offset points",
            size=SMALL,
            color=label.colour,
            annotation_clip=False,
        ).set_in_layout(False)  # noqa: FBT003 - matplotlib's own


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
