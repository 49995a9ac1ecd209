"""Summaries as tables: the paper's two layouts and one with a line per cell, each Acc with its interval and counts.

Decides what is a line, a column and a footnote; what a row's number means is decided in rows.py. Knows nothing of
escaping (formats.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Literal, TypeAlias, cast

import msgspec

from scale_reasoning.report.columns import acc, every_number, hard, solving, tok, tpi
from scale_reasoning.report.formats import NOTHING, UNKNOWN, WRITERS, Column, Grid, percent, span
from scale_reasoning.report.intervals import Estimate, average
from scale_reasoning.report.metrics import LOOKED_AT_BY, Summary
from scale_reasoning.report.paper import from_paper
from scale_reasoning.report.rows import identity
from scale_reasoning.types import JSON

Format: TypeAlias = Literal["md", "latex", "html", "csv", "json"]
Layout: TypeAlias = Literal["auto", "table1", "table2", "cells"]

PENDING = "†"
"""After the label of a row with pending attempts."""
LEFT_OUT = "‡"
"""After the label of a row whose failed attempts are left out."""
ROW = Column(name="row", number=True)


def render(summaries: Sequence[Summary], format: Format, layout: Layout = "auto") -> str:  # noqa: A002 - the flag's name
    """The summaries as one text.

    "table1": a line per strategy and model, columns Acc, Tpi, Tok per dataset and, of several, the average Acc.
    "table2": a line per value of the swept options, columns Acc, Tok, Hard per dataset. "cells": a line per summary,
    every number. "auto": table2 when options differ within one strategy, table1 for several strategies, models or
    datasets, else cells. JSON is a list of summaries, and CSV left to "auto" is those, whatever the layout.
    """
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(rows(summaries)), indent=2).decode() + "\n"
    if format == "csv" and layout in {"auto", "cells"}:
        return WRITERS["csv"](_flat(summaries))
    chosen = _layout(summaries) if layout == "auto" else layout
    build = {"table1": _table1, "table2": _table2, "cells": _cells}[chosen]
    return WRITERS[format](build(summaries))


def rows(summaries: Sequence[Summary]) -> list[dict[str, JSON]]:
    """The summaries as JSON objects, keys as in Summary."""
    return [cast("dict[str, JSON]", msgspec.to_builtins(summary, str_keys=True)) for summary in summaries]


def _layout(summaries: Sequence[Summary]) -> Literal["table1", "table2", "cells"]:
    if len({summary.strategy for summary in summaries}) == 1 and _swept(summaries):
        return "table2"
    kinds = {(summary.strategy, summary.model, summary.dataset) for summary in summaries}
    return "table1" if len(kinds) > 1 else "cells"


def _swept(summaries: Sequence[Summary]) -> list[str]:
    """The options that differ, or that some do not look at, between summaries of one strategy and model."""
    seen: dict[tuple[str, str], dict[str, set[str]]] = {}
    for summary in summaries:
        if not from_paper(summary):
            options = seen.setdefault((summary.strategy, summary.model), {})
            idle = dict.fromkeys(LOOKED_AT_BY)
            for key, value in (idle | _flattened(summary.options)).items():
                options.setdefault(key, set()).add(str(value))
    return sorted({key for options in seen.values() for key, values in options.items() if len(values) > 1})


def _flattened(tree: Mapping[str, JSON], under: str = "") -> dict[str, JSON]:
    flat: dict[str, JSON] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flattened(cast("Mapping[str, JSON]", value), f"{under}{key}.")
        else:
            flat[under + key] = value
    return flat


def _table1(summaries: Sequence[Summary]) -> Grid:
    swept, datasets = _swept(summaries), _datasets(summaries)
    lines = _lines(summaries, lambda s: (_model(s), _strategy(s, swept)))
    numbers = {"Acc": acc, "Tpi": tpi, "Tok": tok, **solving(summaries, "Tpi solve", "Tok solve")}
    columns = [*_leading(lines, ("model", "strategy")), *_headings(datasets, list(numbers))]
    rows = [[*_marked(line, lines), *_numbers(line.found, datasets, numbers.values())] for line in lines]
    if len(datasets) > 1:
        columns.append(Column(name="average Acc", number=True))
        rows = [[*row, _average(line.found, datasets)] for row, line in zip(rows, lines, strict=True)]
    return Grid(columns=columns, rows=rows, notes=_notes(summaries))


def _table2(summaries: Sequence[Summary]) -> Grid:
    swept, datasets = _swept(summaries) or ["tau"], _datasets(summaries)
    names = ("model", "strategy", *swept)
    lines = _lines(summaries, lambda s: (_model(s), s.strategy, *(_option(s, option) for option in swept)))
    numbers = {"Acc": acc, "Tok": tok, "Hard": hard, **solving(summaries, "Tok solve")}
    lines.sort(key=lambda line: (any(map(from_paper, line.found.values())), *map(_rank, line.lead)))
    columns = [*_leading(lines, names), *_headings(datasets, list(numbers))]
    rows = [[*_marked(line, lines), *_numbers(line.found, datasets, numbers.values())] for line in lines]
    return Grid(columns=columns, rows=rows, notes=_notes(summaries))


def _cells(summaries: Sequence[Summary]) -> Grid:
    swept = _swept(summaries)
    columns: dict[Column, Callable[[Summary], str]] = {
        **({ROW: lambda s: "" if s.row is None else str(s.row)} if any(s.row for s in summaries) else {}),
        Column(name="run"): lambda s: s.run,
        Column(name="dataset"): lambda s: s.dataset,
        Column(name="model"): _model,
        Column(name="strategy"): lambda s: f"{_strategy(s, swept)} {_marks([s])}".rstrip(),
        **{Column(name=name, number=True): text for name, text in every_number(summaries).items()},
    }
    lines = [[text(summary) for text in columns.values()] for summary in summaries]
    return Grid(columns=list(columns), rows=lines, notes=[*_notes(summaries), *_unreported(summaries)])


def _datasets(summaries: Sequence[Summary]) -> list[str]:
    return list(dict.fromkeys(summary.dataset for summary in summaries))


def _flat(summaries: Sequence[Summary]) -> Grid:
    lines = [_flattened(row) for row in rows(summaries)]
    names = list(dict.fromkeys(name for line in lines for name in line))
    return Grid(
        columns=[Column(name=name) for name in names],
        rows=[[_bare(line.get(name)) for name in names] for line in lines],
    )


def _bare(value: JSON) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line of a table: its rows' numbers, its first cells, and its summaries by dataset."""

    row: str
    run: str
    lead: tuple[str, ...]
    found: dict[str, Summary]


def _lines(summaries: Sequence[Summary], lead: Callable[[Summary], tuple[str, ...]]) -> list[_Line]:
    """Summaries of one row share a line, of several runs too; where two are on one dataset, runs are kept apart."""
    owns = [(from_paper(s), *identity(s.model, s.strategy, s.options)) for s in summaries]
    clash = len({(own, s.dataset) for own, s in zip(owns, summaries, strict=True)}) < len(summaries)
    grouped: list[tuple[tuple[object, ...], dict[str, Summary]]] = []
    for own, summary in zip(owns, summaries, strict=True):
        key = (summary.run, *own) if clash else own
        found = next((found for known, found in grouped if known == key and summary.dataset not in found), None)
        if found is None:
            found = dict[str, Summary]()
            grouped.append((key, found))
        found[summary.dataset] = summary
    several = len({summary.run for summary in summaries if not from_paper(summary)}) > 1
    named = several and any(summary.row for summary in summaries)  # the rows' numbers name their runs already
    lines: list[_Line] = []
    for _, found in grouped:
        first = next(iter(found.values()))
        row = _row(found.values(), several=several)
        run = first.run if clash and not named else ""
        lines.append(_Line(row=row, run=run, lead=lead(first), found=found))
    return lines


def _row(summaries: Iterable[Summary], *, several: bool) -> str:
    """The number of a line's row; with its run, as `scale compare` takes it, where the table is of several."""
    named = [f"{each.run}:{each.row}" if several else str(each.row) for each in summaries if each.row is not None]
    return ", ".join(dict.fromkeys(named))


def _leading(lines: Sequence[_Line], names: Sequence[str]) -> list[Column]:
    """The columns before the numbers: the row and the run are there where a line has them."""
    runs = [Column(name="run")] if any(line.run for line in lines) else []
    return [*([ROW] if any(line.row for line in lines) else []), *runs, *(Column(name=name) for name in names)]


def _marked(line: _Line, lines: Sequence[_Line]) -> list[str]:
    """A line's first cells, with marks for what its numbers leave out."""
    first = [line.row] * any(each.row for each in lines) + [line.run] * any(each.run for each in lines)
    return [*first, *line.lead[:-1], f"{line.lead[-1]} {_marks(line.found.values())}".rstrip()]


def _marks(summaries: Iterable[Summary]) -> str:
    known = list(summaries)
    return PENDING * any(summary.pending for summary in known) + LEFT_OUT * any(map(_left_out, known))


def _headings(datasets: Sequence[str], names: Sequence[str]) -> list[Column]:
    return [Column(name=name, group=dataset, number=True) for dataset in datasets for name in names]


def _numbers(
    found: Mapping[str, Summary], datasets: Sequence[str], texts: Iterable[Callable[[Summary], str]]
) -> list[str]:
    return [text(found[name]) if name in found else NOTHING for name, text in product(datasets, texts)]


def _average(found: Mapping[str, Summary], datasets: Sequence[str]) -> str:
    """The mean Acc of the datasets, where all are known."""
    parts = [
        Estimate(value=summary.acc, low=summary.acc_low, high=summary.acc_high, se=None)
        for summary in found.values()
        if summary.acc is not None
    ]
    mean = average(parts)
    if mean is None or len(parts) < len(datasets):
        return NOTHING
    counts = f"({sum(s.scored for s in found.values())}/{sum(s.planned for s in found.values())})"
    return " ".join(filter(None, (percent(mean.value), span(mean.low, mean.high), counts)))


def _notes(summaries: Sequence[Summary]) -> list[str]:
    legend = (
        "Acc in % with its 95 % interval (over problems) and (scored/planned) attempts; Tok, Tpi: response tokens per "
        "attempt, per iteration; Hard: % of iterations in System 2; row N is FOLDER:N in other commands."
    )
    notes = [legend]
    pending = [summary for summary in summaries if summary.pending]
    if pending:
        missing, planned = sum(summary.pending for summary in pending), sum(summary.planned for summary in pending)
        notes.append(
            f"{PENDING} Incomplete: {missing} of {planned} attempts are pending (not run yet, or ended by an "
            "infrastructure error) and not scored. Resume the run."
        )
    if any(map(_left_out, summaries)):
        notes.append(
            f"{LEFT_OUT} Denominator completed: attempts that failed are left out, as in the paper, and every mean "
            "weighs the attempts that are left alike."
        )
    if any(map(from_paper, summaries)):
        notes.append(
            "(paper): as printed, without intervals; scored is what the percentage implies. The paper's Tok and Tpi "
            "count the responses to sub-problems alone: they are under Tok solve and Tpi solve, beside ours of that "
            "stage, and not comparable with Tok and Tpi, which are of all stages."
        )
    return [*notes, *_uncounted(summaries)]


def _uncounted(summaries: Sequence[Summary]) -> list[str]:
    """Why response tokens are unknown."""
    mine = [summary for summary in summaries if summary.uncounted]
    missing, completed = sum(summary.uncounted for summary in mine), sum(summary.completed for summary in mine)
    told = f"{UNKNOWN}: the server reported no response tokens for {missing} of {completed} attempts."
    return [told] if missing else []


def _unreported(summaries: Sequence[Summary]) -> list[str]:
    """Why prompt tokens are unknown."""
    mine = [summary for summary in summaries if not from_paper(summary) and summary.steps is not None]
    if all(summary.prompt_tokens is not None and summary.cached_tokens is not None for summary in mine):
        return []
    return [f"prompt, cached, cost: {UNKNOWN} where the server did not report them for every attempt."]


def _left_out(summary: Summary) -> bool:
    """Whether Acc is over completed attempts: said of ours always, of the paper's where its percentage betrays it."""
    return summary.denominator == "completed" and (not from_paper(summary) or summary.scored < summary.planned)


def _model(summary: Summary) -> str:
    return f"{summary.model} (paper)" if from_paper(summary) else summary.model


def _strategy(summary: Summary, swept: Sequence[str]) -> str:
    options = _flattened(summary.options)
    told = ", ".join(f"{option} {options[option]}" for option in swept if option in options)
    return f"{summary.strategy} ({told})" if told else summary.strategy


def _option(summary: Summary, name: str) -> str:
    value = _flattened(summary.options).get(name)
    return NOTHING if value is None else str(value)


def _rank(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return inf, text
