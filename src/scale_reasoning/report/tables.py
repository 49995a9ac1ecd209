"""Summaries as tables: the paper's two layouts and one with a line per cell, each Acc with its interval and counts.

Decides what is a line and a column. notes.py has the notes below, rows.py the rows' numbers, formats.py the escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Literal, TypeAlias, cast

import msgspec

from scale_reasoning.report.chain_votes import MARK, ROW, is_counted
from scale_reasoning.report.columns import (
    list_columns,
    list_cost_column,
    list_solve_columns,
    write_acc,
    write_hard,
    write_thousands,
    write_tok,
    write_tpi,
)
from scale_reasoning.report.formats import NOTHING, WRITERS, Column, Grid, percent, span
from scale_reasoning.report.intervals import Estimate, average_estimates
from scale_reasoning.report.metrics import Summary, find_swept, flatten
from scale_reasoning.report.notes import LEFT_OUT, PENDING, leaves_out, note_unreported, write_notes
from scale_reasoning.report.paper import BASE, TRAINING, find_papers_model, is_from_paper
from scale_reasoning.report.rows import identify
from scale_reasoning.types import JSON

Format: TypeAlias = Literal["md", "latex", "html", "csv", "json"]
Layout: TypeAlias = Literal["auto", "table1", "table2", "table3", "cells"]

NUMBER = Column(name="row", number=True)


def render(summaries: Sequence[Summary], format: Format, layout: Layout = "auto") -> str:  # noqa: A002 - the flag's name
    """Writes the summaries as one text.

    "table1": a line per strategy and model, columns Acc, Tpi, Tok per dataset and, for several datasets, the average
    Acc. "table2": a line per value of the swept options, columns Acc, Tok, Hard per dataset. "table3": a line per model
    and training, columns Acc and Tok in thousands per dataset, for summaries that training.mark_training made. "cells":
    a line per summary, with every number. "auto": table2 if options of one strategy differ, table1 for several
    strategies, models or datasets, else cells. JSON is a list of all summaries in every layout; so is CSV in "auto" and
    "cells".
    """
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(build_rows(summaries)), indent=2).decode() + "\n"
    if format == "csv" and layout in {"auto", "cells"}:
        return WRITERS["csv"](build_flat(build_rows(summaries)))
    chosen = _choose_layout(summaries) if layout == "auto" else layout
    build = {"table1": _build_table1, "table2": _build_table2, "table3": _build_table3, "cells": _build_cells}[chosen]
    return WRITERS[format](build(summaries))


def build_rows(summaries: Sequence[Summary]) -> list[dict[str, JSON]]:
    """Turns the summaries into JSON objects, with Summary's keys."""
    return [cast("dict[str, JSON]", msgspec.to_builtins(summary, str_keys=True)) for summary in summaries]


def _choose_layout(summaries: Sequence[Summary]) -> Literal["table1", "table2", "cells"]:
    if len({summary.strategy for summary in summaries}) == 1 and _find_swept(summaries):
        return "table2"
    kinds = {(summary.strategy, summary.model, summary.dataset) for summary in summaries}
    return "table1" if len(kinds) > 1 else "cells"


def _find_swept(summaries: Sequence[Summary]) -> list[str]:
    """The options that differ between summaries of one strategy and model."""
    mine = [summary for summary in summaries if not is_from_paper(summary)]
    return sorted(find_swept(((s.strategy, s.model), s.label) for s in mine))


def _build_table1(summaries: Sequence[Summary]) -> Grid:
    swept, datasets = _find_swept(summaries), _datasets(summaries)
    lines = _group_lines(summaries, lambda s: (_name_model(s), _name_strategy(s, swept)))
    numbers = {
        "Acc": write_acc,
        "Tpi": write_tpi,
        "Tok": write_tok,
        **list_solve_columns(summaries, "Tpi solve", "Tok solve"),
        **list_cost_column(summaries),
    }
    columns = [*_list_lead_columns(lines, ("model", "strategy")), *_list_number_columns(datasets, list(numbers))]
    rows = [[*_write_lead(line, lines), *_write_numbers(line, datasets, numbers.values())] for line in lines]
    if len(datasets) > 1:
        columns.append(Column(name="average Acc", number=True))
        rows = [[*row, _write_average(line.found, datasets)] for row, line in zip(rows, lines, strict=True)]
    return Grid(columns=columns, rows=rows, notes=write_notes(summaries))


def _build_table2(summaries: Sequence[Summary]) -> Grid:
    swept, datasets = _find_swept(summaries) or ["tau"], _datasets(summaries)
    names = ("model", "strategy", *swept)
    lines = _group_lines(summaries, lambda s: (_name_model(s), s.strategy, *(_write_option(s, name) for name in swept)))
    numbers = {
        "Acc": write_acc,
        "Tok": write_tok,
        "Hard": write_hard,
        **list_solve_columns(summaries, "Tok solve"),
        **list_cost_column(summaries),
    }
    lines.sort(key=lambda line: (any(map(is_from_paper, line.found.values())), *map(_rank_text, line.lead)))
    columns = [*_list_lead_columns(lines, names), *_list_number_columns(datasets, list(numbers))]
    rows = [[*_write_lead(line, lines), *_write_numbers(line, datasets, numbers.values())] for line in lines]
    return Grid(columns=columns, rows=rows, notes=write_notes(summaries))


def _build_table3(summaries: Sequence[Summary]) -> Grid:
    datasets = _datasets(summaries)
    names = ("model", "strategy", TRAINING)
    lines = _group_lines(summaries, lambda s: (_name_model(s), s.strategy, _write_training(s)))
    lines.sort(key=_rank_training)
    numbers = {"Acc": write_acc, "Tok k": write_thousands, **list_cost_column(summaries)}
    columns = [*_list_lead_columns(lines, names), *_list_number_columns(datasets, list(numbers))]
    rows = [[*_write_lead(line, lines), *_write_numbers(line, datasets, numbers.values())] for line in lines]
    thousands = (
        "Tok k: thousands of response tokens per attempt, to sub-problems only (chain of thought has no others)."
    )
    return Grid(columns=columns, rows=rows, notes=[*write_notes(summaries, solve_only=True), thousands])


def _write_training(summary: Summary) -> str:
    """`none`, or `sft` with the base model of a model whose name is its own."""
    training, base = summary.options.get(TRAINING, NOTHING), summary.options.get(BASE)
    return f"{training} of {base or 'unknown'}" if BASE in summary.options else str(training)


def _rank_training(line: _Line) -> tuple[str, str, bool]:
    """Base models in order, each before and after, ours before the paper's."""
    summary = next(iter(line.found.values()))
    model = str(summary.options.get(BASE) or summary.model)
    return find_papers_model(summary) or model, str(summary.options.get(TRAINING, "")), is_from_paper(summary)


def _build_cells(summaries: Sequence[Summary]) -> Grid:
    swept = _find_swept(summaries)
    columns: dict[Column, Callable[[Summary], str]] = {
        **({NUMBER: lambda s: "" if s.row is None else str(s.row)} if any(s.row for s in summaries) else {}),
        Column(name="run"): lambda s: s.run,
        Column(name="dataset"): lambda s: s.dataset,
        Column(name="model"): _name_model,
        Column(name="strategy"): lambda s: _mark(_name_strategy(s, swept), [s]),
        **{Column(name=name, number=True): text for name, text in list_columns(summaries).items()},
    }
    lines = [[text(summary) for text in columns.values()] for summary in summaries]
    return Grid(columns=list(columns), rows=lines, notes=[*write_notes(summaries), *note_unreported(summaries)])


def _datasets(summaries: Sequence[Summary]) -> list[str]:
    return list(dict.fromkeys(summary.dataset for summary in summaries))


def build_flat(rows: Sequence[Mapping[str, JSON]]) -> Grid:
    """Puts JSON objects into a table with a column per key; keys of objects in them are joined by dots."""
    lines = [flatten(row) for row in rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    return Grid(
        columns=[Column(name=name) for name in names],
        rows=[[_write_bare(line.get(name)) for name in names] for line in lines],
    )


def _write_bare(value: JSON) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line of a table: its row's number, its run, its first texts, and its summaries by dataset."""

    row: str
    run: str
    lead: tuple[str, ...]
    found: dict[str, Summary]


def _group_lines(summaries: Sequence[Summary], lead: Callable[[Summary], tuple[str, ...]]) -> list[_Line]:
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
    lines: list[_Line] = []
    for _, found in grouped:
        first = next(iter(found.values()))
        row = _name_row(found.values(), several=several)
        run = first.run if clash and not named else ""
        lines.append(_Line(row=row, run=run, lead=lead(first), found=found))
    return lines


def _name_row(summaries: Iterable[Summary], *, several: bool) -> str:
    """The number of a line's row, after its run (as `scale compare` takes it) if the table has several runs."""
    named = [f"{each.run}:{each.row}" if several else str(each.row) for each in summaries if each.row is not None]
    return ", ".join(dict.fromkeys(named))


def _list_lead_columns(lines: Sequence[_Line], names: Sequence[str]) -> list[Column]:
    """The columns before the numbers; those of the row and the run only if a line has them."""
    runs = [Column(name="run")] if any(line.run for line in lines) else []
    return [*([NUMBER] if any(line.row for line in lines) else []), *runs, *(Column(name=name) for name in names)]


def _write_lead(line: _Line, lines: Sequence[_Line]) -> list[str]:
    """A line's first cells, with marks for what its numbers leave out."""
    first = [line.row] * any(each.row for each in lines) + [line.run] * any(each.run for each in lines)
    return [*first, *line.lead[:-1], _mark(line.lead[-1], line.found.values())]


def _mark(label: str, summaries: Collection[Summary]) -> str:
    pending = PENDING * any(summary.pending for summary in summaries)
    return f"{label} {pending}{LEFT_OUT * any(map(leaves_out, summaries))}".rstrip()


def _list_number_columns(datasets: Sequence[str], names: Sequence[str]) -> list[Column]:
    return [Column(name=name, group=dataset, number=True) for dataset in datasets for name in names]


def _write_numbers(line: _Line, datasets: Sequence[str], texts: Iterable[Callable[[Summary], str]]) -> list[str]:
    return [text(line.found[name]) if name in line.found else NOTHING for name, text in product(datasets, texts)]


def _write_average(found: Mapping[str, Summary], datasets: Sequence[str]) -> str:
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


def _name_model(summary: Summary) -> str:
    return f"{summary.model} (paper)" if is_from_paper(summary) else summary.model


def _name_strategy(summary: Summary, swept: Sequence[str]) -> str:
    known = summary.named_options
    shown = [f"{option} {known[option]}" for option in swept if option in known and option != MARK]
    words = [ROW] * is_counted(summary) + shown
    return f"{summary.strategy} ({', '.join(words)})" if words else summary.strategy


def _write_option(summary: Summary, name: str) -> str:
    value = flatten(summary.options).get(name, summary.label.get(name))
    return NOTHING if value is None else str(value)


def _rank_text(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return inf, text
