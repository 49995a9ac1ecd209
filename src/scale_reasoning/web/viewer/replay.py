"""Replays an attempt from the journal alone: its calls with their messages, and the effect of another number.

The engine refuses every new call, so a replay is exact: an attempt either completes from the journal, or is not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from scale_reasoning.endpoint import Endpoint, Endpoints
from scale_reasoning.engines import make_endpoint
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.checkpoint import name_of
from scale_reasoning.engines.connection import ModelSpec, derive_system1
from scale_reasoning.engines.table import OpenEngine, choose_engine, name_llama
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.events import Event, Finished, Routed
from scale_reasoning.files import read_bounded, why
from scale_reasoning.graders import Grader
from scale_reasoning.journal import Journal
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.manifest import name_unnamed
from scale_reasoning.types import Call, Completion, Grade, Mode, OnDelta, Problem, Record, Request, Solution

EMBEDDED_WINDOW = 4096
"""The default window of engines.llama; a test compares the two."""
MOST_CALLS = 100_000
"""Calls of one attempt, because all may start at once and a manifest of unknown origin can ask for any number."""
CONFIGURATION_BYTES = 1 << 20


class NotRun(EngineError):
    """The journal does not have this call."""

    kind: ClassVar[str] = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call with its request and its completion."""

    call: Call
    request: Request
    completion: Completion


class Recorder:
    """A journal over another, and (`hear`) a listener, that records the calls of one attempt."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.compared: list[float] = []
        self._exchanges: dict[str, Exchange] = {}

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        return await self.journal.get(key, request)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        await self.journal.put(key, request, completion)

    def hear(self, event: Event) -> None:
        """See Listener."""
        match event:
            case Finished(call=Call() as call, completion=Completion() as completion):
                self._exchanges[call.path] = Exchange(call=call, request=event.request, completion=completion)
            case Routed():
                self.compared += event.compared
            case _:
                pass

    def exchanges(self, record: Record) -> tuple[Exchange, ...]:
        """The recorded calls of a record, in its order."""
        return tuple(self._exchanges[call.path] for call in record.calls if call.path in self._exchanges)


class CachingJournal:
    """A journal that asks another once per key, because replays at many values share most of their calls."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._found: dict[str, Completion | None] = {}

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        if key not in self._found:
            self._found[key] = await self.journal.get(key, request)
        return self._found[key]

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal. Never called, because nothing is generated."""
        raise NotRun(key)


class RecordedGrades:
    """A grader that knows the run's own grades of a problem's answers, and asks another grader about new answers."""

    def __init__(self, grades: Mapping[str | None, bool], grader: Grader) -> None:
        self.grades, self.grader = grades, grader

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """See Grader."""
        if solution.answer in self.grades:
            return Grade(correct=self.grades[solution.answer], grader="recorded")
        return await self.grader.grade(problem, solution)


class _RefusingEngine:
    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        raise NotRun("the journal does not have this call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The result of a replay; `compared` are the values that its allocator compared with its number."""

    record: Record
    exchanges: tuple[Exchange, ...]
    compared: tuple[float, ...]

    @property
    def complete(self) -> bool:
        """Whether the journal had every call, so that this is what the run would have recorded."""
        return self.record.failure is None or self.record.failure.kind != NotRun.kind

    @property
    def missing(self) -> str | None:
        """The path of the call that the journal does not have."""
        return None if self.complete or self.record.failure is None else self.record.failure.path


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAttempt:
    """An attempt to replay: all that it needs but engines. Without a grader it is not graded."""

    problem: Problem
    strategy: Strategy
    endpoints: Endpoints
    journal: Journal
    sample: int
    seed: int
    grader: Grader | None = None


async def replay(stored: StoredAttempt) -> Replay:
    """Replays the attempt from its journal; its endpoints' engines are not used. Raises what an attempt raises."""
    if stored.strategy.most_calls() > MOST_CALLS:
        raise ConfigError(
            f"the strategy may make {stored.strategy.most_calls():,} calls; up to {MOST_CALLS:,} are looked up"
        )
    recorder = Recorder(stored.journal)
    record = await attempt(
        stored.problem if stored.grader else replace(stored.problem, answer=None),
        stored.strategy,
        {mode: _make_replaying(endpoint) for mode, endpoint in stored.endpoints.items()},
        sample=stored.sample,
        seed=stored.seed,
        grader=stored.grader,
        journal=recorder,
        listener=recorder.hear,
    )
    return Replay(record=record, exchanges=recorder.exchanges(record), compared=tuple(recorder.compared))


def _make_replaying(endpoint: Endpoint) -> Endpoint:
    """The endpoint without calls; what was run is shown whatever language its problem is in."""
    return replace(endpoint, engine=_RefusingEngine(), profile=replace(endpoint.profile, language=""))


def make_endpoints(model: ModelSpec) -> Endpoints:
    """Makes endpoints with a run's requests, on refusing engines. Raises ConfigError if a profile is missing."""
    main = name_unnamed(model)
    second = derive_system1(main) or main
    return {
        **make_endpoint(main, _describe_engine(main), Mode.SYSTEM2),
        **make_endpoint(second, _describe_engine(second), Mode.SYSTEM1),
    }


def _describe_engine(spec: ModelSpec) -> OpenEngine:
    """The model and the window that the engine would have, without opening it."""
    named, window = spec.model or DEFAULT_MODEL, spec.window
    match choose_engine(spec):
        case "llama":
            return OpenEngine(engine=_RefusingEngine(), model=name_llama(spec), window=window or EMBEDDED_WINDOW)
        case "transformers":
            known = [size for size in (window, _read_window(Path(named))) if size]
            return OpenEngine(engine=_RefusingEngine(), model=name_of(Path(named)), window=min(known, default=None))
        case _:
            return OpenEngine(engine=_RefusingEngine(), model=named)


def _read_window(folder: Path) -> int | None:
    """The window in a checkpoint's configuration."""
    file = folder / "config.json"
    try:
        configuration = msgspec.json.decode(read_bounded(file, CONFIGURATION_BYTES), type=dict[str, Any])
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error
    window = configuration.get("max_position_embeddings")
    return window if isinstance(window, int) else None
