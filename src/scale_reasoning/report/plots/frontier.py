"""What accuracy costs: every cell at its tokens and its accuracy, and the Pareto frontier of the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scale_reasoning.errors import ConfigError
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
    known = [point for point in points if point.acc and point.tok]
    if not select_ours(known):
        why = note_uncounted(points) or "no attempt is scored yet"
        raise ConfigError(f"plot frontier: {why}: no cell has both an accuracy and a number of tokens")
    option, datasets = find_main_option(known), find_datasets(select_ours(known))
    page.title = "Accuracy by tokens per attempt"
    page.caption = write_caption(
        known,
        INTERVALS,
        f"next to points: {option}" if option else "",
        note_left_out(len(points) - len(known), note_uncounted(points) or "nothing scored"),
    )
    panels = dict(zip(datasets, page.add_panels([2.1 if len(datasets) == 1 else 1.7] * len(datasets)), strict=True))
    for series in group_series(known, [option] if option else [], panels=True):
        labels = [_label(point, option) if len(series.points) > 1 else "" for point in series.points]
        look = replace(series.look, label=number_label(series.look.label, series.points, known))
        panels[series.dataset].draw_points(_list_tokens(series.points), _list_accuracies(series.points), look, labels)
    for dataset, panel in panels.items():
        _finish(panel, dataset, [point for point in known if point.summary.dataset == dataset])
    panels[datasets[-1]].set_x_label("response tokens per attempt")


def _finish(panel: Panel, dataset: str, points: Sequence[Point]) -> None:
    mine = select_ours(points)
    places = zip(_list_tokens(mine), _list_accuracies(mine), strict=True)
    panel.draw_stairs(find_pareto([(tok.value, acc.value) for tok, acc in places]), "Pareto frontier")
    panel.set_title(dataset)
    panel.set_y("accuracy (%)", lowest=0, highest=100)
    ends = [end for tok in _list_tokens(points) for end in (tok.low, tok.value, tok.high) if end]
    panel.set_x_tokens(ends)


def find_pareto(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (tokens, accuracy) whose accuracy no other reaches with as few tokens, in the order of tokens."""
    best: list[tuple[float, float]] = []
    for tokens, accuracy in sorted(places, key=lambda place: (place[0], -place[1])):
        if not best or accuracy > best[-1][1]:
            best.append((tokens, accuracy))
    return best


def _list_tokens(points: Sequence[Point]) -> list[Estimate]:
    return [point.tok for point in points if point.tok]


def _list_accuracies(points: Sequence[Point]) -> list[Estimate]:
    return [point.acc for point in points if point.acc]


def _label(point: Point, option: str | None) -> str:
    return write_value(point.options[option]) if option in point.options else ""
