"""What becomes of each attempt on its way to a training row: a list of stages, every drop kept with its reason.

Decides how stages are run and counted, so that what came in is always what was kept and what was dropped. What a stage
looks for is filters.py's, the order and the limits are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scale_reasoning.types import Problem, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An attempt that may become a row. `text` is the trace as it would be learnt, empty where there is no solution;
    `tokens` the response tokens of its solutions as the server counted them, None where it did not.
    """

    dataset: str
    problem: Problem
    record: Record
    text: str
    tokens: int | None


Stage: TypeAlias = Callable[[Sequence[Candidate]], Sequence[str | None]]
"""One reason to drop for each candidate, None to keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a stage did: `came = kept + dropped`."""

    stage: str
    came: int
    kept: int

    @property
    def dropped(self) -> int:
        """How many it dropped."""
        return self.came - self.kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A candidate that a stage dropped, and why."""

    candidate: Candidate
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """What was kept, what each stage counted, and all that was dropped."""

    kept: tuple[Candidate, ...]
    counts: tuple[Count, ...]
    dropped: tuple[Dropped, ...]


def run(candidates: Sequence[Candidate], stages: Mapping[str, Stage]) -> Funnel:
    """Every candidate through the stages in their order, until one drops it."""
    left, counts, dropped = list(candidates), list[Count](), list[Dropped]()
    for name, stage in stages.items():
        judged = list(zip(left, stage(left), strict=True))
        dropped += [Dropped(candidate=one, stage=name, reason=reason) for one, reason in judged if reason is not None]
        kept = [one for one, reason in judged if reason is None]
        counts.append(Count(stage=name, came=len(left), kept=len(kept)))
        left = kept
    return Funnel(kept=tuple(left), counts=tuple(counts), dropped=tuple(dropped))
