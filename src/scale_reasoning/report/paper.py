"""The SCALE paper's own numbers (paper.toml) as summaries, to print or draw with ours.

Decides which of them belong to ours and what denominators their percentages imply. They have no intervals, because the
paper prints none. Their `tok` and `tpi` are as printed: of responses to sub-problems only, ours are of all stages.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.paper_models import find_model
from scale_reasoning.types import JSON

Table: TypeAlias = Literal["table1", "table2", "figure2", "table3"]

RUN = "SCALE paper"
"""The run of the paper's rows."""
PROBLEMS = {"aime24": 30, "aime25": 30, "amc23": 40}
SAMPLES = 8
TRAINING, BASE = "training", "base_model"
"""The options that say whether a model is fine-tuned (`none` or `sft`), and of a fine-tuned one on which model."""


def is_from_paper(summary: Summary) -> bool:
    """Whether the row is the paper's."""
    return summary.run == RUN


@cache
def read_rows(table: Table) -> tuple[Summary, ...]:
    """Reads the rows of Table 1 (strategies), Table 2 (tau), Figure 2 (system2_max_tokens) or Table 3 (training)."""
    read = tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))[table]
    return tuple(
        _make_summary(table, dataset, row, dict(zip(read["columns"], row[dataset], strict=True)))
        for row in read["rows"]
        for dataset in PROBLEMS
        if dataset in row
    )


def find_counterparts(summaries: Sequence[Summary]) -> tuple[Summary, ...]:
    """The paper's rows to print with these: of the swept tau or token limit, else of Table 1; of Table 3 where the
    summaries say whether their models are fine-tuned.
    """
    if any(TRAINING in summary.options for summary in summaries):
        return select_rows("table3", summaries)
    limits = {summary.options.get("system2_max_tokens") for summary in summaries}
    taus = {summary.options.get("tau") for summary in summaries if summary.strategy == "scale"}
    table: Table = "table1"
    if len({summary.strategy for summary in summaries}) == 1:
        table = "table2" if len(taus) > 1 else "figure2" if len(limits) > 1 else table
    return select_rows(table, summaries)


def select_rows(table: Table, summaries: Sequence[Summary]) -> tuple[Summary, ...]:
    """A table's rows with the datasets and models of the summaries; a fine-tuned model's are those of its base."""
    ran = {(summary.dataset, find_papers_model(summary)) for summary in summaries}
    return tuple(row for row in read_rows(table) if (row.dataset, row.model) in ran)


def find_papers_model(summary: Summary) -> str | None:
    """The paper's name of the model, or of the base model if it is fine-tuned; None if the paper did not run it."""
    base = summary.options.get(BASE)
    return find_model(str(base)) if base else None if BASE in summary.options else find_model(summary.model)


def find_scored(percent: float, planned: int) -> int:
    """The largest number of attempts, up to `planned`, that can have `percent` right (rounded to two decimals).

    79.40 with 240 planned is 185 of 233: seven attempts were left out.
    """
    for scored in range(planned, 0, -1):
        nearest = round(percent * scored / 100)
        if abs(nearest / scored * 100 - percent) <= 0.005 + 1e-9:
            return scored
    return planned


def _make_summary(table: Table, dataset: str, row: Mapping[str, JSON], values: Mapping[str, JSON]) -> Summary:
    printed = {name: float(value) for name, value in values.items() if value != "-"}
    samples = 1 if row["strategy"] == "vote" else SAMPLES
    planned = PROBLEMS[dataset] * samples
    # Values read off a plot imply nothing.
    scored = planned if table == "figure2" else find_scored(printed["acc"], planned)
    tok, tpi, hard = (printed.get(name) for name in ("tok", "tpi", "hard"))
    return Summary(
        run=RUN,
        dataset=dataset,
        model=str(row["model"]),
        strategy=str(row["strategy"]),
        options={key: value for key, value in row.items() if key not in {"model", "strategy", *PROBLEMS}},
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
        steps=tok / tpi if tok and tpi else None,
    )
