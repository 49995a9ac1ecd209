"""What a run would do, for a dry run: attempts, the most calls it can make, and tokens where a length is known.

Lengths are the paper's (Table 1), by dataset and strategy; those that the paper does not have are unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from scale_reasoning.report import paper
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.strategies import name_in_words
from scale_reasoning.types import JSON, Problem

DEFAULT_MODEL = "Qwen3-32B"
"""The paper's model whose lengths are used for a model that the paper did not run."""


def estimate(manifest: Manifest, problems: Mapping[str, Sequence[Problem]]) -> str:
    """One line per cell, then the sums: attempts, calls before any is shared or reused, new tokens."""
    lines: list[str] = []
    all_attempts = all_calls = all_tokens = 0
    unknown: dict[str, None] = {}
    for cell in manifest.cells:
        attempts = manifest.count_units(cell.dataset.name, problems[cell.dataset.name])
        calls, tokens = cell.make_strategy().most_calls(), estimate_tokens(cell)
        all_attempts, all_calls = all_attempts + attempts, all_calls + attempts * calls
        if tokens is None:
            unknown[f"{name_in_words(cell.strategy)} on {cell.dataset.name}"] = None
        else:
            all_tokens += attempts * tokens
        length = "tokens unknown" if tokens is None else f"about {attempts * tokens:,} tokens"
        lines.append(f"{_format_cell(cell)}: {attempts:,} attempts, {_format_calls(calls)} each, {length}")
    length = f"about {all_tokens:,} tokens at the paper's lengths" if all_tokens else "tokens unknown"
    if all_tokens and unknown:
        length += f", without {', '.join(unknown)}, whose length is unknown"
    lines.append(f"in all {all_attempts:,} attempts, at most {all_calls:,} calls before any is shared, {length}")
    return "\n".join(lines)


def estimate_rest(folder: Path) -> str:
    """What a resume of the run in `folder` would do, cell by cell. Raises ConfigError or StoreError if it is no run."""
    from scale_reasoning.runs.store import reading

    lines: list[str] = []
    attempts = planned = calls = 0
    with reading(folder) as store:
        done, paid = Counter(cell for cell, _, _ in store.done()), store.paid()[0]
        for number, cell in enumerate(store.manifest.cells):
            of, each = store.planned_of(number), cell.make_strategy().most_calls()
            rest = of - done[number]
            attempts, planned, calls = attempts + rest, planned + of, calls + rest * each
            lines.append(f"{_format_cell(cell)}: {rest:,} of {of:,} attempts left, {_format_calls(each)} each")
    lines.append(f"in all {attempts:,} of {planned:,} attempts left, at most {calls:,} calls; the {paid:,} paid for "
                 "before are not made again")  # fmt: skip
    return "\n".join(lines)


def estimate_tokens(cell: CellSpec) -> int | None:
    """New tokens of one attempt by the paper's Table 1: its row for the cell's model, else for `DEFAULT_MODEL`."""
    named = str(cell.model.model or "").lower()
    models = dict.fromkeys(row.model for row in paper.read_rows("table1"))
    model = next((model for model in models if model.lower() in named), DEFAULT_MODEL)
    lengths = {(row.strategy, row.dataset): row.tok for row in paper.read_rows("table1") if row.model == model}
    return _look_up(cell.strategy, cell.dataset.name, lengths)


def estimate_accuracy(cell: CellSpec) -> float | None:
    """The paper's accuracy (Table 1, a fraction, mean over its datasets) for the cell's model and strategy, if any."""
    named, strategy = str(cell.model.model or "").lower(), str(cell.strategy["name"])
    found = [row.acc for row in paper.read_rows("table1") if row.model.lower() in named and row.strategy == strategy]
    known = [acc for acc in found if acc is not None]
    return sum(known) / len(known) if known else None


def _look_up(strategy: Mapping[str, JSON], dataset: str, lengths: Mapping[tuple[str, str], float | None]) -> int | None:
    base = strategy.get("base")
    if isinstance(base, Mapping):
        each = _look_up(base, dataset, lengths)  # pyright: ignore[reportUnknownArgumentType]
        return None if each is None else int(strategy["samples"]) * each
    length = lengths.get((str(strategy["name"]), dataset))
    return None if length is None else round(length)


def _format_cell(cell: CellSpec) -> str:
    return f"{cell.dataset.name}  {name_in_words(cell.strategy)}"


def _format_calls(calls: int) -> str:
    return f"at most {calls:,} calls" if calls > 1 else "1 call"
