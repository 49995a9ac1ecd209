"""One attempt as the pages show it, and its calls with their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scale_reasoning.errors import ScaleError
from scale_reasoning.strategies.number import Number
from scale_reasoning.types import JSON, Problem, Record, Solution, Step
from scale_reasoning.web.viewer.cell import Place, ViewedCell
from scale_reasoning.web.viewer.grid import name_kind
from scale_reasoning.web.viewer.replay import Exchange
from scale_reasoning.web.viewer.whatif import Range

SIBLINGS = 200
"""Samples that an attempt's page links to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Another sample of the same problem, counted from 1."""

    number: int
    kind: str
    href: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One attempt. `prefix` makes its anchors differ from those of another attempt on the same page.

    number, value: what the slider moves and where it stands; None if the strategy has no such number.
    """

    problem: Problem
    sample: int
    record: Record | None
    kind: str
    strategy: str
    options: Mapping[str, JSON]
    model: str
    number: Number | None
    value: float | None
    run: str = ""
    href: str = ""
    prefix: str = ""
    ranges: Sequence[Range] = ()
    trouble: str | None = None
    siblings: Sequence[Sibling] = ()

    @property
    def tau(self) -> float | None:
        """The difficulty threshold; None if the strategy has none."""
        return self.value if self.number and self.number.option == "tau" else None

    @property
    def answer(self) -> str | None:
        """The final answer."""
        return self.record.solution.answer if self.record and self.record.solution else None

    @property
    def most(self) -> int:
        """Tokens of the longest step, at least 1; bars are drawn in proportion."""
        return max([1, *(step.usage.completion_tokens or 0 for step in self.steps)])

    @property
    def steps(self) -> list[Step]:
        """All steps, of every chain."""
        solution = self.record.solution if self.record else None
        chains: tuple[Solution, ...] = (solution.chains or (solution,)) if solution else ()
        return [step for chain in chains for step in chain.steps]


def make_view(cell: ViewedCell, place: Place, href: Callable[[int], str], prefix: str = "") -> View:
    """Reads an attempt for a page. `href` gives the address of each sample of its problem."""
    position, sample = place
    near = range(max(0, sample - SIBLINGS // 2), min(cell.manifest.samples, sample + SIBLINGS // 2))
    return View(
        problem=cell.problems[position],
        sample=sample,
        record=cell.read_record(place),
        kind=name_kind(cell.marks.get(place)),
        strategy=str(cell.spec.strategy["name"]),
        options=cell.options,
        model=cell.model,
        number=cell.number,
        value=cell.value,
        run=cell.title,
        href=href(sample),
        prefix=prefix,
        siblings=[
            Sibling(number=n + 1, kind=name_kind(cell.marks.get((position, n))), href=href(n), here=n == sample)
            for n in near
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """An attempt's calls with requests and completions; `trouble` says what could not be found."""

    exchanges: tuple[Exchange, ...] = ()
    trouble: str | None = None


def find_messages(cell: ViewedCell, place: Place) -> Messages:
    """Replays the attempt for its messages."""
    record = cell.read_record(place)
    if record is None:
        return Messages(trouble="This attempt has not run yet.")
    try:
        exchanges = cell.replay(place).exchanges
    except ScaleError as error:
        return Messages(trouble=f"The calls could not be found: {error}.")
    lost = {call.path for call in record.calls} - {exchange.call.path for exchange in exchanges}
    if not lost:
        return Messages(exchanges=exchanges)
    paths = ", ".join(sorted(lost)[:5])
    trouble = (
        f"{len(lost)} of {len(record.calls)} calls could not be found in the journal: {paths}. Prompts or profiles "
        "have changed since, or a prompt did not fit."
    )
    return Messages(exchanges=exchanges, trouble=trouble)
