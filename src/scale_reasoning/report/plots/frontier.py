"""What accuracy costs: every cell at its tokens, or its cost, and its accuracy; the Pareto frontier of the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.intervals import Estimate
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import Point
from scale_reasoning.report.plots.series import (
    INTERVALS,
    find_datasets,
    find_main_option,
    group_series,
    note_left_out,
    note_uncounted,
    number_label,
    select_ours,
    write_caption,
    write_value,
)


def draw_frontier(page: Page, points: Sequence[Point]) -> None:
    """Draws a panel per dataset; cells that differ in the main option are one series with its values as labels."""
    costing = next((point.costing for point in points if point.costing), None)
    known = [point for point in points if point.acc and _find_x(point)]
    unknown = _note_unknown_costs(points) if costing else note_uncounted(points)
    if not select_ours(known):
        why, what = unknown or "no attempt is scored yet", "a cost" if costing else "a number of tokens"
        raise ConfigError(f"plot frontier: {why}: no cell has both an accuracy and {what}")
    option, datasets = find_main_option(known), find_datasets(select_ours(known))
    page.title = f"Accuracy by {'cost' if costing else 'tokens'} per attempt"
    page.caption = write_caption(
        known,
        INTERVALS,
        f"next to points: {option}" if option else "",
        note_left_out(len(points) - len(known), unknown or "nothing scored"),
    )
    panels = dict(zip(datasets, page.add_panels([2.1 if len(datasets) == 1 else 1.7] * len(datasets)), strict=True))
    for series in group_series(known, [option] if option else [], panels=True):
        labels = [_label(point, option) if len(series.points) > 1 else "" for point in series.points]
        look = replace(series.look, label=number_label(series.look.label, series.points, known))
        panels[series.dataset].draw_points(_list_xs(series.points), _list_accuracies(series.points), look, labels)
    ends = [end for x in _list_xs(known) for end in (x.low, x.value, x.high) if end]
    for dataset, panel in panels.items():
        _finish(panel, dataset, [point for point in known if point.summary.dataset == dataset], ends)
    panels[datasets[-1]].set_x_label(_name_axis(costing))


def _name_axis(costing: Costing | None) -> str:
    if costing is None:
        return "response tokens per attempt"
    return f"cost per attempt ({costing.unit})" if costing.unit else "cost per attempt"


def _note_unknown_costs(points: Sequence[Point]) -> str:
    return "; ".join(dict.fromkeys(point.summary.cost_note for point in points if point.summary.cost_note))


def _finish(panel: Panel, dataset: str, points: Sequence[Point], ends: Sequence[float]) -> None:
    """Draws the frontier and the axes; `ends` are those of the intervals in all panels, which have one kind of axis."""
    mine = select_ours(points)
    places = zip(_list_xs(mine), _list_accuracies(mine), strict=True)
    panel.draw_stairs(find_pareto([(x.value, acc.value) for x, acc in places]), "Pareto frontier")
    panel.set_title(dataset)
    panel.set_y("accuracy (%)", lowest=0, highest=100)
    panel.set_x_amounts(ends)


def find_pareto(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (amount, accuracy) whose accuracy no other reaches with as little, in the order of amounts."""
    best: list[tuple[float, float]] = []
    for amount, accuracy in sorted(places, key=lambda place: (place[0], -place[1])):
        if not best or accuracy > best[-1][1]:
            best.append((amount, accuracy))
    return best


def _list_xs(points: Sequence[Point]) -> list[Estimate]:
    return [x for point in points if (x := _find_x(point))]


def _find_x(point: Point) -> Estimate | None:
    return point.cost if point.costing else point.tok


def _list_accuracies(points: Sequence[Point]) -> list[Estimate]:
    return [point.acc for point in points if point.acc]


def _label(point: Point, option: str | None) -> str:
    return write_value(point.options[option]) if option in point.options else ""
