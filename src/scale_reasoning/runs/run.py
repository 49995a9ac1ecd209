"""A whole run: every attempt of a manifest that is not done yet, with a bound on attempts in flight.

To resume is to run again over the store, which answers every completed call. Attempts that an infrastructure error
ended are tried once more at the end, and are pending after that. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.engines.policy import Scheduled
from scale_reasoning.errors import CapReached, ConfigError, Unreachable
from scale_reasoning.events import Decomposed, Event, Listener, Routed
from scale_reasoning.graders import GRADERS, Grader
from scale_reasoning.journal import Journal
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.cap import CappedJournal
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.pace import All, Goal, Towards, Unit
from scale_reasoning.runs.store import Store
from scale_reasoning.together import together
from scale_reasoning.types import Mode, Problem, Record

PASSES = 2
"""Once for every attempt, once more for those that an infrastructure error ended."""

HOPELESS = 16
"""Infrastructure errors in a row after which nothing more is started."""


OutcomeListener = Callable[[int, Outcome], None]
"""Receives every attempt that ended: its cell and its outcome."""

Make = Callable[[int, Problem, int], Awaitable[Record]]
"""Makes one attempt, in this process or elsewhere: cell, problem, sample."""


async def run(
    store: Store,
    endpoints: Mapping[ModelSpec, Endpoints],
    *,
    attempts_in_flight: int = 1024,
    on_outcome: OutcomeListener | None = None,
    listener: Listener | None = None,
    goal: Goal | None = None,
    cap: CappedJournal | None = None,
) -> None:
    """Runs what is left of the store's manifest, or as much of it as the `goal` needs and the `cap` allows.

    `endpoints` are the open ones of each model, with a gate that asks the cap; `listener` receives the events of all
    attempts. Attempts that would need a call beyond the cap are pending. Raises StoreError if a result cannot be
    stored, ConfigError if the model cannot be used, Unreachable if the server seems to be gone. What was done is stored
    in every case.
    """
    maker = Maker(store.manifest, endpoints, journal=cap or store, listener=listener)
    await run_by(maker.make, store, attempts_in_flight=attempts_in_flight, on_outcome=on_outcome, goal=goal, cap=cap)


async def run_by(
    make: Make,
    store: Store,
    *,
    attempts_in_flight: int,
    on_outcome: OutcomeListener | None = None,
    goal: Goal | None = None,
    cap: CappedJournal | None = None,
) -> None:
    """The same, with attempts made by `make`, whose calls must be in the store when it returns."""
    for _ in range(PASSES):
        done = store.done()
        planned = units(store) if goal is None else in_their_order(store)
        left = [unit for unit in planned if any((c, unit.problem.id, unit.sample) not in done for c in unit.cells)]
        if not left or (goal is not None and goal.enough()):
            return
        work = _Work(make, store, done, on_outcome, All(left) if goal is None else Towards(goal, left), cap)
        await work.run_all(min(attempts_in_flight, len(left)))
        if not work.pending:
            return


def needed(store: Store, goal: Goal) -> bool:
    """Whether an attempt that is not done could still count towards the goal."""
    done = store.done()
    return not goal.enough() and any(
        (cell, unit.problem.id, unit.sample) not in done
        and not goal.reached(goal.place(cell, unit.problem.id, unit.sample))
        for unit in units(store)
        for cell in unit.cells
    )


def units(store: Store) -> Iterator[Unit]:
    """All units of a run, long problems first, because their chains are likely to be long."""
    return _units(store, lambda problem: -len(problem.text))


def in_their_order(store: Store) -> Iterator[Unit]:
    """All units of a run, problems in the order of their datasets."""
    return _units(store, lambda _: 0)


def _units(store: Store, rank: Callable[[Problem], int]) -> Iterator[Unit]:
    manifest = store.manifest
    groups: dict[tuple[str, ModelSpec], list[int]] = {}
    for number, spec in enumerate(manifest.cells):
        groups.setdefault((spec.dataset.name, spec.model), []).append(number)
    for (dataset, _), cells in groups.items():
        ordered = tuple(sorted(cells, key=lambda number: _limits(manifest.cells[number]), reverse=True))
        problems = sorted(store.problems(dataset), key=rank)
        for problem, sample in manifest.list_units(dataset, problems):
            yield Unit(problem=problem, sample=sample, cells=ordered)


def _limits(spec: CellSpec) -> tuple[float, ...]:
    """System 2's limits. The largest are first, because their replies can be used for the smaller ones."""
    limits = (spec.strategy.get(option) for option in ("system2_max_tokens", "thinking_budget"))
    return tuple(float("inf") if limit is None else float(limit) for limit in limits)


class _RemainingWork:
    """Remaining work: attempts with more sub-problems left start first, and of equals the one that will think."""

    UNKNOWN = 100.0
    """Before the decomposition, which comes first because everything else follows from it."""

    def __init__(self, listener: Listener | None) -> None:
        self.steps, self.listener = self.UNKNOWN, listener

    def hear(self, event: Event) -> None:
        if self.listener is not None:
            self.listener(event)
        if isinstance(event, Decomposed):
            self.steps = float(len(event.candidates[event.selected]))
        elif isinstance(event, Routed):
            self.steps = event.of - event.step + (1.5 if event.mode is Mode.SYSTEM2 else 1.0)

    def prioritise(self, endpoints: Endpoints) -> Endpoints:
        return {
            mode: replace(endpoint, engine=endpoint.engine.with_urgency(lambda: self.steps))
            if isinstance(endpoint.engine, Scheduled)
            else endpoint
            for mode, endpoint in endpoints.items()
        }


class Maker:
    """Makes the attempts of a manifest on open endpoints, in the order of their remaining work."""

    def __init__(
        self,
        manifest: Manifest,
        endpoints: Mapping[ModelSpec, Endpoints],
        *,
        journal: Journal,
        listener: Listener | None = None,
    ) -> None:
        self._seed, self._journal, self._listener = manifest.seed, journal, listener
        self._endpoints = [endpoints[spec.model] for spec in manifest.cells]
        self._strategies: Sequence[Strategy] = [spec.make_strategy() for spec in manifest.cells]
        self._grader: Grader | None = None if manifest.grader is None else GRADERS[manifest.grader]()

    async def make(self, cell: int, problem: Problem, sample: int) -> Record:
        """See Make. Raises ConfigError."""
        remaining = _RemainingWork(self._listener)
        return await attempt(
            problem,
            self._strategies[cell],
            remaining.prioritise(self._endpoints[cell]),
            sample=sample,
            seed=self._seed,
            grader=self._grader,
            journal=self._journal,
            listener=remaining.hear,
        )


class _Work:
    """One pass over the units."""

    def __init__(
        self,
        make: Make,
        store: Store,
        done: set[tuple[int, str, int]],
        on_outcome: OutcomeListener | None,
        source: All | Towards,
        cap: CappedJournal | None,
    ) -> None:
        self.make, self.store, self.done, self.on_outcome, self.source = make, store, done, on_outcome, source
        self.cap = cap
        self.pending = self.in_a_row = 0

    async def run_all(self, attempts_in_flight: int) -> None:
        async def worker() -> None:
            while (unit := await self.source.next()) is not None:
                await self.unit(unit)
                await self.source.ended(unit)

        await together(worker() for _ in range(attempts_in_flight))

    async def unit(self, unit: Unit) -> None:
        for cell in unit.cells:
            if self.cap is not None and self.cap.reached:
                return
            if (cell, unit.problem.id, unit.sample) not in self.done and self.source.needs(cell, unit):
                await self.attempt(cell, unit)

    async def attempt(self, cell: int, unit: Unit) -> None:
        record = await self.make(cell, unit.problem, unit.sample)
        outcome = await self.store.save(cell, record)
        if self.on_outcome is not None:
            self.on_outcome(cell, outcome)
        self._count(record)

    def _count(self, record: Record) -> None:
        failure = record.failure
        if failure is None or failure.blame != "world":
            self.in_a_row = 0
            return
        if failure.kind == CapReached.kind:
            return
        self.pending, self.in_a_row = self.pending + 1, self.in_a_row + 1
        if failure.kind == "rejected":
            raise ConfigError(f"the server refuses: {failure.message}")
        if self.in_a_row >= HOPELESS:
            raise Unreachable(f"{self.in_a_row} attempts failed in a row, the last: {failure.message}")
