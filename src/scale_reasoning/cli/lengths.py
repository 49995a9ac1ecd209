"""The paper's lengths and accuracies for a dry run: new tokens per attempt, and the share of right answers.

Decides which of the paper's rows a cell is like. What the paper does not have is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from scale_reasoning.report import paper
from scale_reasoning.report.metrics import Summary
from scale_reasoning.runs.manifest import CellSpec
from scale_reasoning.strategies import shorten
from scale_reasoning.types import JSON

DEFAULT_MODEL = "Qwen3-32B"
"""The paper's model whose lengths are used for a model that the paper did not run."""
TABLE2_LIMIT = 16_384
"""The limit of System 2 in the paper's Table 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """New tokens of one attempt, and the table and model of the paper that they are of."""

    tokens: int
    table: str
    model: str


def find_length(cell: CellSpec) -> Length | None:
    """The length of one attempt of a cell; None if the paper has none."""
    return _find(cell.strategy, cell.dataset.name, _simplify(cell.model.model or ""))


def find_accuracy(cell: CellSpec) -> float | None:
    """The paper's share of right answers with the cell's model and strategy, the mean over Table 1's datasets."""
    model, strategy = _simplify(cell.model.model or ""), str(cell.strategy["name"])
    rows = [row for row in paper.read_rows("table1") if row.strategy == strategy and _simplify(row.model) in model]
    return sum(row.acc or 0.0 for row in rows) / len(rows) if rows else None


def name_sources(lengths: Iterable[Length]) -> str:
    """The tables of some lengths with their models: `Table 1 (Qwen3-32B, QwQ)`."""
    tables: dict[str, dict[str, None]] = {}
    for length in lengths:
        tables.setdefault(length.table, {})[length.model] = None
    return " and ".join(f"{table} ({', '.join(tables[table])})" for table in sorted(tables))


def _find(strategy: Mapping[str, JSON], dataset: str, model: str) -> Length | None:
    base = strategy.get("base")
    if isinstance(base, Mapping):
        each = _find(cast("Mapping[str, JSON]", base), dataset, model)
        return None if each is None else replace(each, tokens=int(strategy["samples"]) * each.tokens)
    for table, rows in _list_rows(strategy, model):
        for row in rows:
            if (row.strategy, row.dataset) == (strategy["name"], dataset) and row.tok is not None:
                return Length(tokens=round(row.tok), table=table, model=row.model)
    return None


def _list_rows(strategy: Mapping[str, JSON], model: str) -> Iterator[tuple[str, Sequence[Summary]]]:
    """The paper's rows that are of this model, the nearest to the strategy first, then those of the default model."""
    yield "Table 3", [row for row in paper.read_rows("table3") if _is_of_table3(row, model)]
    tables = {table: paper.read_rows(table) for table in ("table1", "table2")}
    known = {_simplify(row.model): row.model for row in tables["table1"]}
    named = next((name for simple, name in known.items() if simple in model), DEFAULT_MODEL)
    if strategy.get("system2_max_tokens") == TABLE2_LIMIT:
        tau = shorten(strategy).get("tau")
        yield "Table 2", [row for row in tables["table2"] if row.model == named and row.options["tau"] == tau]
    yield "Table 1", [row for row in tables["table1"] if row.model == named]


def _is_of_table3(row: Summary, model: str) -> bool:
    """Whether a model is the row's: a base model, or one that `scale sft` trained from it."""
    trained = model.startswith("scalesft")
    base = _simplify(row.model.removesuffix("-Instruct") if trained else row.model)
    return base in model and (row.options["training"] == "sft") == trained


def _simplify(model: str) -> str:
    return re.sub("[^a-z0-9]", "", model.lower().rpartition("/")[2])
