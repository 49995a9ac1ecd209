"""A finished tuning as rows: finalists on the problems that were held out, the others on those that they had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from scale_reasoning.report.formats import NOTHING, UNKNOWN, Column, Grid, count, percent, plain, span
from scale_reasoning.report.writers import WRITERS, Format, Writers
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.strategies import name_in_words
from scale_reasoning.tuning.choice import FIRST, Evidence, Measured, advise, choose, measure, weigh
from scale_reasoning.tuning.drops import Drop, Outcomes, Standing, find_level, rank_tokens
from scale_reasoning.types import JSON

SPARE = ("won, lost", "Tok / row 1")
"""Headings of columns that a narrow terminal leaves out first."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate. row: its number in the run's report. on: the problems of `measured`. drop: `by` is a row, too."""

    row: int
    candidate: str
    strategy: Mapping[str, JSON]
    on: Literal["held out", "tuned on"]
    measured: Measured
    evidence: Evidence | None
    drop: Drop | None


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """A finished tuning. chosen: a row's number; None if no candidate keeps the limit of tokens."""

    dataset: str
    model: str
    tuned_on: int
    held_out: int
    tokens: float | None
    margin: float
    level: float
    rows: Sequence[Row]
    chosen: int | None
    advice: str


def tabulate(outcomes: Sequence[Outcomes], order: Sequence[str], manifest: Manifest, standing: Standing) -> Tuned:
    """The rows of a tuning whose `standing` needs nothing more: the first, the other finalists by tokens, the rest.

    `outcomes` are those of each candidate, `order` are the problems in the order of their use.
    """
    tuning = manifest.require_tuning()
    held_out = order[tuning.rounds[-1] : tuning.problems]
    finals = {cell: [outcomes[cell][name] for name in held_out] for cell in standing.finalists}
    drop = standing.drops.get(FIRST)
    level = find_level(len(outcomes), tuning)
    evidence = {cell: weigh(own, outcomes[FIRST], level) for cell, own in enumerate(outcomes) if cell != FIRST}
    choice = choose(finals, evidence, tuning, beaten=drop is not None and drop.reason == "worse")
    rest = [cell for cell in range(len(outcomes)) if cell not in finals]
    finalists = sorted(finals, key=lambda cell: (cell != FIRST, rank_tokens(choice.measured[cell].tokens), cell))
    measured = {**choice.measured, **{cell: _measure_dropped(cell, outcomes, order, standing) for cell in rest}}
    names = {cell: name_in_words(spec.strategy) for cell, spec in enumerate(manifest.cells)}
    rows = [
        Row(
            row=cell + 1,
            candidate=names[cell],
            strategy=manifest.cells[cell].strategy,
            on="held out" if cell in finals else "tuned on",
            measured=measured[cell],
            evidence=evidence.get(cell),
            drop=number_rows(standing.drops[cell]) if cell in standing.drops else None,
        )
        for cell in (*finalists, *rest)
    ]
    return Tuned(
        dataset=manifest.cells[FIRST].dataset.name,
        model=model_of(manifest.cells[FIRST].model),
        tuned_on=max(standing.planned) - tuning.held_out,
        held_out=tuning.held_out,
        tokens=tuning.tokens,
        margin=tuning.margin,
        level=tuning.level,
        rows=rows,
        chosen=None if choice.chosen is None else choice.chosen + 1,
        advice=advise(msgspec.structs.replace(choice, measured=measured), names, tuning),
    )


def render(tuned: Tuned, format: Format, writers: Writers = WRITERS) -> str:  # noqa: A002 - the flag's name
    """The tuning as one text."""
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(tuned), indent=2).decode() + "\n"
    numbers = ("problems", "Acc [95 %]", "Tok", "Acc - row 1", "Tok / row 1", "won, lost")
    columns = [
        Column(name="row", number=True),
        Column(name="candidate"),
        *(Column(name=name, number=True, spare=name in SPARE) for name in numbers),
        Column(name="outcome"),
    ]
    rows = [_write(row, tuned) for row in tuned.rows]
    return f"{writers[format](Grid(columns=columns, rows=rows, notes=_explain(tuned)))}\n{plain(tuned.advice)}\n"


def _write(row: Row, tuned: Tuned) -> list[str]:
    own = row.measured
    difference = NOTHING if own.difference is None else f"{own.difference * 100:+.2f} {span(own.low, own.high)}"
    ratio = NOTHING if own.token_ratio is None else f"{own.token_ratio:.2f}"
    if own.token_low is not None and own.token_high is not None:
        ratio = f"{ratio} [{own.token_low:.2f}, {own.token_high:.2f}]"
    return [
        str(row.row),
        row.candidate,
        f"{own.problems} {row.on}",
        f"{percent(own.acc)} {span(own.acc_low, own.acc_high)}".strip(),
        UNKNOWN if own.tokens is None else count(own.tokens),
        difference.strip(),
        ratio,
        NOTHING if row.evidence is None else f"{row.evidence.wins}, {row.evidence.losses}",
        _write_outcome(row, tuned),
    ]


def _write_outcome(row: Row, tuned: Tuned) -> str:
    chosen = "chosen" if row.row == tuned.chosen else ""
    drop = row.drop
    if drop is None or (chosen and row.row == FIRST + 1):
        return chosen or NOTHING
    return f"round {drop.round}: {write_reason(drop)}"


def write_reason(drop: Drop) -> str:
    """Why a candidate was dropped, in words; `by` is a row, as `number_rows` makes it."""
    match drop.reason:
        case "worse":
            return f"worse than row {drop.by}: {drop.wins} to {drop.losses}"
        case "tokens":
            return "over the limit of tokens"
        case "dominated":
            return f"dominated by row {drop.by}"


def _explain(tuned: Tuned) -> list[str]:
    """What the table means."""
    where = (
        "held out: problems on which no row was dropped; the choice is made on them. tuned on: the problems that a row "
        "had when it was dropped. worse, 11 to 0: the problems that only the other row solves, and that only this one "
        f"does; the chance that such tests drop the best row is at most {tuned.level:.0%}. dominated: on all problems "
        "tuned on, the other row is at least as accurate for no more tokens, which is no test."
    )
    legend = (
        "Acc in %. Tok: response tokens per problem. Acc - row 1, Tok / row 1: on the same problems, paired; the "
        "finalists' intervals of Acc - row 1 hold together with 95 % confidence, all others have 95 % each. won, lost: "
        "of all problems that both have had, those that only this row solves, and those that only row 1 solves."
    )
    return [where, legend]


def number_rows(drop: Drop) -> Drop:
    """The drop with the other candidate's row, which counts from 1."""
    return drop if drop.by is None else msgspec.structs.replace(drop, by=drop.by + 1)


def _measure_dropped(cell: int, outcomes: Sequence[Outcomes], order: Sequence[str], standing: Standing) -> Measured:
    """A dropped candidate on the problems that it has had, and against the first on those that both have had."""
    had = [name for name in order[: standing.planned[cell]] if name in outcomes[cell]]
    shared = [name for name in had if name in outcomes[FIRST]]
    own, first = ([outcomes[side][name] for name in shared] for side in (cell, FIRST))
    whole = [outcomes[cell][name] for name in had]
    alone = measure(whole, whole)
    return msgspec.structs.replace(
        measure(own, first),
        problems=alone.problems,
        acc=alone.acc,
        acc_low=alone.acc_low,
        acc_high=alone.acc_high,
        tokens=alone.tokens,
    )
