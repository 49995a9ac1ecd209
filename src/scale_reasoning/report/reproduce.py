"""A table of the paper against finished runs: each of its numbers, ours, and a verdict.

Decides which of our cells is which of the paper's, and what keeps a pair from a verdict. unpaired.py decides how sure a
verdict is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.chain_votes import ROW, is_counted
from scale_reasoning.report.metrics import Denominator, Summary, group_counted
from scale_reasoning.report.paper import Table, find_papers_model, read_rows
from scale_reasoning.report.paper_cells import (
    TABLES,
    Ours,
    choose,
    describe,
    describe_paper,
    explain_none,
    find_other_limit,
    list_candidates,
)
from scale_reasoning.report.paper_models import SYSTEM1, has_papers_system1
from scale_reasoning.report.unpaired import (
    FACTOR,
    MARGIN,
    Gap,
    Pairs,
    Repeats,
    Verdict,
    compare_means,
    compare_shares,
    find_apart,
    judge,
    measure_repeats,
)
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import NO_USAGE, Stage

Measure: TypeAlias = Literal["Acc", "Tok", "Tpi", "Hard"]

ROUNDING: Mapping[Table, Mapping[Measure, float]] = {
    "table1": {"Acc": 0.00005, "Tok": 0.5, "Tpi": 0.5},
    "table2": {"Acc": 0.00005, "Tok": 50, "Hard": 0.00005},
    "figure2": {"Acc": 0.005},
    "table3": {"Acc": 0.00005, "Tok": 50},
}
"""By table, how far its numbers may be from what was measured, as they are printed or read off the plot."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the paper and ours. Shares are in [0, 1], tokens are counts; None is unknown or not there.

    cell: what the paper's cell is besides model and dataset; of a cell that the paper does not have, its strategy.
    rows: our row, FOLDER:N. paper_attempts: those that its percentage implies. gap: ours - paper (Acc, Hard) or
    ours / paper (Tok, Tpi), with its 95 % interval and p. holds: whether the gap is one after Holm's correction over
    the lines of the same measure. why: what keeps the line from a verdict. failed attempts are part of the completed
    ones.
    """

    table: Table
    dataset: str
    paper_model: str | None
    model: str
    cell: str
    row: str
    measure: Measure
    paper: float | None
    paper_attempts: int | None
    ours: float | None
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    holds: bool = False
    verdict: Verdict = "cannot tell"
    why: str = ""
    planned: int
    completed: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A table's lines, the paper's cells that the runs do not have, and other tables of which they have cells."""

    table: Table
    lines: Sequence[Line]
    missing: Sequence[str]
    others: Sequence[Table]
    denominator: Denominator
    margin: float


def reproduce(
    ours: Sequence[Ours], table: Table, *, denominator: Denominator = "planned", margin: float = MARGIN
) -> Reproduction:
    """Compares the cells with a table. `margin`: shares at most so far apart count as the same.

    Raises ConfigError if several cells are the same one of the paper.
    """
    found = [(row, choose(table, row, ours)) for row in read_rows(table)]
    pairs = [(row, each) for row, each in found if each is not None]
    if not pairs:
        raise ConfigError(explain_none(ours))
    ran = {row.model for row, _ in pairs}
    absent = [row for row, each in found if each is None and row.model in ran]
    missing = [f"{describe_paper(row)} on {row.dataset} ({row.model})" for row in absent]
    compare = _Comparing(table=table, denominator=denominator, margin=margin)
    lines = [line for row, each in pairs for line in compare.list_lines(row, each)]
    taken = [each for _, each in pairs]
    alone = [each for each in ours if each not in taken and not is_counted(each.summary)]
    lines += [compare.make_lone_line(each) for each in alone]
    others: list[Table] = [
        other
        for other in TABLES
        if other != table and any(list_candidates(other, row, alone) for row in read_rows(other))
    ]
    return Reproduction(
        table=table, lines=_mark_apart(lines), missing=missing, others=others, denominator=denominator, margin=margin
    )


def _mark_apart(lines: Sequence[Line]) -> list[Line]:
    """The lines with `holds`, by Holm's method among the lines of each measure."""
    marked = list(lines)
    for measure in get_args(Measure):
        places = [n for n, line in enumerate(lines) if line.measure == measure and line.p_value is not None]
        for place, holds in zip(places, find_apart([lines[n].p_value or 0.0 for n in places]), strict=True):
            marked[place] = msgspec.structs.replace(lines[place], holds=holds)
    return marked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparing:
    """How the cells of a table are compared."""

    table: Table
    denominator: Denominator
    margin: float

    def list_lines(self, row: Summary, mine: Ours) -> list[Line]:
        """A line for each number that the paper's row has; chain of thought has one iteration, so its Tpi is Tok."""
        tpi = None if row.strategy == "cot" else row.tpi
        printed: dict[Measure, float | None] = {"Acc": row.acc, "Tok": row.tok, "Tpi": tpi, "Hard": row.hard}
        return [self._compare(row, mine, measure, value) for measure, value in printed.items() if value is not None]

    def make_lone_line(self, mine: Ours) -> Line:
        """The line of a cell that the paper's table does not have."""
        found = self._measure(mine, "Acc")
        line = _start_line(self.table, mine, "Acc", found)
        of_model = mine.summary.strategy == "scale" and line.paper_model is not None
        other = of_model and not has_papers_system1(mine.summary.model)
        why = f"System 1 is not the paper's {SYSTEM1}" if other else "the paper's table has no such cell"
        return msgspec.structs.replace(line, why=why)

    def _compare(self, row: Summary, mine: Ours, measure: Measure, value: float) -> Line:
        found = self._measure(mine, measure)
        line = msgspec.structs.replace(
            _start_line(self.table, mine, measure, found),
            paper_model=row.model,
            cell=describe_paper(row) + (f" ({ROW})" if is_counted(mine.summary) else ""),
            paper=value,
            paper_attempts=row.scored,
        )
        why = self._explain(row, mine, measure, found)
        if why or found is None:
            return msgspec.structs.replace(line, why=why)
        rounding = ROUNDING[self.table][measure]
        share = measure in {"Acc", "Hard"}
        gap = (compare_shares if share else compare_means)(found, value, row.scored, rounding)
        if gap is None:
            return msgspec.structs.replace(line, why="no tokens")
        return self._judge(line, gap, share=share)

    def _judge(self, line: Line, gap: Gap, *, share: bool) -> Line:
        lowest, highest, same = (-self.margin, self.margin, 0.0) if share else (1 / FACTOR, FACTOR, 1.0)
        verdict = judge(gap, lowest=lowest, highest=highest, same=same)
        return msgspec.structs.replace(
            line,
            gap=gap.value,
            low=gap.low,
            high=gap.high,
            p_value=gap.p_value,
            verdict=verdict,
            why="the interval is wider than the margin" if verdict == "cannot tell" else "",
        )

    def _explain(self, row: Summary, mine: Ours, measure: Measure, found: Repeats | None) -> str:
        """What keeps the line from a verdict; empty if nothing does."""
        summary = mine.summary
        if summary.pending:
            return f"{summary.pending} of {summary.planned} attempts are pending"
        if summary.problems != row.problems:
            return f"{summary.problems} problems, the paper's {row.problems}"
        if other := find_other_limit(self.table, summary):
            return other
        if found is not None:
            return ""
        return "no gold answers" if measure == "Acc" else "the server did not report the tokens of every attempt"

    def _measure(self, mine: Ours, measure: Measure) -> Repeats | None:
        groups = group_counted(mine.cell.outcomes, self.denominator)
        pairs: Pairs | None = _PAIRS[measure](groups)
        return None if pairs is None else measure_repeats(pairs, by_problem=self.denominator == "planned")


def _start_line(table: Table, mine: Ours, measure: Measure, found: Repeats | None) -> Line:
    summary = mine.summary
    final = [outcome for outcome in mine.cell.outcomes if not outcome.pending]
    return Line(
        table=table,
        dataset=summary.dataset,
        paper_model=find_papers_model(summary),
        model=summary.model,
        cell=describe(summary),
        row=mine.name,
        measure=measure,
        paper=None,
        paper_attempts=None,
        ours=None if found is None else found.value,
        planned=summary.planned,
        completed=summary.completed,
        failed=sum(outcome.failure is not None for outcome in final),
        pending=summary.pending,
    )


def _pair_right(groups: Sequence[Sequence[Outcome]]) -> Pairs | None:
    graded = [[(float(o.correct), 1.0) for o in group if o.correct is not None] for group in groups]
    return graded if any(graded) else None


def _pair_tokens(groups: Sequence[Sequence[Outcome]], below: Callable[[Outcome], float]) -> Pairs | None:
    """Tokens of responses to sub-problems over another number; None if some are unknown."""
    tokens = [[o.by_stage.get(Stage.SOLVE, NO_USAGE).completion_tokens for o in group] for group in groups]
    if any(count is None for group in tokens for count in group):
        return None
    return [
        [(float(count or 0), below(o)) for count, o in zip(counts, group, strict=True)]
        for counts, group in zip(tokens, groups, strict=True)
    ]


_PAIRS: Mapping[Measure, Callable[[Sequence[Sequence[Outcome]]], Pairs | None]] = {
    "Acc": _pair_right,
    "Tok": lambda groups: _pair_tokens(groups, lambda o: 1.0),
    "Tpi": lambda groups: _pair_tokens(groups, lambda o: o.iterations),
    "Hard": lambda groups: [[(o.hard, o.iterations) for o in group] for group in groups],
}
"""The pairs of numbers whose ratio a measure is."""
