"""Comparisons as a table, a line each, with their verdicts as notes."""

from __future__ import annotations

from collections.abc import Sequence

from scale_reasoning.report.compare import Comparison, format_p
from scale_reasoning.report.formats import NOTHING, UNKNOWN, Column, Grid, percent, span


def build_grid(comparisons: Sequence[Comparison]) -> Grid:
    """Puts the comparisons into a table, a line each."""
    texts = ["dataset", "A", "B"]
    costs = [f"{name} [95 %]" for name in ("cost B - A", "cost B / A")]
    costs = costs if any(comparison.cost_unit is not None for comparison in comparisons) else []
    numbers = ["Acc A", "Acc B", "B - A [95 %]", "p", "Tok B / A [95 %]", *costs, "compared"]
    columns = [*(Column(name=name) for name in texts), *(Column(name=name, number=True) for name in numbers)]
    legend = "Acc and B - A in %, over the problems that both scored; p: paired t test over problems."
    notes = [legend, *(f"{comparison.dataset}: {comparison.verdict}" for comparison in comparisons)]
    notes += _note_costs(comparisons)
    rows = [_write_row(comparison, with_costs=bool(costs)) for comparison in comparisons]
    return Grid(columns=columns, rows=rows, notes=notes)


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
