"""What accuracy costs: every cell at its tokens and accuracy, and those that no other beats on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import Point, Value
from scale_reasoning.report.plots.series import (
    INTERVALS,
    caption,
    datasets_of,
    grouped,
    left_out,
    most_swept,
    numbered,
    ours,
    setting,
    uncounted,
)


def frontier(page: Page, points: Sequence[Point]) -> None:
    """A panel per dataset; cells that differ in the most swept option are one series, its value beside each."""
    known = [point for point in points if point.acc and point.tok]
    if not ours(known):
        why = uncounted(points) or "no attempt is scored yet"
        raise ConfigError(f"plot frontier: {why}: no cell has both an accuracy and a number of tokens")
    option, datasets = most_swept(known), datasets_of(ours(known))
    page.title = "Accuracy by tokens per attempt"
    page.caption = caption(
        known,
        INTERVALS,
        f"beside points: {option}" if option else "",
        left_out(len(points) - len(known), uncounted(points) or "nothing scored"),
    )
    panels = dict(zip(datasets, page.panels([2.1 if len(datasets) == 1 else 1.7] * len(datasets)), strict=True))
    for series in grouped(known, [option] if option else [], panels=True):
        labels = [_beside(point, option) if len(series.points) > 1 else "" for point in series.points]
        look = replace(series.look, label=numbered(series.look.label, series.points, known))
        panels[series.dataset].points(_tokens(series.points), _accuracies(series.points), look, labels)
    for dataset, panel in panels.items():
        _finish(panel, dataset, [point for point in known if point.summary.dataset == dataset])
    panels[datasets[-1]].x_label("response tokens per attempt")


def _finish(panel: Panel, dataset: str, points: Sequence[Point]) -> None:
    mine = ours(points)
    tokens, accuracies = ([value.value for value in values] for values in (_tokens(mine), _accuracies(mine)))
    panel.stairs(pareto(list(zip(tokens, accuracies, strict=True))), "Pareto frontier")
    panel.name(dataset)
    panel.y_axis("accuracy (%)", lowest=0, highest=100)
    panel.x_tokens([end for value in _tokens(points) for end in (value.low, value.value, value.high) if end])


def pareto(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of (tokens, accuracy) that no other reaches with fewer tokens, by tokens."""
    best: list[tuple[float, float]] = []
    for tokens, accuracy in sorted(places, key=lambda place: (place[0], -place[1])):
        if not best or accuracy > best[-1][1]:
            best.append((tokens, accuracy))
    return best


def _tokens(points: Sequence[Point]) -> list[Value]:
    return [point.tok for point in points if point.tok]


def _accuracies(points: Sequence[Point]) -> list[Value]:
    return [point.acc for point in points if point.acc]


def _beside(point: Point, option: str | None) -> str:
    return setting(point.options[option]) if option in point.options else ""
