"""What a resume would do, printed instead of done: no model is asked and no file is written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.estimate import named

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store


def left(folder: Path) -> str:
    """What is left of the run in `folder`: attempts, and calls at most, cell by cell.

    Raises ConfigError or StoreError when there is no run that can be read.
    """
    from scale_reasoning.runs.store import reading

    with reading(folder) as store:
        return _left(store)


def _left(store: Store) -> str:
    done = Counter(cell for cell, _, _ in store.done())
    lines: list[str] = []
    attempts = planned = calls = 0
    for number, cell in enumerate(store.manifest.cells):
        of, each = store.planned_of(number), cell.made().most_calls()
        rest = of - done[number]
        attempts, planned, calls = attempts + rest, planned + of, calls + rest * each
        most = f"at most {each:,} calls" if each > 1 else "1 call"
        lines.append(f"{cell.dataset.name}  {named(cell.strategy)}: {rest:,} of {of:,} attempts left, {most} each")
    lines.append(f"in all {attempts:,} of {planned:,} attempts left, at most {calls:,} calls; those that "
                 f"were paid for before ({store.paid()[0]:,}) are not made again")  # fmt: skip
    return "\n".join(lines)
