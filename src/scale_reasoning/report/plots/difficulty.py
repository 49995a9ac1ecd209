"""Are hard sub-problems where answers go wrong? Assessed difficulties of right and of wrong attempts, tau marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from scale_reasoning.errors import ConfigError
from scale_reasoning.report import intervals
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import Point, Value
from scale_reasoning.report.plots.series import INTERVALS, MOST_PANELS, Series, caption, grouped, ours, swept
from scale_reasoning.report.plots.style import shown
from scale_reasoning.runs.outcome import Outcome

BINS = 10


def difficulty(page: Page, points: Sequence[Point]) -> None:
    """A panel a dataset (and model, and strategy): the share of an outcome's sub-problems in each tenth.

    A tenth includes its upper end, as System 1 does tau: what is left of a tau line on a tenth went to System 1.
    """
    assessed = [point for point in ours(points) if any(map(_difficulties, _graded(point)))]
    if not assessed:
        raise ConfigError(
            "plot difficulty: these runs have no graded attempt with an assessed difficulty: it needs the "
            "strategy scale with route = threshold"
        )
    everything = grouped(assessed, swept(assessed))
    if len(everything) > MOST_PANELS:
        raise ConfigError(f"{len(everything)} histograms: a plot has room for {MOST_PANELS}; name fewer runs")
    pooled = max(len(series.points) for series in everything)
    page.title = "Assessed difficulty by outcome"
    page.caption = caption(
        assessed,
        INTERVALS,
        f"up to {pooled} cells pooled in a panel" if pooled > 1 else "",
        "N: sub-problems in correct, in wrong attempts",
    )
    panels = page.panels([1.6 if len(everything) == 1 else 1.3] * len(everything), share_x=True)
    for series, panel in zip(everything, panels, strict=True):
        _histogram(panel, series)
    panels[-1].x_span("assessed difficulty", 0, 1)


def _histogram(panel: Panel, series: Series) -> None:
    outcomes = [outcome for point in series.points for outcome in _graded(point)]
    counts: list[str] = []
    for side, (name, correct) in enumerate((("correct", True), ("wrong", False))):
        chosen = [outcome for outcome in outcomes if outcome.correct is correct]
        counts.append(str(sum(len(_difficulties(outcome)) for outcome in chosen)))
        centres = [(place + 0.28 + 0.44 * side) / BINS for place in range(BINS)]
        panel.bars(centres, shares(chosen), 0.44 / BINS, f"in {name} attempts", side)
    for tau in sorted(
        {float(tau) for point in series.points if isinstance(tau := point.options.get("tau"), int | float)}
    ):
        panel.vertical(tau, "τ")
    panel.name(f"{shown(series.look.label, 26)} (N = {', '.join(counts)})")
    panel.y_axis("sub-problems (%)", lowest=0)


def shares(outcomes: Sequence[Outcome]) -> list[Value]:
    """Percent of the outcomes' assessed sub-problems in each tenth, (a, b]; 0 is in the first."""
    by_problem: dict[str, list[int]] = {}
    for outcome in outcomes:
        places = by_problem.setdefault(outcome.problem_id, [])
        places += [max(0, min(BINS, ceil(each * BINS - 1e-9)) - 1) for each in _difficulties(outcome)]
    groups = [by_problem[name] for name in sorted(by_problem)]
    return [_share(groups, lambda places, place=place: places.count(place)) for place in range(BINS)]


def _share(groups: Sequence[list[int]], count: Callable[[list[int]], int]) -> Value:
    found = intervals.share([*map(count, groups)], [*map(len, groups)])
    return Value(value=found.value, low=found.low, high=found.high).times(100) if found else Value(value=0.0)


def _graded(point: Point) -> list[Outcome]:
    return [outcome for group in point.counted() for outcome in group if outcome.correct is not None]


def _difficulties(outcome: Outcome) -> list[float]:
    return [each for each in outcome.difficulties if each is not None]
