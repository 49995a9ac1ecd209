"""A reproduction at a glance: each number of the paper and ours, with the gap's interval, in the verdict's colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from scale_reasoning.errors import ConfigError
from scale_reasoning.report import chain_votes
from scale_reasoning.report.intervals import Estimate
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.series import check_room
from scale_reasoning.report.plots.style import PAPER, style_verdict
from scale_reasoning.report.reproduce import Line, Measure, Reproduction
from scale_reasoning.report.reproduce_table import NAMES
from scale_reasoning.report.unpaired import FACTOR, Verdict

AXES: dict[Measure, str] = {
    "Acc": "accuracy (%)",
    "Hard": "iterations in System 2 (%)",
    "Tok": "Tok (sub-problems)",
    "Tpi": "Tpi (sub-problems)",
}
WHISKERS = (
    "whiskers: 95 % interval of the gap on the same problems, which reaches the paper's mark unless the verdict is "
    "above or below"
)
MOST_ROWS = 60
MOST_MEASURED = 24
"""Rows up to which a page has panels for other measures than accuracy."""
ROW, REST = 0.115, 0.55
"""Inches of a row, and of a panel besides its rows."""


def draw_reproduction(page: Page, found: Reproduction) -> None:
    """Draws a panel per measure with a row per number of the paper. Raises ConfigError if there is none to draw."""
    panels: dict[Measure, list[Line]] = {}
    for measure in AXES:
        lines = [line for line in found.lines if line.measure == measure]
        if known := [line for line in lines if line.paper is not None and line.ours is not None]:
            panels[measure] = known
    if not panels:
        raise ConfigError("plot: no number of the paper has one of ours yet")
    check_room(max(map(len, panels.values())), "cells", MOST_ROWS)
    accuracies = panels.get("Acc", [])
    alone = len(accuracies) > MOST_MEASURED
    panels = {"Acc": accuracies} if alone else panels
    page.title = f"{NAMES[found.table]}: the paper and ours"
    page.caption = _write_caption(found) + "; other measures: in the table" * alone
    axes = page.add_panels([ROW * len(lines) + REST for lines in panels.values()])
    for panel, (measure, lines) in zip(axes, panels.items(), strict=True):
        _draw_measure(panel, measure, lines)


def _draw_measure(panel: Panel, measure: Measure, lines: Sequence[Line]) -> None:
    panel.draw_rows(_label(lines))
    scale = 100 if measure in {"Acc", "Hard"} else 1
    rows = range(len(lines))
    printed = [Estimate(value=(line.paper or 0.0) * scale) for line in lines]
    for verdict in get_args(Verdict):
        mine = [row for row in rows if lines[row].verdict == verdict]
        if mine:
            spans = [_span(lines[row]).multiply(scale) for row in mine]
            panel.draw_spans(mine, spans, verdict, style_verdict(verdict))
    panel.draw_spans(rows, printed, "paper", {**style_verdict(PAPER), "markersize": 4.6, "markerfacecolor": "none"})
    if scale == 1:
        panel.set_x_amounts([each.value for each in printed] + [line.ours or 0.0 for line in lines])
    panel.set_x_label(AXES[measure])


def _span(line: Line) -> Estimate:
    """Ours with the interval of the gap around it: the paper's number is outside where the gap is one."""
    value, paper = line.ours or 0.0, line.paper or 0.0
    if line.low is None or line.high is None:
        return Estimate(value=value)
    if line.measure in {"Acc", "Hard"}:
        return Estimate(value=value, low=max(0.0, paper + line.low), high=min(1.0, paper + line.high))
    return Estimate(value=value, low=paper * line.low, high=paper * line.high)


def _label(lines: Sequence[Line]) -> list[str]:
    """Model, dataset and cell of each line, without what all have in common."""
    parts = [
        (line.paper_model or line.model, line.dataset, line.cell.replace(f" ({chain_votes.ROW})", "")) for line in lines
    ]
    shown = [place for place in range(3) if len({part[place] for part in parts}) > 1] or [2]
    return [" ".join(part[place] for place in shown) for part in parts]


def _write_caption(found: Reproduction) -> str:
    lines = [line for line in found.lines if line.measure == "Acc"]
    pending, planned = sum(line.pending for line in lines), sum(line.planned for line in lines)
    models = dict.fromkeys(line.model for line in lines)
    parts = [
        ", ".join(models),
        WHISKERS,
        f"compatible: within {found.margin * 100:g} points or a factor of {FACTOR:g}",
        f"INCOMPLETE: {pending} of {planned} attempts pending" if pending else "no attempts pending",
        "failed attempts left out" if found.denominator == "completed" else "failed attempts wrong",
    ]
    return "; ".join(parts)
