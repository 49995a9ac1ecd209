"""What accuracy costs: every cell at its tokens and accuracy, and those that no other beats on both."""

from __future__ import annotations

from collections.abc import Sequence

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.points import Point, Value
from scale_reasoning.report.plots.series import INTERVALS, caption, datasets_of, grouped, left_out, ours, swept


def frontier(page: Page, points: Sequence[Point]) -> None:
    """A panel a dataset; cells of a sweep are one series, each point labelled by its knobs."""
    shown = {id(point): tok for point in points if point.acc and (tok := point.tok())}
    known = [point for point in points if id(point) in shown]
    if not ours(known):
        raise ConfigError("plot frontier: these runs have no attempt that is scored and whose tokens were counted")
    knobs, datasets = swept(known), datasets_of(ours(known))
    page.title = "Accuracy by tokens a problem"
    page.caption = caption(
        known,
        INTERVALS,
        f"beside points: {', '.join(knobs)}" if knobs else "",
        left_out(len(points) - len(known), "nothing scored, or tokens unknown"),
    )
    panels = dict(zip(datasets, page.panels([1.9 if len(datasets) == 1 else 1.5] * len(datasets)), strict=True))
    for series in grouped(known, knobs, panels=True):
        xs, ys = ([*map(number, series.points)] for number in (lambda point: shown[id(point)], _acc))
        labels = [_beside(point, knobs) for point in series.points] if len(series.points) > 1 else []
        panels[series.dataset].points(xs, ys, series.look, labels)
    for dataset, panel in panels.items():
        here = [point for point in known if point.summary.dataset == dataset]
        best = pareto([(shown[id(point)].value, _acc(point).value) for point in ours(here)])
        panel.stairs(best, "Pareto frontier")
        panel.name(dataset)
        panel.y_axis("accuracy (%)", lowest=0, highest=100)
        panel.x_tokens("response tokens a problem" if dataset == datasets[-1] else "", [
            end for point in here for end in (shown[id(point)].low, shown[id(point)].value, shown[id(point)].high) if end
        ])  # fmt: skip


def pareto(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of (tokens, accuracy) that no other reaches with fewer tokens, by tokens."""
    best: list[tuple[float, float]] = []
    for tokens, accuracy in sorted(places, key=lambda place: (place[0], -place[1])):
        if not best or accuracy > best[-1][1]:
            best.append((tokens, accuracy))
    return best


def _acc(point: Point) -> Value:
    return point.acc or Value(value=0.0)


def _beside(point: Point, knobs: Sequence[str]) -> str:
    return ", ".join(str(point.knobs[knob]) for knob in knobs if knob in point.knobs)
