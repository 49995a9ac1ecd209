"""Where the tokens go: a cell's response tokens, stage upon stage."""

from __future__ import annotations

from collections.abc import Sequence

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.points import Point, Value
from scale_reasoning.report.plots.series import INTERVALS, caption, grouped, left_out, ours
from scale_reasoning.types import Stage

MOST_BARS = 60


def stages(page: Page, points: Sequence[Point]) -> None:
    """A bar a cell, its name above it, its total at its end."""
    mine = ours(points)
    known = [point for point in mine if point.summary.tok is not None]
    if not known:
        raise ConfigError("plot stages: these runs have no attempt whose tokens were counted")
    if len(known) > MOST_BARS:
        raise ConfigError(f"{len(known)} cells: a plot has room for {MOST_BARS}; name fewer runs")
    page.title = "Response tokens a problem, by stage"
    page.caption = caption(
        known, INTERVALS + " (of the total)", left_out(len(mine) - len(known), "nothing done, or tokens unknown")
    )
    datasets = list(dict.fromkeys(point.summary.dataset for point in known))
    known.sort(key=lambda point: datasets.index(point.summary.dataset))
    (panel,) = page.panels([0.45 + 0.3 * len(known)])
    order = [str(stage) for stage in Stage]
    found = dict.fromkeys(name for point in known for name in point.summary.tok_by_stage)
    names = list(dict.fromkeys([*order, *found]))  # all of them: a stage has one colour in every plot
    bars = [(series.look.label, point) for series in grouped(known, ()) for point in series.points]
    for row, (label, point) in enumerate(bars):
        parts = {name: point.summary.tok_by_stage.get(name) or 0.0 for name in names}
        mark = " (incomplete)" if point.summary.owed else ""
        panel.stack(row, label + mark, parts, point.tok or Value(value=0.0))
    panel.rows("response tokens a problem", len(known), names)
