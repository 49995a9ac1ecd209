"""A reproduction as a table, a line per number of the paper, and the notes below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

import msgspec

from scale_reasoning.report.formats import NOTHING, UNKNOWN, Column, Grid, count, percent
from scale_reasoning.report.intervals import ALPHA
from scale_reasoning.report.notes import LEFT_OUT
from scale_reasoning.report.paper import PROBLEMS, SAMPLES
from scale_reasoning.report.reproduce import Line, Measure, Reproduction
from scale_reasoning.report.tables import build_flat
from scale_reasoning.report.unpaired import FACTOR, Verdict
from scale_reasoning.report.writers import WRITERS, Format, Writers

NAMES = {"table1": "Table 1", "table2": "Table 2", "figure2": "Figure 2", "table3": "Table 3"}
HOLDS = "*"
"""Marks a verdict that holds for all lines of the measure together."""


def render_reproduction(
    found: Reproduction,
    format: Format,  # noqa: A002 - the flag's name
    writers: Writers = WRITERS,
) -> str:
    """Writes a reproduction: JSON is an object with all lines, CSV has a line's fields as they are."""
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(_list_fields(found)), indent=2).decode() + "\n"
    if format == "csv":
        return writers["csv"](build_flat([msgspec.to_builtins(line) for line in found.lines]))
    return writers[format](build_grid(found))


def _list_fields(found: Reproduction) -> dict[str, object]:
    return {
        "table": found.table,
        "denominator": found.denominator,
        "margin": found.margin,
        "token_factor": FACTOR,
        "lines": list(found.lines),
        "missing": list(found.missing),
    }


def build_grid(found: Reproduction) -> Grid:
    """Puts the lines into a table."""
    several = len({line.model for line in found.lines}) > 1
    texts = ["row", *(["model"] if several else []), "dataset", "cell", "measure"]
    numbers = ["paper", "ours", "ours - paper [95 %]"]
    counts = ["planned", "completed", "failed", "pending"]
    columns = [
        *(Column(name=name) for name in texts),
        *(Column(name=name, number=True) for name in numbers),
        Column(name="verdict"),
        *(Column(name=name, number=True, spare=True) for name in counts),
    ]
    return Grid(columns=columns, rows=[_write_row(line, several=several) for line in found.lines], notes=_note(found))


def _write_row(line: Line, *, several: bool) -> list[str]:
    verdict = f"{line.verdict} {HOLDS}" if line.holds and line.verdict in {"above", "below"} else line.verdict
    return [
        line.row,
        *([line.model] if several else []),
        line.dataset,
        line.cell,
        line.measure,
        _write_paper(line),
        _write_number(line.measure, line.ours) if line.ours is not None else UNKNOWN if line.completed else NOTHING,
        write_gap(line),
        f"{verdict}: {line.why}" if line.why else verdict,
        *map(str, (line.planned, line.completed, line.failed, line.pending)),
    ]


def _write_paper(line: Line) -> str:
    mark = f" {LEFT_OUT}" if line.measure == "Acc" and _count_left_out(line) else ""
    return _write_number(line.measure, line.paper) + mark


def _write_number(measure: Measure, value: float | None) -> str:
    return percent(value) if measure in {"Acc", "Hard"} else count(value)


def write_gap(line: Line) -> str:
    """Ours minus the paper's in points, or over it, with its interval."""
    if line.gap is None or line.low is None or line.high is None:
        return NOTHING
    if line.measure in {"Acc", "Hard"}:
        return f"{round(line.gap * 100, 2) + 0.0:+.2f} [{line.low * 100:+.1f}, {line.high * 100:+.1f}]"
    return f"x {line.gap:.2f} [{line.low:.2f}, {line.high:.2f}]"


def _count_left_out(line: Line) -> int:
    """The attempts that the paper's percentage leaves out; 0 for a vote, whose number is that of the problems."""
    if line.paper_attempts is None or line.paper_attempts <= PROBLEMS[line.dataset]:
        return 0
    return PROBLEMS[line.dataset] * SAMPLES - line.paper_attempts


def _note(found: Reproduction) -> list[str]:
    legend = (
        f"{NAMES[found.table]} of the paper. Acc and Hard in %, their gap in points; Tok and Tpi: response tokens to "
        "sub-problems per attempt and per iteration, as the paper counts them, their gap a factor. Intervals are of "
        "the gap on the same problems: they have the chance of both sides' samples in them, not that of other problems."
    )
    rule = (
        f"compatible: the interval has no gap in it and is within {found.margin * 100:g} points (Tok, Tpi: a factor of "
        f"{FACTOR:g}); above, below: it leaves out no gap; cannot tell: neither."
    )
    return [legend, rule, *_note_chance(found.lines), *_note_denominators(found), *_note_cells(found)]


def _note_chance(lines: Sequence[Line]) -> list[str]:
    """How many false alarms to expect, and which verdicts hold in spite of their number."""
    tested = Counter(line.measure for line in lines if line.p_value is not None)
    if not tested:
        return []
    expected = ", ".join(f"{ALPHA * n:.2g} of {n} for {measure}" for measure, n in tested.items())
    note = (
        f"If all were equal, chance alone would call about {expected} above or below. {HOLDS}: holds for all "
        f"lines of the measure together (Holm's method, {ALPHA:.0%})."
    )
    return [note]


def _note_denominators(found: Reproduction) -> list[str]:
    ours = (
        "failed attempts of ours are wrong, --denominator completed leaves them out"
        if found.denominator == "planned"
        else "failed attempts of ours are left out, too, and every attempt weighs the same"
    )
    marked = [
        line for line in found.lines if line.measure == "Acc" and line.paper is not None and _count_left_out(line)
    ]
    redone = "; ".join(_recount(line) for line in marked)
    note = f"{LEFT_OUT} The paper left failed attempts out, as its percentage says: {redone}; {ours}."
    return [note] if marked else [f"{ours[0].upper()}{ours[1:]}."]


def _recount(line: Line) -> str:
    """What a percentage of the paper would be with the attempts that it left out counted as wrong."""
    planned, scored = PROBLEMS[line.dataset] * SAMPLES, line.paper_attempts or 0
    right = round((line.paper or 0) * scored)
    return f"{percent(line.paper)} is {right}/{scored}, as wrong {percent(right / planned)}"


def _note_cells(found: Reproduction) -> list[str]:
    notes: list[str] = []
    if pending := [line for line in found.lines if line.pending and line.measure == "Acc"]:
        attempts = sum(line.pending for line in pending)
        notes.append(f"Incomplete: {attempts} attempts of {len(pending)} cells are pending. Resume the run.")
    if found.missing:
        notes.append(f"Not in these runs: {'; '.join(found.missing)}.")
    if found.others:
        tables = " and ".join(f"--table {table}" for table in found.others)
        notes.append(f"Cells that this table does not have are in others: {tables}.")
    return notes


def count_verdicts(found: Reproduction) -> dict[Verdict, int]:
    """The number of lines with each verdict on Acc."""
    verdicts = Counter(line.verdict for line in found.lines if line.measure == "Acc")
    return {verdict: verdicts[verdict] for verdict in get_args(Verdict)}
