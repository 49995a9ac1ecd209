"""Writes the report on assessors as a table with notes, as JSON, or as CSV."""

from __future__ import annotations

from typing import cast

import msgspec

from scale_reasoning.report.assessors.lines import Assessed, Line, describe_truth, is_calibrated
from scale_reasoning.report.formats import NOTHING, UNKNOWN, Best, Column, Grid, count, percent, span
from scale_reasoning.report.tables import build_flat
from scale_reasoning.report.writers import WRITERS, Format, Writers
from scale_reasoning.types import JSON

TEXTS = frozenset({"dataset", "model", "row", "assessor"})
"""Headings of columns that are not numbers."""
LEGEND = (
    "AUROC: chance that a step on which System 1 fails is rated harder than another, 0.5 is chance. Brier and ECE: "
    "distance between difficulties and failures, 0 is best. AURC: mean risk over all coverages; risk at 50 % and 80 %: "
    "share that fails among the easiest steps. Calls and tokens: per step, shared drafts included. 95 % intervals over "
    "problems."
)
MAPS = "The maps are fitted on these steps, for other problems with the same model and the assessor's own options."


def render_assessed(found: Assessed, format: Format, writers: Writers = WRITERS) -> str:  # noqa: A002 - the flag's name
    """Writes the report as one text. JSON is an object with Assessed's keys; CSV has a line per Line and no notes."""
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    if format == "csv":
        return writers["csv"](build_flat([cast("dict[str, JSON]", msgspec.to_builtins(line)) for line in found.lines]))
    return writers[format](build_assessed_grid(found))


def build_assessed_grid(found: Assessed) -> Grid:
    """A table with a line per assessor; its notes have the truth, what was left out, and the fitted maps."""
    several = len({line.run for line in found.lines}) > 1
    rows = [write_line(line, several=several) for line in found.lines]
    return Grid(
        columns=[_make_column(name) for name in rows[0]] if rows else [],
        rows=[list(row.values()) for row in rows],
        blocks=[f"{row['dataset']} {row['model']} {row['row']}" for row in rows],
        notes=[f"{describe_truth(found.truth)}. {LEGEND}", *list_notes(found), *list_maps(found)],
    )


def _make_column(name: str) -> Column:
    best: Best = "high" if name.startswith("AUROC") else "low" if name.startswith(("Brier", "ECE", "AURC")) else ""
    return Column(name=name, number=name not in TEXTS, best=best, spare=name.startswith(("risk at", "calls", "fell")))


def write_line(line: Line, *, several: bool = False) -> dict[str, str]:
    """Writes a line of the table: by heading, the text of each column."""
    texts = {
        "dataset": line.dataset,
        "model": line.model,
        "row": f"{line.run}:{line.row}" if several else str(line.row),
        "assessor": line.assessor,
        "steps": str(line.steps),
        "problems": str(line.problems),
        "S1 fails % [95 %]": _write_share(line.fails, line.fails_low, line.fails_high),
        "AUROC [95 %]": _write_number(line.auroc, line.auroc_low, line.auroc_high),
        "Brier [95 %]": _write_number(line.brier, line.brier_low, line.brier_high),
        "ECE [95 %]": _write_number(line.ece, line.ece_low, line.ece_high),
        "AURC [95 %]": _write_number(line.aurc, line.aurc_low, line.aurc_high),
        "risk at 50 % [95 %]": _write_share(line.risk50, line.risk50_low, line.risk50_high),
        "risk at 80 % [95 %]": _write_share(line.risk80, line.risk80_low, line.risk80_high),
        "calls": count(line.calls),
        "tokens [95 %]": _write_tokens(line),
        "fell back %": percent(line.fallback),
    }
    if line.system2_steps is not None:
        texts["S2 fails % [95 %]"] = _write_share(line.system2_fails, line.system2_fails_low, line.system2_fails_high)
    return texts


def list_notes(found: Assessed) -> list[str]:
    """What the lines leave out, and what is undefined."""
    notes = [
        f"{left.dataset}, {left.model}, row {left.row}: {left.count:,} of {left.of:,} left out, {left.why}."
        for left in found.left_out
    ]
    if any(line.auroc is None for line in found.lines):
        notes.append(f"AUROC is {NOTHING} where System 1 fails on no step, or on all.")
    return notes


def list_maps(found: Assessed) -> list[str]:
    """The fitted map of each line, as options of `scale`."""
    maps = [
        f"{line.dataset}, {line.model}, row {line.row}, {line.assessor} ({line.map_fit}): {write_map(line)}"
        for line in found.lines
    ]
    return [MAPS, *maps] if any(line.map for line in found.lines) else maps


def write_map(line: Line) -> str:
    """The options that use a line's map; why there is none where there is none."""
    if is_calibrated(line.assessor):
        return "no map, because it has one"
    if line.map is None:
        return "no map, because System 1 fails on no step, or on all"
    return f"--assess calibrated --set assess.of={line.assessor} --set 'assess.map={line.map}'"


def _write_share(share: float | None, low: float | None, high: float | None) -> str:
    return f"{percent(share)} {span(low, high)}".rstrip()


def _write_number(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def _write_tokens(line: Line) -> str:
    if line.tokens is None:
        return UNKNOWN
    low, high = line.tokens_low, line.tokens_high
    return count(line.tokens) + ("" if low is None or high is None else f" [{count(low)}, {count(high)}]")
