"""One set of axes: lines, points, bars and their intervals. Untyped inside, typed outside."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from math import ceil, floor, log, log10
from typing import Any

from scale_reasoning.report.intervals import Estimate
from scale_reasoning.report.plots.series import Look
from scale_reasoning.report.plots.style import QUIET, SMALL, compact, shorten, style_bar, style_line

THIN = {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7, "fmt": "none"}
CORNERS = ((3, 3, "left", "bottom"), (-3, 3, "right", "bottom"), (3, -3, "left", "top"), (-3, -3, "right", "top"))
"""Where a label can be: its distance from its point and its alignment."""
WIDE = 6
"""Ratio of the largest to the smallest number from which an axis of tokens or costs is logarithmic."""
MOST_TICKS = 6
"""Values of a logarithmic axis that all have ticks, if there is room for their numbers."""
LETTERS = 0.4
"""Inches of a number of five digits below an axis."""
STEPS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 5, 7))
"""Multiples of powers of ten with numbers on a logarithmic axis: the first that gives it three."""
LOG = "log scale"
LONG = 400
"""Characters of a label before the legend shortens it."""


class Panel:
    """Axes to fill."""

    def __init__(self, axes: Any, *, width: float) -> None:
        self._axes, self._width = axes, width
        self._labels: list[Any] = []
        axes.grid(visible=True, axis="y")

    @property
    def legend(self) -> Any:
        """The handles and the labels of what was drawn."""
        return self._axes.get_legend_handles_labels()

    def draw_line(self, xs: Sequence[float], ys: Sequence[Estimate], look: Look) -> None:
        """Draws a line and the band of its intervals; a single point has an error bar instead."""
        style = style_line(look.place, paper=look.paper)
        self._axes.plot(xs, [y.value for y in ys], label=shorten(look.label, LONG), **style)
        band = [(x, y.low, y.high) for x, y in zip(xs, ys, strict=True) if y.low is not None and y.high is not None]
        if len(xs) == 1:
            self._axes.errorbar(xs, [ys[0].value], yerr=_list_errors(ys), ecolor=style["color"], **THIN)
        elif band:
            x, low, high = zip(*band, strict=True)
            self._axes.fill_between(x, low, high, color=style["color"], alpha=0.16, linewidth=0)

    def draw_points(self, xs: Sequence[Estimate], ys: Sequence[Estimate], look: Look, labels: Sequence[str]) -> None:
        """Draws points with intervals in both directions and a label at each; an empty label is none."""
        style = {**style_line(look.place, paper=look.paper), "linestyle": "none"}
        x, y = [each.value for each in xs], [each.value for each in ys]
        errors = {"xerr": _list_errors(xs), "yerr": _list_errors(ys)}
        self._axes.errorbar(x, y, ecolor=style["color"], alpha=0.6, **errors, **THIN)
        self._axes.plot(x, y, label=shorten(look.label, LONG), **style)
        for label, place in zip(labels, zip(x, y, strict=True), strict=True):
            self._labels.append(self._write(shorten(label, 20), place, (0, 0), color=style["color"]))

    def draw_stairs(self, places: Sequence[tuple[float, float]], label: str) -> None:
        """Draws a staircase from place to place."""
        x, y = zip(*places, strict=True) if places else ((), ())
        self._axes.step(x, y, where="post", color=QUIET, linewidth=0.9, zorder=1, label=label)

    def draw_bars(self, xs: Sequence[float], ys: Sequence[Estimate], width: float, label: str, place: int) -> None:
        """Draws vertical bars with their intervals, in the look of a place in the cycle."""
        heights = [y.value for y in ys]
        self._axes.bar(xs, heights, width, label=label, **style_bar(place))
        self._axes.errorbar(xs, heights, yerr=_list_errors(ys), ecolor="black", **{**THIN, "capsize": 0.8})

    def draw_stacks(
        self, labels: Sequence[str], parts: Mapping[str, Sequence[float]], totals: Sequence[Estimate]
    ) -> None:
        """Draws a horizontal bar per label, which is above it; its total and interval are at its end.

        `parts` has a number per bar for each part of the bars.
        """
        rows, lefts = range(len(labels)), [0.0] * len(labels)
        for place, (name, widths) in enumerate(parts.items()):
            if any(widths):
                self._axes.barh(rows, widths, 0.42, left=lefts, label=shorten(name, LONG), **style_bar(place))
            lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
        values = [total.value for total in totals]
        self._axes.errorbar(values, rows, xerr=_list_errors(totals), ecolor="black", **THIN)
        for row, label, total in zip(rows, labels, totals, strict=True):
            self._write(compact(total.value), (total.high or total.value, row), (3, 0), va="center")
            self._write(shorten(label, 60), (0, row - 0.26), (0, 0.5), va="bottom")
        self._axes.set(ylim=(len(labels) - 0.6, -0.85), yticks=[])
        self._axes.margins(x=0.14)
        self._axes.set_xlim(left=0)
        self._axes.grid(visible=False, axis="y")
        self._axes.grid(visible=True, axis="x")
        self._axes.spines["left"].set_visible(False)

    def draw_rows(self, labels: Sequence[str]) -> None:
        """Makes a row per label, from top to bottom, for `draw_spans`."""
        self._axes.set(ylim=(len(labels) - 0.4, -0.6), yticks=range(len(labels)))
        self._axes.set_yticklabels([shorten(label) for label in labels], size=SMALL)
        self._axes.tick_params(axis="y", length=0)
        self._axes.grid(visible=False, axis="y")
        self._axes.grid(visible=True, axis="x")

    def draw_spans(self, rows: Sequence[int], values: Sequence[Estimate], label: str, style: Mapping[str, Any]) -> None:
        """Draws a point with its horizontal interval, if it has one, in each of the rows."""
        x = [each.value for each in values]
        if any(each.low is not None for each in values):
            self._axes.errorbar(x, rows, xerr=_list_errors(values), ecolor=style["color"], zorder=2, **THIN)
        self._axes.plot(x, rows, label=shorten(label, LONG), zorder=3, **style)

    def draw_vertical(self, x: float, label: str) -> None:
        """Draws a line across the panel, named in the legend."""
        self._axes.axvline(x, color="black", linewidth=0.9, linestyle=(0, (4, 2)), zorder=3, label=label)

    def draw_diagonal(self, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
        """Draws a straight line between two places, named in the legend."""
        x, y = zip(start, end, strict=True)
        self._axes.plot(x, y, color=QUIET, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1, label=label)

    def set_title(self, text: str) -> None:
        """Writes above the panel what it shows."""
        self._axes.set_title(shorten(text), loc="left", pad=3)

    def set_y(
        self, label: str, *, lowest: float | None = None, highest: float | None = None, tokens: bool = False
    ) -> None:
        """Names the y axis and ends it a little beyond the lowest and the highest possible value."""
        bottom, top = self._axes.get_ylim()
        room = 0.03 * ((highest or top) - (lowest or 0))
        bottom = bottom if lowest is None else max(bottom, lowest - room)
        top = top if highest is None else min(top, highest + room)
        self._axes.set(ylim=(bottom, top), ylabel=label)
        self._axes.locator_params(axis="y", nbins=4 if tokens else 5)
        if tokens:
            self._axes.yaxis.set_major_formatter(_write_tick)

    def set_x(self, label: str, values: Sequence[float], *, log2: bool = False) -> None:
        """Names the x axis and puts ticks at the values, or at some of them if they are many."""
        ticks = sorted(set(values))
        if log2:
            self._axes.set_xscale("log", base=2)
            self._axes.minorticks_off()
            if len(ticks) <= MOST_TICKS:
                self._axes.set_xticks(_space(ticks, LETTERS / (self._width - 0.5)))
                self._axes.set_xticks(ticks, minor=True)
                self._axes.xaxis.set_minor_formatter("")
        else:
            self._axes.set_xticks(ticks[:: -(-len(ticks) // max(2, int(self._width / 0.3)))])
        self._axes.xaxis.set_major_formatter("{x:g}")
        self._axes.set_xlabel(f"{label}, {LOG}" if log2 else label)

    def set_x_range(self, label: str, low: float, high: float) -> None:
        """Names the x axis and sets its ends."""
        self._axes.set(xlim=(low, high), xlabel=label)

    def set_x_label(self, label: str) -> None:
        """Names the x axis."""
        self._axes.set_xlabel(f"{label}, {LOG}" if self._axes.get_xscale() == "log" else label)

    def set_x_amounts(self, values: Sequence[float] = ()) -> None:
        """Makes an x axis of tokens or costs, which is logarithmic if the values differ much."""
        positive = [value for value in values if value > 0]
        spread = max(positive) / min(positive) if positive else 1
        if spread < WIDE:
            self._axes.locator_params(axis="x", nbins=5)
        else:
            self._axes.set_xscale("log")
            ends = self._axes.get_xlim()
            self._axes.set_xticks(find_log_ticks(*ends))
            ticker: Any = importlib.import_module("matplotlib.ticker")
            self._axes.xaxis.set_minor_locator(ticker.LogLocator(subs=tuple(range(1, 10)), numticks=99))
            self._axes.xaxis.set_minor_formatter("")
            self._axes.set_xlim(ends)
        self._axes.xaxis.set_major_formatter(_write_tick)

    def place_labels(self) -> None:
        """Puts each label at the corner of its point where it hides the fewest points and labels.

        The axes must have their final place.
        """
        box: Any = importlib.import_module("matplotlib.transforms").Bbox
        points = [self._axes.transData.transform(label.xy) for label in self._labels]
        taken = [box([point, point]).padded(10) for point in points]
        for label in self._labels:

            def count_hidden(corner: Any, label: Any = label) -> int:
                extent = _move(label, corner)
                inside = self._axes.bbox.contains(*extent.min) and self._axes.bbox.contains(*extent.max)
                return extent.count_overlaps(taken) + (0 if inside else 1)

            taken.append(_move(label, min(CORNERS, key=count_hidden)))

    def _write(self, text: str, place: tuple[float, float], offset: tuple[float, float], **style: Any) -> Any:
        written = self._axes.annotate(
            text, place, offset, textcoords="offset points", size=SMALL, annotation_clip=False, **style
        )
        written.set_in_layout(False)
        return written


def find_log_ticks(low: float, high: float) -> list[float]:
    """The ticks with numbers of a logarithmic axis: at least three, if multiples of powers of ten give so many."""
    found: list[float] = []
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for steps in STEPS:
        found = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(found) >= 3:
            break
    return found


def _space(ticks: Sequence[float], least: float) -> list[float]:
    """The ticks whose numbers have room on a logarithmic axis, from the largest on; `least` is a share of the axis."""
    kept: list[float] = []
    whole = log(ticks[-1] / ticks[0]) or 1
    for tick in reversed(ticks):
        if not kept or log(kept[-1] / tick) / whole >= least:
            kept.append(tick)
    return kept[::-1]


def _move(label: Any, corner: tuple[float, float, str, str]) -> Any:
    """Moves a label to a corner of its point; the box that it then covers."""
    label.set(position=corner[:2], ha=corner[2], va=corner[3])
    return label.get_window_extent()


def _list_errors(values: Sequence[Estimate]) -> list[list[float]]:
    """The distances to the intervals' lower and upper ends; 0 where there is no interval."""
    return [
        [0.0 if each.low is None else each.value - each.low for each in values],
        [0.0 if each.high is None else each.high - each.value for each in values],
    ]


def _write_tick(number: float, _: int) -> str:
    return compact(number)
