"""Passes attempts through filters and counts what each one drops.

Every drop is kept with its reason, so kept and dropped attempts add up to all. filters.py has the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scale_reasoning.types import Problem, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An attempt that may become a row. `text` is the trace, empty where there is no solution. `tokens` are the
    response tokens of its solutions as the server counted them, None where it did not.
    """

    dataset: str
    problem: Problem
    record: Record
    text: str
    tokens: int | None

    @property
    def key(self) -> tuple[str, str]:
        """Its problem among several datasets: dataset and id."""
        return self.dataset, self.problem.id

    @property
    def id(self) -> str:
        """The id of its row: dataset, problem and sample."""
        return f"{self.dataset}/{self.problem.id}/{self.record.attempt.sample}"


Filter: TypeAlias = Callable[[Sequence[Candidate]], Sequence[str | None]]
"""Gives for each candidate the reason to drop it, or None to keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What one filter did: `came = kept + dropped`."""

    stage: str
    came: int
    kept: int

    @property
    def dropped(self) -> int:
        """The number of dropped candidates."""
        return self.came - self.kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A dropped candidate, the filter's name and its reason."""

    candidate: Candidate
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """What was kept, the counts of each filter, and all drops. `marked` are kept candidates that a filter which is off
    would drop, with its reason.
    """

    kept: tuple[Candidate, ...]
    counts: tuple[Count, ...]
    dropped: tuple[Drop, ...]
    marked: tuple[Drop, ...] = ()


def explain_empty(funnel: Funnel) -> str:
    """Why nothing was kept: the stage that dropped most, with its first drop as an example."""
    if not funnel.dropped:
        return "no attempt was made"
    worst = max(funnel.counts, key=lambda count: count.dropped)
    first = next(each for each in funnel.dropped if each.stage == worst.stage)
    return (
        f"the stage {worst.stage!r} dropped {worst.dropped:,} of the {worst.came:,} that came to it, for example "
        f"{first.candidate.id}: {first.reason}"
    )


def run(
    candidates: Sequence[Candidate], filters: Mapping[str, Filter], checks: Mapping[str, Filter] | None = None
) -> Funnel:
    """Passes candidates through the filters in order, until one drops them. `checks` only mark what was kept."""
    left, counts, dropped = list(candidates), list[Count](), list[Drop]()
    for name, judge in filters.items():
        kept, out = _judge(name, judge, left)
        dropped += out
        counts.append(Count(stage=name, came=len(left), kept=len(kept)))
        left = kept
    marked = [drop for name, judge in (checks or {}).items() for drop in _judge(name, judge, left)[1]]
    return Funnel(kept=tuple(left), counts=tuple(counts), dropped=tuple(dropped), marked=tuple(marked))


def _judge(name: str, judge: Filter, came: Sequence[Candidate]) -> tuple[list[Candidate], list[Drop]]:
    """What a filter keeps, and what it drops."""
    judged = list(zip(came, judge(came), strict=True))
    drops = [Drop(candidate=one, stage=name, reason=reason) for one, reason in judged if reason is not None]
    return [one for one, reason in judged if reason is None], drops
