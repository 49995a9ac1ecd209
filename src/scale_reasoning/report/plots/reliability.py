"""Do difficulties say that System 1 fails? A reliability diagram per assessor, and the risk by coverage of all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from scale_reasoning.report.assessors.lines import AssessedCell, describe_truth
from scale_reasoning.report.assessors.measures import compute_risk, count_levels, fill_bins
from scale_reasoning.report.assessors.resampling import AssessedStep, draw_problems, measure_all
from scale_reasoning.report.intervals import Estimate, estimate_share
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.series import INTERVALS, MOST_PANELS, Look, check_room

COVERAGES = tuple(place / 10 for place in range(1, 11))


def draw_reliability(page: Page, cells: Sequence[AssessedCell], truth: str) -> None:
    """Draws a panel per assessor (and dataset, model, row): failures by difficulty, in bins of equal mass; and a last
    panel with the risk of each by coverage.
    """
    named = [
        (_name(each, assessor, cells), steps) for each in cells for assessor, steps in each.found.assessors.items()
    ]
    check_room(len(named) + 1, "panels", MOST_PANELS)
    page.title = "Assessed difficulty and failures of System 1"
    pending = sum(each.found.pending for each in cells)
    page.caption = "; ".join(
        [
            describe_truth(truth),
            f"INCOMPLETE: {pending} attempts pending, left out" if pending else "no attempts pending",
            f"at most 10 bins with about equally many steps; {INTERVALS}",
            "risk: share of the easiest steps on which System 1 fails",
        ]
    )
    *panels, last = page.add_panels([1.25] * len(named) + [1.6])
    for place, (panel, (name, steps)) in enumerate(zip(panels, named, strict=True)):
        _draw_bins(panel, name, steps, place)
    for place, (name, steps) in enumerate(named):
        _draw_risk(last, steps, Look(label=name, place=place))
    last.set_title("risk by coverage")
    last.set_y("System 1 fails (%)", lowest=0)
    last.set_x_range("coverage: the easiest steps (%)", 0, 103)


def _name(each: AssessedCell, assessor: str, cells: Sequence[AssessedCell]) -> str:
    """An assessor with what sets its cell apart from the others."""
    fields = [(one.cell.dataset, one.cell.model, f"row {one.row}", one.cell.run) for one in cells]
    own = (each.cell.dataset, each.cell.model, f"row {each.row}", each.cell.run)
    shown = [word for place, word in enumerate(own) if len({words[place] for words in fields}) > 1]
    return ", ".join([assessor, *shown])


def _draw_bins(panel: Panel, name: str, steps: Sequence[AssessedStep], place: int) -> None:
    ordered = sorted(steps, key=lambda step: step.difficulty)
    difficulties: list[Estimate] = []
    shares: list[Estimate] = []
    for each in fill_bins(count_levels((step.difficulty, step.fails) for step in steps)):
        filled, ordered = ordered[: each.steps], ordered[each.steps :]
        difficulties.append(Estimate(value=each.difficulty))
        shares.append(estimate_failures(filled).multiply(100))
    panel.draw_diagonal((0, 0), (1, 100), "difficulty = share that fails")
    panel.draw_points(difficulties, shares, Look(label=name, place=place), [""] * len(shares))
    panel.set_title(f"{name} (N = {len(steps)})")
    panel.set_y("System 1 fails (%)", lowest=0, highest=100)
    panel.set_x_range("difficulty", -0.03, 1.03)


def estimate_failures(steps: Sequence[AssessedStep]) -> Estimate:
    """The share of steps that fail, with its interval over problems."""
    problems = dict.fromkeys(step.problem_id for step in steps)
    tops, bottoms = dict.fromkeys(problems, 0), dict.fromkeys(problems, 0)
    for step in steps:
        tops[step.problem_id] += step.fails
        bottoms[step.problem_id] += 1
    return estimate_share(list(tops.values()), list(bottoms.values())) or Estimate(value=0.0)


def _draw_risk(panel: Panel, steps: Sequence[AssessedStep], look: Look) -> None:
    measures = {str(each): partial(compute_risk, coverage=each) for each in COVERAGES}
    draws = draw_problems(len({step.problem_id for step in steps}), 0)
    found = measure_all(steps, measures, draws)
    risks = [Estimate(value=each.value or 0.0, low=each.low, high=each.high).multiply(100) for each in found.values()]
    panel.draw_line([100 * each for each in COVERAGES], risks, look)
