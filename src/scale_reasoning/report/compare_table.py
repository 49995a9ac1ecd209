"""Comparisons as a table, a line each, with their verdicts as notes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from scale_reasoning.report.apart import Apart
from scale_reasoning.report.compare import Comparison, Side, format_p
from scale_reasoning.report.formats import NOTHING, UNKNOWN, Column, Grid, percent, span
from scale_reasoning.types import JSON

SPARE = ("p", "compared")
"""Headings of columns that a narrow terminal leaves out first; the verdicts have p too."""
SAME = (
    "As far as their runs record, A and B have the same model, profile, kind of server, strategy, options, prompts, "
    "dataset, attempts per problem and package."
)


def build_grid(comparisons: Sequence[Comparison]) -> Grid:
    """Puts the comparisons into a table, a line each."""
    texts = ["dataset", "A", "B"]
    costs = [f"{name} [95 %]" for name in ("cost B - A", "cost B / A")]
    costs = costs if any(comparison.cost_unit is not None for comparison in comparisons) else []
    numbers = ["Acc A", "Acc B", "B - A [95 %]", "p", "Tok B / A [95 %]", *costs, "compared"]
    columns = [Column(name=name) for name in texts]
    columns += [Column(name=name, number=True, spare=name in SPARE) for name in numbers]
    legend = "Acc and B - A in %, over the problems that both scored; p: paired t test over problems."
    notes = [*_note_sides(comparisons), legend]
    notes += [f"{comparison.dataset}: {comparison.verdict}" for comparison in comparisons]
    notes += _note_costs(comparisons)
    rows = [_write_row(comparison, with_costs=bool(costs)) for comparison in comparisons]
    return Grid(columns=columns, rows=rows, notes=notes)


def _note_sides(comparisons: Sequence[Comparison]) -> list[str]:
    """Which rows A and B are, and what differs between them; once if it is the same on all datasets."""
    sides = [f"A: {_name(c.side_a)}. B: {_name(c.side_b)}." for c in comparisons if c.side_a and c.side_b]
    lines = [_write_differences(c.differences) for c in comparisons if c.side_a and c.side_b]
    if len(set(lines)) > 1:
        lines = [f"{c.dataset}: {line}" for c, line in zip(comparisons, lines, strict=True)]
    return [*dict.fromkeys(sides), *dict.fromkeys(lines)]


def _name(side: Side) -> str:
    name = f', "{side.name}"' if side.name else ""
    return f"row {side.row} of {side.run}{name}{f', begun {side.created[:10]}' if side.created else ''}"


def _write_differences(found: Sequence[Apart]) -> str:
    if not found:
        return SAME
    said = (f"{each.what}: {_write_value(each.a)} → {_write_value(each.b)}" for each in found)
    return f"From A to B differ {'; '.join(said)}."


def _write_value(value: JSON) -> str:
    return "none" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _note_costs(comparisons: Sequence[Comparison]) -> list[str]:
    units = dict.fromkeys(c.cost_unit for c in comparisons if c.cost_unit)
    unknown = dict.fromkeys(c.cost_note for c in comparisons if c.cost_note)
    return [*(f"cost: {unit} per attempt." for unit in units), *(f"cost {UNKNOWN}: {note}." for note in unknown)]


def _write_row(c: Comparison, *, with_costs: bool) -> tuple[str, ...]:
    return (
        c.dataset,
        c.a,
        c.b,
        percent(c.acc_a),
        percent(c.acc_b),
        NOTHING if c.difference is None else f"{c.difference * 100:+.2f} {span(c.low, c.high)}",
        NOTHING if c.p_value is None else format_p(c.p_value).removeprefix("= "),
        UNKNOWN if c.uncounted_a or c.uncounted_b else _write_ratio(c.token_ratio, c.token_low, c.token_high),
        *(_write_costs(c) if with_costs else ()),
        f"{c.compared}/{c.problems}",
    )


def _write_costs(c: Comparison) -> tuple[str, str]:
    if c.cost_difference is None:
        return (UNKNOWN, UNKNOWN) if c.cost_note else (NOTHING, NOTHING)
    low, high = c.cost_difference_low, c.cost_difference_high
    interval = "" if low is None or high is None else f" [{low:+.4g}, {high:+.4g}]"
    return f"{c.cost_difference:+.4g}{interval}", _write_ratio(c.cost_ratio, c.cost_low, c.cost_high)


def _write_ratio(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")
