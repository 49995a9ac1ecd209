"""Summaries as tables: the paper's two layouts and a row-a-cell one, each Acc with its interval and denominators.

Decides what is a row, a column and a footnote. Knows nothing of escaping (formats.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean
from typing import Literal, TypeAlias, TypeVar, cast

import msgspec

from scale_reasoning.report.estimators import Z95
from scale_reasoning.report.formats import UNKNOWN, WRITERS, Column, Grid, count, decimal, percent, span
from scale_reasoning.report.metrics import LOOKED_AT_BY, Summary
from scale_reasoning.report.paper import from_paper
from scale_reasoning.types import JSON

Format: TypeAlias = Literal["md", "latex", "html", "csv", "json"]
Layout: TypeAlias = Literal["auto", "table1", "table2", "cells"]

OWED = "†"
"""After the label of a row with owed attempts."""
LEFT_OUT = "‡"
"""After the label of a row whose failed attempts are left out."""

Key = TypeVar("Key", int, str)


def render(summaries: Sequence[Summary], format: Format, layout: Layout = "auto") -> str:  # noqa: A002 - the flag's name
    """The summaries as one text.

    "table1": a row a strategy of a model, columns Acc, Tpi, Tok a dataset and the average Acc. "table2": a row a value
    of the swept knobs, columns Acc, Tok, Hard a dataset. "cells": a row a summary, everything known. "auto": table2
    when knobs differ within one strategy, table1 for several strategies, models or datasets, else cells. JSON is a list
    of summaries, and CSV left to "auto" is those, whatever the layout.
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
    """The knobs that differ, or that some do not look at, between summaries of one strategy, dataset and model."""
    seen: dict[str, dict[str, set[str]]] = {}
    for summary in summaries:
        if not from_paper(summary):
            knobs = seen.setdefault(f"{summary.strategy}\n{summary.dataset}\n{summary.model}", {})
            idle = dict.fromkeys(LOOKED_AT_BY)
            for key, value in (idle | _flattened(summary.knobs)).items():
                knobs.setdefault(key, set()).add(str(value))
    return sorted({key for knobs in seen.values() for key, values in knobs.items() if len(values) > 1})


def _flattened(tree: Mapping[str, JSON], under: str = "") -> dict[str, JSON]:
    flat: dict[str, JSON] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flattened(cast("Mapping[str, JSON]", value), f"{under}{key}.")
        else:
            flat[under + key] = value
    return flat


def _table1(summaries: Sequence[Summary]) -> Grid:
    swept = _swept(summaries)
    leads = _leads(summaries, ("model", "strategy"), lambda s: (_model(s), _strategy(s, swept)))
    datasets = list(dict.fromkeys(summary.dataset for summary in summaries))
    lines: list[list[str]] = []
    for lead, found in leads.rows:
        known = [found[dataset] for dataset in datasets if dataset in found]
        average = _average(known) if len(known) == len(datasets) else UNKNOWN
        lines.append([*_marked(lead, known), *_triples(found, datasets, (_acc, _tpi, _tok)), average])
    columns = [*leads.columns, *_headings(datasets, ("Acc", "Tpi", "Tok")), Column(name="average Acc", number=True)]
    return Grid(columns=columns, rows=lines, notes=_notes(summaries))


def _table2(summaries: Sequence[Summary]) -> Grid:
    swept = _swept(summaries) or ["tau"]
    names = ("model", "strategy", *swept)
    leads = _leads(summaries, names, lambda s: (_model(s), s.strategy, *(_knob(s, knob) for knob in swept)))
    datasets = list(dict.fromkeys(summary.dataset for summary in summaries))
    lines = [
        [*_marked(lead, found.values()), *_triples(found, datasets, (_acc, _tok, _hard))]
        for lead, found in sorted(
            leads.rows, key=lambda row: (any(map(from_paper, row[1].values())), *map(_rank, row[0]))
        )
    ]
    columns = [*leads.columns, *_headings(datasets, ("Acc", "Tok", "Hard"))]
    return Grid(columns=columns, rows=lines, notes=_notes(summaries))


def _cells(summaries: Sequence[Summary]) -> Grid:
    swept = _swept(summaries)
    columns: dict[Column, Callable[[Summary], str]] = {
        Column(name="run"): lambda s: s.run,
        Column(name="dataset"): lambda s: s.dataset,
        Column(name="model"): _model,
        Column(name="strategy"): lambda s: "".join(_marked((_strategy(s, swept),), [s])),
        **{Column(name=name, number=True): text for name, text in _numbers(summaries).items()},
    }
    lines = [[text(summary) for text in columns.values()] for summary in summaries]
    kept = [place for place in range(len(columns)) if any(line[place] != UNKNOWN for line in lines)]
    shown = [[line[place] for place in kept] for line in lines]
    return Grid(columns=[list(columns)[place] for place in kept], rows=shown, notes=_notes(summaries))


def _numbers(summaries: Sequence[Summary]) -> dict[str, Callable[[Summary], str]]:
    """Every number of a summary by its heading."""
    return {
        "Acc": _acc,
        "SE": lambda s: percent(s.acc_se),
        "Tok": _tok,
        "Tpi": _tpi,
        "Hard": _hard,
        "steps": lambda s: decimal(s.steps),
        **{f"pass@{k}": lambda s, k=k: percent(s.pass_at.get(k)) for k in _keys(s.pass_at for s in summaries)},
        **{f"maj@{k}": lambda s, k=k: percent(s.maj_at.get(k)) for k in _keys(s.maj_at for s in summaries)},
        **{f"Tok {x}": lambda s, x=x: count(s.tok_by_stage.get(x)) for x in _keys(s.tok_by_stage for s in summaries)},
        **{f"Tok {x}": lambda s, x=x: count(s.tok_by_mode.get(x)) for x in _keys(s.tok_by_mode for s in summaries)},
        "prompt": lambda s: count(s.prompt_tokens),
        "cached": lambda s: count(s.cached_tokens),
        "truncated": lambda s: percent(s.truncated),
        "unparsed": lambda s: percent(s.unparsed),
        "unanswered": lambda s: percent(s.unanswered),
        "model s": lambda s: decimal(s.model_seconds),
        "cost": lambda s: UNKNOWN if s.cost is None else f"{s.cost:.4g}",
        "planned": lambda s: str(s.planned),
        "completed": lambda s: str(s.completed),
        "scored": lambda s: str(s.scored),
        "owed": lambda s: str(s.owed),
    }


def _keys(maps: Iterable[Mapping[Key, float | None]]) -> list[Key]:
    return list(dict.fromkeys(key for mapping in maps for key in mapping))


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
class _Leads:
    """What a table's rows are, by their first cells, and each one's summaries by dataset."""

    columns: list[Column]
    rows: list[tuple[tuple[str, ...], dict[str, Summary]]]


def _leads(summaries: Sequence[Summary], names: Sequence[str], lead: Callable[[Summary], tuple[str, ...]]) -> _Leads:
    """Summaries with one lead share a row; where two of them are on one dataset, runs get rows of their own."""
    clash = len({(lead(summary), summary.dataset) for summary in summaries}) < len(summaries)
    found: list[tuple[tuple[str, ...], dict[str, Summary]]] = []
    for summary in summaries:
        key = (summary.run, *lead(summary)) if clash else lead(summary)
        row = next((row for known, row in found if known == key and summary.dataset not in row), None)
        if row is None:
            row = dict[str, Summary]()
            found.append((key, row))
        row[summary.dataset] = summary
    return _Leads(columns=[Column(name=name) for name in (["run", *names] if clash else names)], rows=found)


def _marked(lead: Sequence[str], summaries: Iterable[Summary]) -> list[str]:
    known = list(summaries)
    marks = OWED * any(summary.owed for summary in known)
    marks += LEFT_OUT * any(map(_left_out, known))
    return [*lead[:-1], f"{lead[-1]} {marks}".rstrip()]


def _headings(datasets: Sequence[str], names: Sequence[str]) -> list[Column]:
    return [Column(name=name, group=dataset, number=True) for dataset in datasets for name in names]


def _triples(
    found: Mapping[str, Summary], datasets: Sequence[str], texts: Sequence[Callable[[Summary], str]]
) -> list[str]:
    return [text(found[dataset]) if dataset in found else UNKNOWN for dataset in datasets for text in texts]


def _average(summaries: Sequence[Summary]) -> str:
    """The datasets' mean Acc. Its interval is normal, from standard errors that add up as independent ones do."""
    accs = [summary.acc for summary in summaries if summary.acc is not None]
    errors = [summary.acc_se for summary in summaries if summary.acc_se is not None]
    if not accs or len(accs) < len(summaries):
        return UNKNOWN
    value = fmean(accs)
    counts = f"({sum(s.scored for s in summaries)}/{sum(s.planned for s in summaries)})"
    if len(errors) < len(accs):
        return f"{percent(value)} {counts}"
    half = Z95 * sqrt(sum(error * error for error in errors)) / len(errors)
    return f"{percent(value)} {span(max(0.0, value - half), min(1.0, value + half))} {counts}"


def _notes(summaries: Sequence[Summary]) -> list[str]:
    legend = (
        "Acc in % with its 95 % interval (bootstrap over problems) and (scored/planned) attempts; Tok, Tpi: response "
        "tokens an attempt, an iteration; Hard: % of iterations in System 2."
    )
    notes = [legend]
    owed = [summary for summary in summaries if summary.owed]
    if owed:
        missing, planned = sum(summary.owed for summary in owed), sum(summary.planned for summary in owed)
        notes.append(
            f"{OWED} Incomplete: {missing} of {planned} attempts are owed (not run yet, or the world failed) and not "
            "scored. Resume the run."
        )
    if any(map(_left_out, summaries)):
        notes.append(f"{LEFT_OUT} Denominator completed: attempts that failed are left out, as in the paper.")
    if any(map(from_paper, summaries)):
        notes.append("(paper): as printed, without intervals; scored is what the percentage implies.")
    if any(summary.acc_low == summary.acc_high is not None for summary in summaries):
        notes.append(
            "An interval without width: every problem came out alike, which n problems also do where the true value is "
            "up to 3/n away (rule of three)."
        )
    return notes


def _left_out(summary: Summary) -> bool:
    """Whether Acc is over completed attempts: said of ours always, of the paper's where its percentage betrays it."""
    return summary.denominator == "completed" and (not from_paper(summary) or summary.scored < summary.planned)


def _model(summary: Summary) -> str:
    return f"{summary.model} (paper)" if from_paper(summary) else summary.model


def _strategy(summary: Summary, swept: Sequence[str]) -> str:
    knobs = _flattened(summary.knobs)
    told = ", ".join(f"{knob} {knobs[knob]}" for knob in swept if knob in knobs)
    return f"{summary.strategy} ({told})" if told else summary.strategy


def _knob(summary: Summary, name: str) -> str:
    value = _flattened(summary.knobs).get(name)
    return UNKNOWN if value is None else str(value)


def _rank(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return inf, text


def _acc(summary: Summary) -> str:
    if summary.acc is None:
        return UNKNOWN
    interval = span(summary.acc_low, summary.acc_high)
    return " ".join(filter(None, (percent(summary.acc), interval, f"({summary.scored}/{summary.planned})")))


def _tok(summary: Summary) -> str:
    return count(summary.tok)


def _tpi(summary: Summary) -> str:
    return count(summary.tpi)


def _hard(summary: Summary) -> str:
    return percent(summary.hard)
