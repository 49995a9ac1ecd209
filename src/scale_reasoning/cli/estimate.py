"""What a run would do, before it is done: attempts, the calls it makes at most, and tokens where a length is known.

Lengths are the paper's (Table 1), per dataset and method; a dataset or method that the paper does not have is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scale_reasoning.report import paper
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.types import JSON, Problem

DEFAULT_MODEL = "Qwen3-32B"
"""The paper's model whose lengths stand in for a model that the paper did not run."""


def estimate(manifest: Manifest, problems: Mapping[str, Sequence[Problem]]) -> str:
    """One line per cell, then the sums: attempts and calls before any is shared or reused, tokens of replies."""
    lines: list[str] = []
    all_attempts = all_calls = all_tokens = 0
    unknown: dict[str, None] = {}
    for cell in manifest.cells:
        dataset = cell.dataset.name
        attempts = sum(1 for _ in manifest.units(dataset, problems[dataset]))
        calls, tokens = cell.made().most_calls(), tokens_of(cell)
        all_attempts, all_calls = all_attempts + attempts, all_calls + attempts * calls
        if tokens is None:
            unknown[f"{named(cell.strategy)} on {dataset}"] = None
        else:
            all_tokens += attempts * tokens
        length = "tokens unknown" if tokens is None else f"about {attempts * tokens:,} tokens"
        most = f"at most {calls:,} calls" if calls > 1 else "1 call"
        lines.append(f"{dataset}  {named(cell.strategy)}: {attempts:,} attempts, {most} each, {length}")
    length = f"about {all_tokens:,} tokens at the paper's lengths" if all_tokens else "tokens unknown"
    if all_tokens and unknown:
        length += f", without {', '.join(unknown)}, whose length is unknown"
    lines.append(f"in all {all_attempts:,} attempts, at most {all_calls:,} calls before any is shared, {length}")
    return "\n".join(lines)


def tokens_of(cell: CellSpec) -> int | None:
    """New tokens of one attempt by the paper's Table 1: its row for the cell's model, else for `DEFAULT_MODEL`."""
    named = str(cell.model.model or "").lower()
    models = dict.fromkeys(row.model for row in paper.read_rows("table1"))
    model = next((model for model in models if model.lower() in named), DEFAULT_MODEL)
    lengths = {(row.strategy, row.dataset): row.tok for row in paper.read_rows("table1") if row.model == model}
    return _tokens(cell.strategy, cell.dataset.name, lengths)


def _tokens(strategy: Mapping[str, JSON], dataset: str, lengths: Mapping[tuple[str, str], float | None]) -> int | None:
    base = strategy.get("base")
    if isinstance(base, Mapping):
        each = _tokens(base, dataset, lengths)  # pyright: ignore[reportUnknownArgumentType]
        return None if each is None else int(strategy["samples"]) * each
    length = lengths.get((str(strategy["name"]), dataset))
    return None if length is None else round(length)


def named(strategy: Mapping[str, JSON]) -> str:
    """A strategy with the options that tell it from its neighbours."""
    shown = ", ".join(f"{key} {value}" for key, value in strategy.items() if key in ("tau", "samples", "route"))
    return f"{strategy['name']} ({shown})" if shown else str(strategy["name"])
