"""What a run would do, for a dry run: attempts, the most calls it can make, and tokens where a length is known.

Lengths are those of the paper's tables (lengths.py); those that the paper does not have are unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from scale_reasoning.cli.lengths import Length, find_length, name_sources
from scale_reasoning.printable import count
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.strategies import name_in_words
from scale_reasoning.types import Problem


def estimate(manifest: Manifest, problems: Mapping[str, Sequence[Problem]]) -> str:
    """One line per cell, then the sums: attempts, calls before any is shared or reused, new tokens."""
    lines: list[str] = []
    all_attempts = all_calls = all_tokens = 0
    unknown: dict[str, None] = {}
    lengths: list[Length] = []
    for cell in manifest.cells:
        attempts = manifest.count_units(cell.dataset.name, problems[cell.dataset.name])
        calls, each = cell.make_strategy().most_calls(), find_length(cell)
        all_attempts, all_calls = all_attempts + attempts, all_calls + attempts * calls
        if each is None:
            unknown[f"{name_in_words(cell.strategy)} on {cell.dataset.name}"] = None
        else:
            all_tokens += attempts * each.tokens
            lengths.append(each)
        length = "tokens unknown" if each is None else f"about {attempts * each.tokens:,} tokens"
        lines.append(
            f"{_format_cell(cell, manifest)}: {count(attempts, 'attempt')}, {_format_calls(calls)} each, {length}"
        )
    source = f"at the lengths of the paper's {name_sources(lengths)}"
    length = f"about {all_tokens:,} tokens {source}" if all_tokens else "tokens unknown"
    if all_tokens and unknown:
        length += f", without {', '.join(unknown)}, whose length is unknown"
    lines.append(
        f"in all {count(all_attempts, 'attempt')}, at most {count(all_calls, 'call')} before any is shared, {length}"
    )
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
            lines.append(
                f"{_format_cell(cell, store.manifest)}: {rest:,} of {of:,} attempts left, {_format_calls(each)} each"
            )
    lines.append(f"in all {attempts:,} of {planned:,} attempts left, at most {calls:,} calls; the {paid:,} paid for "
                 "before are not made again")  # fmt: skip
    return "\n".join(lines)


def _format_cell(cell: CellSpec, manifest: Manifest) -> str:
    """A cell by its dataset and its strategy, and by its model in a run of several."""
    words = [cell.dataset.name, name_in_words(cell.strategy)]
    several = len({each.model for each in manifest.cells}) > 1
    return "  ".join([model_of(cell.model), *words] if several else words)


def _format_calls(calls: int) -> str:
    return f"at most {count(calls, 'call')}" if calls > 1 else "1 call"
