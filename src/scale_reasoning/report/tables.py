"""Summaries as tables: the paper's two layouts and one with a line per cell, each Acc with its interval and counts.

Decides what is a line and a column. notes.py has the notes below, rows.py the rows' numbers, formats.py the escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    write_short_acc,
    write_short_tok,
    write_thousands,
    write_tok,
    write_tpi,
)
from scale_reasoning.report.formats import NOTHING, Column, Grid
from scale_reasoning.report.lines import (
    NUMBER,
    Line,
    group_lines,
    list_lead_columns,
    make_column,
    mark,
    name_model,
    prepare_print,
    write_average,
    write_lead,
    write_numbers,
)
from scale_reasoning.report.metrics import Summary, find_swept, flatten
from scale_reasoning.report.notes import (
    SHORT_LEGEND,
    VOTE,
    note_runs,
    note_unreported,
    write_legend,
    write_notes,
)
from scale_reasoning.report.paper import BASE, TRAINING, find_papers_model, is_from_paper
from scale_reasoning.report.titles import title_dataset, title_strategy, write_best, write_caption
from scale_reasoning.report.writers import WRITERS, Format, Writers
from scale_reasoning.types import JSON

Layout: TypeAlias = Literal["auto", "table1", "table2", "table3", "cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """printed: with the names that papers have, without what only commands need. compact: short accuracies and tokens,
    and no other number.
    """

    printed: bool = False
    compact: bool = False


def render(
    summaries: Sequence[Summary],
    format: Format,  # noqa: A002 - the flag's name
    layout: Layout = "auto",
    *,
    compact: bool = False,
    writers: Writers = WRITERS,
) -> str:
    """Writes the summaries as one text.

    "table1": a line per strategy and model, columns Acc, Tpi, Tok per dataset and, for several datasets, the average
    Acc. "table2": a line per value of the swept options, columns Acc, Tok, Hard per dataset. "table3": a line per model
    and training, columns Acc and Tok in thousands per dataset, for summaries that training.mark_training made. "cells":
    a line per summary, with every number. "auto": table2 if options of one strategy differ, table1 for several
    strategies, models or datasets, else cells; table1 instead of cells in LaTeX and where `compact`. JSON is a list of
    all summaries in every layout; so is CSV in "auto" and "cells". `compact` leaves only short accuracies and tokens.
    """
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(build_rows(summaries)), indent=2).decode() + "\n"
    if format == "csv" and layout in {"auto", "cells"} and not compact:
        return writers["csv"](build_flat(build_rows(summaries)))
    style = Style(printed=format == "latex", compact=compact)
    chosen = _choose_layout(summaries, style) if layout == "auto" else layout
    build = {"table1": _build_table1, "table2": _build_table2, "table3": _build_table3, "cells": _build_cells}[chosen]
    grid = build(summaries, style)
    if grid.caption and grid.find_best():
        grid = replace(grid, caption=f"{grid.caption} {write_best(summaries)}")
    if format in {"md", "html"}:  # a terminal gets a list of the runs, a paper has no use for their names
        grid = replace(grid, notes=[*grid.notes, *note_runs(summaries)])
    return writers[format](grid)


def build_rows(summaries: Sequence[Summary]) -> list[dict[str, JSON]]:
    """Turns the summaries into JSON objects, with Summary's keys."""
    return [cast("dict[str, JSON]", msgspec.to_builtins(summary, str_keys=True)) for summary in summaries]


def _choose_layout(summaries: Sequence[Summary], style: Style) -> Literal["table1", "table2", "cells"]:
    if len({summary.strategy for summary in summaries}) == 1 and _find_swept(summaries):
        return "table2"
    kinds = {(summary.strategy, summary.model, summary.dataset) for summary in summaries}
    return "table1" if len(kinds) > 1 or style.printed or style.compact else "cells"


def _find_swept(summaries: Sequence[Summary]) -> list[str]:
    """The options that differ between summaries of one strategy and model."""
    mine = [summary for summary in summaries if not is_from_paper(summary)]
    return sorted(find_swept(((s.strategy, s.model), s.label) for s in mine))


def _build_table1(summaries: Sequence[Summary], style: Style) -> Grid:
    swept = _find_swept(summaries)
    lines = group_lines(summaries, lambda s: (name_model(s), _name_strategy(s, swept, style)))
    numbers = {
        "Acc": write_acc,
        "Tpi": write_tpi,
        "Tok": write_tok,
        **list_solve_columns(summaries, "Tpi solve", "Tok solve"),
        **list_cost_column(summaries),
    }
    return _build_lines(lines, summaries, style, ("model", "strategy"), numbers, average=not style.compact)


def _build_table2(summaries: Sequence[Summary], style: Style) -> Grid:
    swept = _find_swept(summaries) or ["tau"]
    names = ("model", "strategy", *swept)

    def lead(s: Summary) -> tuple[str, ...]:
        strategy = title_strategy(s, with_number="tau" not in swept) if style.printed else s.strategy
        return name_model(s), strategy, *(_write_option(s, name) for name in swept)

    lines = group_lines(summaries, lead)
    numbers = {
        "Acc": write_acc,
        "Tok": write_tok,
        "Hard": write_hard,
        **list_solve_columns(summaries, "Tok solve"),
        **list_cost_column(summaries),
    }
    lines.sort(key=lambda line: (any(map(is_from_paper, line.found.values())), *map(_rank_text, line.lead)))
    return _build_lines(lines, summaries, style, names, numbers)


def _build_table3(summaries: Sequence[Summary], style: Style) -> Grid:
    names = ("model", "strategy", TRAINING)
    lines = group_lines(summaries, lambda s: (name_model(s), _name_strategy(s, (), style), _write_training(s)))
    lines.sort(key=_rank_training)
    numbers = {"Acc": write_acc, "Tok k": write_thousands, **list_cost_column(summaries)}
    grid = _build_lines(lines, summaries, style, names, numbers, solve_only=True)
    thousands = (
        "Tok k: thousands of response tokens per attempt, to sub-problems only (chain of thought has no others)."
    )
    return replace(grid, notes=[*grid.notes, thousands], blocks=[str(_rank_training(line)[::2]) for line in lines])


def _build_lines(
    lines: Sequence[Line],
    summaries: Sequence[Summary],
    style: Style,
    names: Sequence[str],
    numbers: Mapping[str, Callable[[Summary], str]],
    *,
    average: bool = False,
    solve_only: bool = False,
) -> Grid:
    """The table of these lines: what leads them, named `names`, then the numbers on each dataset, and their average."""
    datasets = _datasets(summaries)
    numbers = _shorten_numbers(summaries, numbers) if style.compact else numbers
    leads = list_lead_columns(lines, names)
    titles = [title_dataset(dataset) if style.printed else dataset for dataset in datasets]
    columns = [*leads, *(make_column(name, title) for title in titles for name in numbers)]
    rows = [[*write_lead(line, lines), *write_numbers(line, datasets, numbers.values())] for line in lines]
    if average and len(datasets) > 1:
        columns.append(make_column("average Acc"))
        rows = [[*row, write_average(line.found, datasets)] for row, line in zip(rows, lines, strict=True)]
    notes = write_notes(summaries, solve_only=solve_only, vote="Voting" if style.printed else VOTE)
    grid = Grid(
        columns=columns,
        rows=rows,
        notes=notes if style.printed else [SHORT_LEGEND if style.compact else write_legend(numbers), *notes],
        caption=write_caption(summaries, numbers, compact=style.compact) if style.printed else "",
        blocks=[line.lead[0] for line in lines],
        incomplete=_list_incomplete(lines, dict(zip(datasets, titles, strict=True))),
        compact=style.compact,
    )
    return prepare_print(grid, summaries, names, len(leads)) if style.printed else grid


def _list_incomplete(lines: Sequence[Line], titles: Mapping[str, str]) -> set[tuple[int, str]]:
    """See Grid; `titles` are the groups of the datasets' columns, and "" is that of an average."""
    found = {(row, name) for row, line in enumerate(lines) for name, summary in line.found.items() if summary.pending}
    return {(row, titles[name]) for row, name in found} | {(row, "") for row, _ in found}


def _shorten_numbers(
    summaries: Sequence[Summary], numbers: Mapping[str, Callable[[Summary], str]]
) -> dict[str, Callable[[Summary], str]]:
    """Accuracy and tokens alone; where the paper's rows are among them, tokens of responses to sub-problems."""
    if any(map(is_from_paper, summaries)) or "Tok k" in numbers:
        return {"Acc": write_short_acc, "Tok k": write_thousands}
    return {"Acc": write_short_acc, "Tok (k)": write_short_tok}


def _write_training(summary: Summary) -> str:
    """`none`, or `sft` with the base model of a model whose name is its own."""
    training, base = summary.options.get(TRAINING, NOTHING), summary.options.get(BASE)
    return f"{training} of {base or 'unknown'}" if BASE in summary.options else str(training)


def _rank_training(line: Line) -> tuple[str, str, bool]:
    """Base models in order, each before and after, ours before the paper's."""
    summary = next(iter(line.found.values()))
    model = str(summary.options.get(BASE) or summary.model)
    return find_papers_model(summary) or model, str(summary.options.get(TRAINING, "")), is_from_paper(summary)


def _build_cells(summaries: Sequence[Summary], style: Style) -> Grid:
    swept = _find_swept(summaries)
    numbers = list_columns(summaries)
    columns: dict[Column, Callable[[Summary], str]] = {
        **({NUMBER: lambda s: "" if s.row is None else str(s.row)} if any(s.row for s in summaries) else {}),
        Column(name="run"): lambda s: s.run,
        Column(name="dataset"): lambda s: s.dataset,
        Column(name="model"): name_model,
        Column(name="strategy"): lambda s: mark(_name_strategy(s, swept, style), [s]),
        **{make_column(name): text for name, text in numbers.items()},
    }
    lines = [[text(summary) for text in columns.values()] for summary in summaries]
    notes = [write_legend(numbers), *write_notes(summaries), *note_unreported(summaries)]
    blocks = [f"{summary.dataset} {name_model(summary)}" for summary in summaries]
    incomplete = {(row, "") for row, summary in enumerate(summaries) if summary.pending}
    return Grid(columns=list(columns), rows=lines, notes=notes, blocks=blocks, incomplete=incomplete)


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


def _name_strategy(summary: Summary, swept: Sequence[str], style: Style) -> str:
    if style.printed:
        return title_strategy(summary, swept)
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
