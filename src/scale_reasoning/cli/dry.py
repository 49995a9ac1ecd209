"""What a command would do, printed instead of done: no model is asked and no file is written.

Decides how the rest of a run is summed up; what an attempt costs is progress.py's.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.progress import calls_each, named

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store


def left(folder: Path) -> str:
    """What a resume of the run in `folder` would do: attempts that are left and calls, cell by cell.

    Raises ConfigError or StoreError when there is no run that can be read.
    """
    from scale_reasoning.runs.store import reading

    with reading(folder) as store:
        return _left(store)


def _left(store: Store) -> str:
    done = Counter(cell for cell, _, _ in store.done())
    planned = {number: store.planned_of(number) for number in range(len(store.manifest.cells))}
    lines = [
        f"{cell.dataset.name}  {named(cell)}: {planned[number] - done[number]:,} of {planned[number]:,} attempts left, "
        f"{calls_each(cell)} calls each"
        for number, cell in enumerate(store.manifest.cells)
    ]
    every, calls = sum(planned.values()), store.paid()[0]
    rest = every - done.total()
    paid = f"at most the calls above, less what the {calls:,} calls already paid for answer" if rest else "no calls"
    return "\n".join([*lines, f"in all {rest:,} of {every:,} attempts left: {paid}"])
