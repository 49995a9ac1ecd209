"""Which stages spend the tokens: a cell's response tokens in one bar, stage after stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.intervals import Estimate
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.points import Point, measure
from scale_reasoning.report.plots.series import (
    INTERVALS,
    check_room,
    group_series,
    note_left_out,
    note_uncounted,
    number_label,
    select_ours,
    write_caption,
)
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import Stage

MOST_BARS = 60


def draw_stages(page: Page, points: Sequence[Point]) -> None:
    """Draws a bar per cell, over the attempts whose tokens were counted."""
    mine = select_ours(points)
    known = [point for point in mine if _leave_out_uncounted(point).summary.tok is not None]
    if not known:
        why = note_uncounted(mine) or "no attempt is completed yet"
        raise ConfigError(f"plot stages: {why}: there is nothing to draw")
    check_room(len(known), "cells", MOST_BARS)
    page.title = "Response tokens per attempt, by stage"
    uncounted = note_uncounted(known)
    page.caption = write_caption(
        known,
        INTERVALS + " (of the total)",
        f"{uncounted}: left out" if uncounted else "",
        note_left_out(len(mine) - len(known), note_uncounted(p for p in mine if p not in known) or "nothing completed"),
    )
    datasets = list(dict.fromkeys(point.summary.dataset for point in known))
    known.sort(key=lambda point: datasets.index(point.summary.dataset))
    bars = [(series.look.label, point) for series in group_series(known, ()) for point in series.points]
    counted = [_leave_out_uncounted(point) for _, point in bars]
    names = [*map(str, Stage), *(name for point in known for name in point.summary.tok_by_stage)]
    (panel,) = page.add_panels([0.45 + 0.3 * len(known)])
    panel.draw_stacks(
        [number_label(label, [point], known) + _mark(point) for label, point in bars],
        # Stages without tokens are here too, so that a stage has the same colour in every plot.
        {name: [point.summary.tok_by_stage.get(name) or 0.0 for point in counted] for name in names},
        [point.tok or Estimate(value=0.0) for point in counted],
    )
    panel.set_x_amounts()
    panel.set_x_label("response tokens per attempt")


def _mark(point: Point) -> str:
    """What a bar leaves out, in brackets."""
    found, missing = point.summary, point.summary.uncounted
    marks = ["incomplete"] * bool(found.pending)
    marks += [f"{found.completed - missing} of {found.completed} attempts"] * bool(missing)
    return f" ({', '.join(marks)})" if marks else ""


def _leave_out_uncounted(point: Point) -> Point:
    """The point of the attempts whose tokens were counted."""
    if point.summary.tok is not None or point.cell is None:
        return point
    outcomes = tuple(outcome for outcome in point.cell.outcomes if outcome.pending or _is_counted(outcome))
    return measure(replace(point.cell, outcomes=outcomes), point.summary.denominator)


def _is_counted(outcome: Outcome) -> bool:
    usages = (outcome.usage, *outcome.by_stage.values())
    return all(usage.completion_tokens is not None for usage in usages)
