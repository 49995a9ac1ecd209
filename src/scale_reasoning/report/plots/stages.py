"""Where the tokens go: a cell's response tokens, stage upon stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.points import Point, Value, measured
from scale_reasoning.report.plots.series import INTERVALS, caption, grouped, left_out, numbered, ours, uncounted
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import Stage

MOST_BARS = 60


def stages(page: Page, points: Sequence[Point]) -> None:
    """A bar per cell, its name above it, its total at its end; over the attempts whose tokens were counted."""
    mine = ours(points)
    known = [point for point in mine if _counted(point).summary.tok is not None]
    if not known:
        why = uncounted(mine) or "no attempt is completed yet"
        raise ConfigError(f"plot stages: {why}: there is nothing to draw")
    if len(known) > MOST_BARS:
        raise ConfigError(f"{len(known)} cells: a plot has room for {MOST_BARS}; name fewer runs")
    page.title = "Response tokens per attempt, by stage"
    partly = uncounted(known)
    page.caption = caption(
        known,
        INTERVALS + " (of the total)",
        f"{partly}: left out" if partly else "",
        left_out(len(mine) - len(known), uncounted(p for p in mine if p not in known) or "nothing completed"),
    )
    datasets = list(dict.fromkeys(point.summary.dataset for point in known))
    known.sort(key=lambda point: datasets.index(point.summary.dataset))
    (panel,) = page.panels([0.45 + 0.3 * len(known)])
    found = dict.fromkeys(name for point in known for name in point.summary.tok_by_stage)
    names = list(dict.fromkeys([*map(str, Stage), *found]))  # all of them: a stage has one colour in every plot
    bars = [
        (numbered(series.look.label, [point], known), point) for series in grouped(known, ()) for point in series.points
    ]
    for row, (label, point) in enumerate(bars):
        counted = _counted(point)
        parts = {name: counted.summary.tok_by_stage.get(name) or 0.0 for name in names}
        panel.stack(row, label + _mark(point), parts, counted.tok or Value(value=0.0))
    panel.rows("response tokens per attempt", len(known), names)


def _mark(point: Point) -> str:
    found, missing = point.summary, point.summary.uncounted
    marks = [
        "incomplete" if found.pending else "",
        f"{found.completed - missing} of {found.completed} attempts" if missing else "",
    ]
    told = ", ".join(filter(None, marks))
    return f" ({told})" if told else ""


def _counted(point: Point) -> Point:
    """The point of the attempts whose tokens were counted."""
    if point.summary.tok is not None or point.cell is None:
        return point
    outcomes = tuple(outcome for outcome in point.cell.outcomes if outcome.pending or _is_counted(outcome))
    return measured(replace(point.cell, outcomes=outcomes), point.summary.denominator)


def _is_counted(outcome: Outcome) -> bool:
    usages = (outcome.usage, *outcome.by_stage.values())
    return all(usage.completion_tokens is not None for usage in usages)
