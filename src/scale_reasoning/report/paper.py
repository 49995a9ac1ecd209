"""The SCALE paper's own numbers (paper.toml) as rows to print or draw beside ours.

Decides how they become Summaries: shares in [0, 1], no interval (the paper prints none), and the denominators that its
percentages imply; and which of them belong beside ours. Their `tok` and `tpi` are as printed: of the responses to
sub-problems alone, where ours are of all stages.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from scale_reasoning.report.metrics import Summary
from scale_reasoning.types import JSON

Table: TypeAlias = Literal["table1", "table2", "figure2", "table3"]

RUN = "SCALE paper"
"""The run that the paper's rows name."""
PROBLEMS = {"aime24": 30, "aime25": 30, "amc23": 40}
SAMPLES = 8


def from_paper(summary: Summary) -> bool:
    """Whether the row is the paper's."""
    return summary.run == RUN


@cache
def rows(table: Table) -> tuple[Summary, ...]:
    """The rows of Table 1 (strategies), Table 2 (tau), Figure 2 (system2_max_tokens) or Table 3 (training)."""
    read = tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))[table]
    return tuple(
        _summary(table, dataset, row, dict(zip(read["columns"], row[dataset], strict=True)))
        for row in read["rows"]
        for dataset in PROBLEMS
        if dataset in row
    )


def beside(summaries: Sequence[Summary]) -> tuple[Summary, ...]:
    """The paper's rows that belong beside these: of the swept tau or token limit, else of Table 1."""
    limits = {summary.options.get("system2_max_tokens") for summary in summaries}
    taus = {summary.options.get("tau") for summary in summaries if summary.strategy == "scale"}
    table: Table = "table1"
    if len({summary.strategy for summary in summaries}) == 1:
        table = "table2" if len(taus) > 1 else "figure2" if len(limits) > 1 else table
    return alike(table, summaries)


def alike(table: Table, summaries: Sequence[Summary]) -> tuple[Summary, ...]:
    """A table's rows on the datasets and with the models of the summaries, models being matched by their names."""
    ran = {(summary.dataset, _plain(summary.model.partition(" + ")[0])) for summary in summaries}
    return tuple(
        row for row in rows(table) if any(row.dataset == name and _plain(row.model) in model for name, model in ran)
    )


def _plain(model: str) -> str:
    return re.sub("[^a-z0-9]", "", model.lower())


def implied_scored(percent: float, planned: int) -> int:
    """The most attempts, up to `planned`, of which a whole number is `percent` to two decimals.

    79.40 of 240 planned is 185 of 233: seven attempts were left out.
    """
    for scored in range(planned, 0, -1):
        nearest = round(percent * scored / 100)
        if abs(nearest / scored * 100 - percent) <= 0.005 + 1e-9:
            return scored
    return planned


def _summary(table: Table, dataset: str, row: Mapping[str, JSON], values: Mapping[str, JSON]) -> Summary:
    printed = {name: float(value) for name, value in values.items() if value != "-"}
    samples = 1 if row["strategy"] == "vote" else SAMPLES
    planned = PROBLEMS[dataset] * samples
    scored = planned if table == "figure2" else implied_scored(printed["acc"], planned)  # a plot implies nothing
    tok, tpi, hard = (printed.get(name) for name in ("tok", "tpi", "hard"))
    options = {key: value for key, value in row.items() if key not in {"model", "strategy", *PROBLEMS}}
    return Summary(
        run=RUN,
        dataset=dataset,
        model=str(row["model"]),
        strategy=str(row["strategy"]),
        options=options,
        denominator="completed",
        acc=printed["acc"] / 100,
        acc_low=None,
        acc_high=None,
        acc_se=None,
        tok=tok,
        tpi=tpi,
        hard=None if hard is None else hard / 100,
        planned=planned,
        completed=planned,
        scored=scored,
        pending=0,
        problems=PROBLEMS[dataset],
        samples=samples,
        pass_at={},
        maj_at={},
        tok_by_stage={},
        tok_by_mode={},
        prompt_tokens=None,
        cached_tokens=None,
        steps=tok / tpi if tok and tpi else None,
        truncated=None,
        unparsed=None,
        unanswered=None,
        model_seconds=None,
        cost=None,
    )
