"""Do answers go wrong on hard sub-problems? Assessed difficulties in right and in wrong attempts, with tau."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.intervals import Estimate, estimate_share
from scale_reasoning.report.metrics import group_by_problem
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import Point
from scale_reasoning.report.plots.series import (
    INTERVALS,
    MOST_PANELS,
    Series,
    check_room,
    find_options,
    group_series,
    select_ours,
    write_caption,
)
from scale_reasoning.report.plots.style import shorten
from scale_reasoning.runs.outcome import Outcome

BINS = 10


def draw_difficulty(page: Page, points: Sequence[Point]) -> None:
    """Draws a panel per dataset (and model, and strategy): the share of an outcome's sub-problems in each tenth.

    A tenth includes its upper end, as System 1 includes tau: tenths to the left of a tau line went to System 1.
    """
    assessed = [point for point in select_ours(points) if any(map(_list_difficulties, _select_graded(point)))]
    if not assessed:
        raise ConfigError(
            "plot difficulty: these runs have no graded attempt with an assessed difficulty: it needs the "
            "strategy scale with route = threshold"
        )
    series = group_series(assessed, find_options(assessed))
    check_room(len(series), "histograms", MOST_PANELS)
    pooled = max(len(each.points) for each in series)
    page.title = "Assessed difficulty by outcome"
    page.caption = write_caption(
        assessed,
        INTERVALS,
        f"up to {pooled} cells pooled in a panel" if pooled > 1 else "",
        "N: sub-problems in correct, in wrong attempts",
    )
    panels = page.add_panels([1.6 if len(series) == 1 else 1.3] * len(series), share_x=True)
    for each, panel in zip(series, panels, strict=True):
        _draw_histogram(panel, each)
    panels[-1].set_x_range("assessed difficulty", 0, 1)


def _draw_histogram(panel: Panel, series: Series) -> None:
    outcomes = [outcome for point in series.points for outcome in _select_graded(point)]
    counts: list[str] = []
    for side, (name, correct) in enumerate((("correct", True), ("wrong", False))):
        chosen = [outcome for outcome in outcomes if outcome.correct is correct]
        counts.append(str(sum(len(_list_difficulties(outcome)) for outcome in chosen)))
        centres = [(place + 0.28 + 0.44 * side) / BINS for place in range(BINS)]
        panel.draw_bars(centres, estimate_shares(chosen), 0.44 / BINS, f"in {name} attempts", side)
    taus = {float(tau) for point in series.points if isinstance(tau := point.options.get("tau"), int | float)}
    for tau in sorted(taus):
        panel.draw_vertical(tau, "τ")
    panel.set_title(f"{shorten(series.look.label, 26)} (N = {', '.join(counts)})")
    panel.set_y("sub-problems (%)", lowest=0)


def estimate_shares(outcomes: Sequence[Outcome]) -> list[Estimate]:
    """Percent of the outcomes' assessed sub-problems in each tenth, (a, b]; 0 is in the first."""
    groups = [[_find_tenth(d) for o in group for d in _list_difficulties(o)] for group in group_by_problem(outcomes)]
    shares = [estimate_share([group.count(place) for group in groups], [*map(len, groups)]) for place in range(BINS)]
    return [share.multiply(100) if share else Estimate(value=0.0) for share in shares]


def _find_tenth(difficulty: float) -> int:
    return max(0, min(BINS, ceil(difficulty * BINS - 1e-9)) - 1)


def _select_graded(point: Point) -> list[Outcome]:
    return [outcome for group in point.outcomes for outcome in group if outcome.correct is not None]


def _list_difficulties(outcome: Outcome) -> list[float]:
    return [each for each in outcome.difficulties if each is not None]
