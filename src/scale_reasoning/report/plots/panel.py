"""One set of axes: lines, points, bars and their intervals, each in its look. Untyped inside, typed outside."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from scale_reasoning.report.plots.axes import log_ticks, thinned
from scale_reasoning.report.plots.labels import Box, Label, place_labels
from scale_reasoning.report.plots.points import Value
from scale_reasoning.report.plots.series import Look
from scale_reasoning.report.plots.style import (
    BODY,
    PAPER_DASHES,
    QUIET,
    SMALL,
    colour,
    compact,
    dashes,
    hatch,
    marker,
    shown,
)

BAND = 0.16
"""Opacity of a band."""
THIN = {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7, "fmt": "none"}


class Panel:
    """Axes to fill. `legend` has a handle a label."""

    def __init__(self, axes: Any) -> None:
        self._axes = axes
        self.legend: dict[str, Any] = {}
        self._labels: list[Label] = []
        self._strokes: list[Box] = []
        axes.grid(visible=True, axis="y")

    def line(self, xs: Sequence[float], ys: Sequence[Value], look: Look) -> None:
        """A line over x in its band; a single point has an error bar instead."""
        style = _line_style(look)
        self._keep(look.label, self._axes.plot(xs, [y.value for y in ys], **style)[0])
        band = [(x, y.low, y.high) for x, y in zip(xs, ys, strict=True) if y.low is not None and y.high is not None]
        if len(xs) == 1:
            self._axes.errorbar(xs, [ys[0].value], yerr=_error(ys), ecolor=colour(look.place), **THIN)
        elif band:
            x, low, high = zip(*band, strict=True)
            self._axes.fill_between(x, low, high, color=colour(look.place), alpha=BAND, linewidth=0)

    def points(self, xs: Sequence[Value], ys: Sequence[Value], look: Look, labels: Sequence[str]) -> None:
        """Points with their intervals both ways and a label beside each, which may be empty."""
        style = {**_line_style(look), "linestyle": "none"}
        x, y = [value.value for value in xs], [value.value for value in ys]
        self._axes.errorbar(x, y, xerr=_error(xs), yerr=_error(ys), ecolor=colour(look.place), alpha=0.6, **THIN)
        self._keep(look.label, self._axes.plot(x, y, **style)[0])
        for a, b, text in zip(xs, ys, labels, strict=True):
            self._labels.append(Label(text=shown(text, 20), x=a.value, y=b.value, colour=colour(look.place)))
            self._strokes.append((_low(a), b.value, _high(a), b.value))
            self._strokes.append((a.value, _low(b), a.value, _high(b)))

    def stairs(self, places: Sequence[tuple[float, float]], label: str) -> None:
        """A staircase from place to place."""
        x, y = zip(*places, strict=True) if places else ((), ())
        self._keep(label, self._axes.step(x, y, where="post", color=QUIET, linewidth=0.9, zorder=1)[0])
        for (a, b), (c, d) in pairwise(places):
            self._strokes += [(a, b, c, b), (c, b, c, d)]

    def bars(self, xs: Sequence[float], ys: Sequence[Value], width: float, label: str, place: int) -> None:
        """Upright bars with their intervals, in the look of a place in the cycle."""
        drawn = self._axes.bar(xs, [y.value for y in ys], width, **_bar_style(place))
        self._keep(label, drawn)
        self._axes.errorbar(xs, [y.value for y in ys], yerr=_error(ys), ecolor="black", **{**THIN, "capsize": 0.8})

    def stack(self, row: int, label: str, parts: Mapping[str, float], total: Value) -> None:
        """A lying bar of parts upon one another, its label above, its total and interval at the end."""
        left = 0.0
        for place, (name, width) in enumerate(parts.items()):
            if width:
                drawn = self._axes.barh(row, width, 0.42, left=left, **_bar_style(place))
                self._keep(name, drawn)
            left += width
        self._axes.errorbar([total.value], [row], xerr=_error([total]), ecolor="black", **THIN)
        quiet = {"textcoords": "offset points", "size": SMALL, "annotation_clip": False}
        self._axes.annotate(compact(total.value), (_high(total), row), (3, 0), va="center", **quiet)
        self._axes.annotate(shown(label, 60), (0, row - 0.26), (0, 0.5), va="bottom", **quiet)

    def vertical(self, x: float, label: str) -> None:
        """A line across the panel, named in the legend."""
        self._keep(label, self._axes.axvline(x, color="black", linewidth=0.9, linestyle=(0, (4, 2)), zorder=3))

    def name(self, text: str) -> None:
        """What the panel shows, above it."""
        self._axes.set_title(shown(text), loc="left", size=BODY, pad=3)

    def y_axis(
        self, label: str, *, lowest: float | None = None, highest: float | None = None, compact: bool = False
    ) -> None:
        """Names the y axis; it ends a little beyond the lowest and highest value that there can be."""
        bottom, top = self._axes.get_ylim()
        room = 0.03 * ((highest or top) - (lowest or 0))
        if lowest is not None:
            bottom = max(bottom, lowest - room)
        if highest is not None:
            top = min(top, highest + room)
        self._axes.set_ylim(bottom, top)
        self._axes.set_ylabel(label)
        self._axes.yaxis.set_major_locator(_ticker().MaxNLocator(4 if compact else 5))
        if compact:
            self._axes.yaxis.set_major_formatter(_compact_ticks())

    def x_limits(self, label: str, values: Sequence[float]) -> None:
        """A log2 axis with ticks at the values."""
        self._axes.set_xscale("log", base=2)
        ticks = thinned(sorted(set(values)))
        self._axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        self._axes.set_xticks([], minor=True)
        self._axes.set_xlabel(label)

    def x_values(self, label: str, values: Sequence[float]) -> None:
        """An axis with ticks at the values, or at some of them where they are many."""
        distinct = sorted(set(values))
        self._axes.set_xticks(distinct[:: -(-len(distinct) // 11)])
        self._axes.xaxis.set_major_formatter(_ticker().FuncFormatter(_plain))
        self._axes.set_xlabel(label)

    def x_span(self, label: str, low: float, high: float) -> None:
        """An axis from end to end in fifths."""
        self._axes.set_xlim(low, high)
        self._axes.set_xticks([low + (high - low) * fifth / 5 for fifth in range(6)])
        self._axes.set_xlabel(label)

    def x_tokens(self, values: Sequence[float]) -> None:
        """An axis of token counts, log where they differ much."""
        ticks = log_ticks(values)
        if ticks:
            self._axes.set_xscale("log")
            self._axes.set_xticks([], minor=True)
            self._axes.set_xticks(ticks)
        else:
            self._axes.xaxis.set_major_locator(_ticker().MaxNLocator(5))
        self._axes.xaxis.set_major_formatter(_compact_ticks())

    def x_label(self, label: str) -> None:
        """Names the x axis."""
        self._axes.set_xlabel(label)

    def rows(self, label: str, count: int, parts: Sequence[str]) -> None:
        """Rows of lying bars from the top down, on an axis of tokens; the legend has the parts in their order."""
        self.legend = {name: self.legend[name] for name in parts if name in self.legend}
        self._axes.set_ylim(count - 0.6, -0.85)
        self._axes.set_yticks([])
        self._axes.margins(x=0.14)
        self._axes.set_xlim(left=0)
        self._axes.grid(visible=False, axis="y")
        self._axes.grid(visible=True, axis="x")
        self._axes.spines["left"].set_visible(False)
        self.x_tokens([])
        self.x_label(label)

    def place_labels(self) -> None:
        """Puts the labels beside their points, where they hide least. The axes must have their final place."""
        place_labels(self._axes, self._labels, self._strokes)

    def _keep(self, label: str, handle: Any) -> None:
        self.legend.setdefault(label, handle)


def _line_style(look: Look) -> dict[str, Any]:
    return {
        "color": colour(look.place),
        "marker": marker(look.place),
        "linestyle": PAPER_DASHES if look.paper else dashes(look.place),
        "markerfacecolor": "white" if look.paper else colour(look.place),
        "markeredgewidth": 0.8,
    }


def _bar_style(place: int) -> dict[str, Any]:
    return {"color": colour(place), "edgecolor": "white", "linewidth": 0.4, "hatch": hatch(place)}


def _error(values: Sequence[Value]) -> list[list[float]]:
    return [
        [value.value - _low(value) for value in values],
        [_high(value) - value.value for value in values],
    ]


def _low(value: Value) -> float:
    return value.value if value.low is None else value.low


def _high(value: Value) -> float:
    return value.value if value.high is None else value.high


def _ticker() -> Any:
    return importlib.import_module("matplotlib.ticker")


def _compact_ticks() -> Any:
    return _ticker().FuncFormatter(_compact)


def _plain(number: float, _: int) -> str:
    return f"{number:g}"


def _compact(number: float, _: int) -> str:
    return compact(number)
