"""The lines of a table of rows: which summaries share one, what leads it, and its columns.

tables.py decides which layout has which of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from scale_reasoning.report.formats import NOTHING, Best, Column, Grid, percent, span
from scale_reasoning.report.intervals import Estimate, average_estimates
from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.notes import LEFT_OUT, PENDING, leaves_out
from scale_reasoning.report.paper import is_from_paper
from scale_reasoning.report.rows import identify
from scale_reasoning.report.titles import title_heading, title_models

NUMBER = Column(name="row", number=True)
BEST: Mapping[str, Best] = {
    "Acc": "high",
    "average Acc": "high",
    "Tok": "low",
    "Tok (k)": "low",
    "Tok k": "low",
    "Tok solve": "low",
    "cost": "low",
}
MAIN = ("Acc", "average Acc", "Tok", "Tok (k)", "Tok k", "Tok solve", "Hard", "cost")
"""Numbers that a narrow terminal leaves out last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a table: its row's number, its run, its first texts, and its summaries by dataset."""

    row: str
    run: str
    lead: tuple[str, ...]
    found: dict[str, Summary]


def group_lines(summaries: Sequence[Summary], lead: Callable[[Summary], tuple[str, ...]]) -> list[Line]:
    """Groups summaries of one row, also of several runs; if two are on one dataset, every run has its own lines."""
    owns = [(is_from_paper(s), *identify(s.model, s.strategy, s.options)) for s in summaries]
    clash = len({(own, s.dataset) for own, s in zip(owns, summaries, strict=True)}) < len(summaries)
    grouped: list[tuple[tuple[object, ...], dict[str, Summary]]] = []
    for own, summary in zip(owns, summaries, strict=True):
        key = (summary.run, *own) if clash else own
        found = next((found for known, found in grouped if known == key and summary.dataset not in found), None)
        if found is None:
            found = dict[str, Summary]()
            grouped.append((key, found))
        found[summary.dataset] = summary
    several = len({summary.run for summary in summaries if not is_from_paper(summary)}) > 1
    named = several and any(summary.row for summary in summaries)  # then the rows' numbers name the runs
    lines: list[Line] = []
    for _, found in grouped:
        first = next(iter(found.values()))
        row = _name_row(found.values(), several=several)
        run = first.run if clash and not named else ""
        lines.append(Line(row=row, run=run, lead=lead(first), found=found))
    return lines


def _name_row(summaries: Iterable[Summary], *, several: bool) -> str:
    """The number of a line's row, after its run (as `scale compare` takes it) if the table has several runs."""
    named = [f"{each.run}:{each.row}" if several else str(each.row) for each in summaries if each.row is not None]
    return ", ".join(dict.fromkeys(named))


def list_lead_columns(lines: Sequence[Line], names: Sequence[str]) -> list[Column]:
    """The columns before the numbers; those of the row and the run only if a line has them."""
    runs = [Column(name="run")] if any(line.run for line in lines) else []
    return [*([NUMBER] if any(line.row for line in lines) else []), *runs, *(Column(name=name) for name in names)]


def write_lead(line: Line, lines: Sequence[Line]) -> list[str]:
    """A line's first cells, with marks for what its numbers leave out."""
    first = [line.row] * any(each.row for each in lines) + [line.run] * any(each.run for each in lines)
    return [*first, *line.lead[:-1], mark(line.lead[-1], line.found.values())]


def mark(label: str, summaries: Collection[Summary]) -> str:
    """The label with marks for what the numbers of the summaries leave out."""
    pending = PENDING * any(summary.pending for summary in summaries)
    return f"{label} {pending}{LEFT_OUT * any(map(leaves_out, summaries))}".rstrip()


def write_numbers(line: Line, datasets: Sequence[str], texts: Iterable[Callable[[Summary], str]]) -> list[str]:
    """A line's numbers on each dataset."""
    return [text(line.found[name]) if name in line.found else NOTHING for name, text in product(datasets, texts)]


def write_average(found: Mapping[str, Summary], datasets: Sequence[str]) -> str:
    """The mean Acc over the datasets, if all are known."""
    parts = [
        Estimate(value=summary.acc, low=summary.acc_low, high=summary.acc_high, se=None)
        for summary in found.values()
        if summary.acc is not None
    ]
    mean = average_estimates(parts)
    if mean is None or len(parts) < len(datasets):
        return NOTHING
    counts = f"({sum(s.scored for s in found.values())}/{sum(s.planned for s in found.values())})"
    return " ".join(filter(None, (percent(mean.value), span(mean.low, mean.high), counts)))


def make_column(name: str, group: str = "") -> Column:
    """The column of a number; which of its numbers is the best goes by its name."""
    best = "high" if name.startswith(("pass@", "maj@")) else BEST.get(name, "")
    return Column(name=name, group=group, number=True, best=best, spare=name not in MAIN)


def name_model(summary: Summary) -> str:
    """The model; the paper's rows are marked."""
    return f"{summary.model} (paper)" if is_from_paper(summary) else summary.model


def prepare_print(grid: Grid, summaries: Sequence[Summary], names: Sequence[str], first: int) -> Grid:
    """The table without those of its `first` columns that say the same in every line, and without rows' numbers if
    lines differ without them. `names` are the first columns that say what a line is.
    """
    models = {**(titles := title_models(summaries)), **{f"{m} (paper)": f"{t} (paper)" for m, t in titles.items()}}
    leads = [[models.get(cell, cell) for cell in row[:first]] for row in grid.rows]
    differing = [place for place in range(first) if len({lead[place] for lead in leads}) > 1]
    own = [place for place in differing if grid.columns[place].name in names]
    unique = len({tuple(lead[place] for place in own) for lead in leads}) == len(leads)
    kept = sorted({*(own if unique else differing), first - 1})
    columns = [replace(column, name=title_heading(column.name)) for column in map(grid.columns.__getitem__, kept)]
    return replace(
        grid,
        columns=[*columns, *grid.columns[first:]],
        rows=[[*(lead[place] for place in kept), *row[first:]] for lead, row in zip(leads, grid.rows, strict=True)],
    )
