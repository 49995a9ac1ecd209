"""One attempt as the pages show it, and its calls with their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scale_reasoning.errors import ScaleError
from scale_reasoning.types import JSON, Problem, Record, Solution, Step
from scale_reasoning.web.viewer.grid import kind_of
from scale_reasoning.web.viewer.replay import Exchange
from scale_reasoning.web.viewer.shelf import Place, Viewed
from scale_reasoning.web.viewer.whatif import Stretch

SIBLINGS = 200
"""Samples of a problem that an attempt's page links to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Another sample of the same problem, counted from 1."""

    number: int
    kind: str
    href: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One attempt. `prefix` sets its anchors apart from another's on one page."""

    problem: Problem
    sample: int
    record: Record | None
    kind: str
    strategy: str
    options: Mapping[str, JSON]
    model: str
    tau: float | None
    run: str = ""
    href: str = ""
    prefix: str = ""
    stretches: Sequence[Stretch] = ()
    trouble: str | None = None
    siblings: Sequence[Sibling] = ()

    @property
    def answer(self) -> str | None:
        """The final answer."""
        return self.record.solution.answer if self.record and self.record.solution else None

    @property
    def most(self) -> int:
        """Tokens of the longest step, at least 1: bars are shares of it."""
        return max([1, *(step.usage.completion_tokens or 0 for step in self.steps)])

    @property
    def difficulties(self) -> list[float]:
        """Those that were assessed."""
        return [step.difficulty for step in self.steps if step.difficulty is not None]

    @property
    def steps(self) -> list[Step]:
        """All steps, of every chain."""
        solution = self.record.solution if self.record else None
        chains: tuple[Solution, ...] = (solution.chains or (solution,)) if solution else ()
        return [step for chain in chains for step in chain.steps]


def view_of(cell: Viewed, place: Place, href: Callable[[int], str], *, prefix: str = "") -> View:
    """The attempt as it stands; `href` says where its problem's samples are."""
    position, sample = place
    near = range(max(0, sample - SIBLINGS // 2), min(cell.manifest.samples, sample + SIBLINGS // 2))
    return View(
        problem=cell.problems[position],
        sample=sample,
        record=cell.record(place),
        kind=kind_of(cell.marks.get(place)),
        strategy=str(cell.spec.strategy["name"]),
        options=cell.options(),
        model=cell.model,
        tau=cell.tau,
        run=cell.folder.name,
        href=href(sample),
        prefix=prefix,
        siblings=[
            Sibling(number=n + 1, kind=kind_of(cell.marks.get((position, n))), href=href(n), here=n == sample)
            for n in near
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """An attempt's calls as they were sent and answered; `trouble` says what could not be found again."""

    exchanges: tuple[Exchange, ...] = ()
    trouble: str | None = None


def messages_of(cell: Viewed, place: Place) -> Messages:
    """The attempt again over the journal."""
    record = cell.record(place)
    if record is None:
        return Messages(trouble="This attempt has not run yet.")
    try:
        exchanges = cell.replayed(place).exchanges
    except ScaleError as error:
        return Messages(trouble=f"The calls could not be found again: {error}.")
    lost = {call.path for call in record.calls} - {exchange.call.path for exchange in exchanges}
    if not lost:
        return Messages(exchanges=exchanges)
    told = f"{len(lost)} of {len(record.calls)} calls could not be found in the journal: " + ", ".join(sorted(lost)[:5])
    return Messages(
        exchanges=exchanges, trouble=f"{told}. Prompts or profiles have changed since, or a prompt did not fit."
    )
