"""An attempt again, over the journal alone: what every call said, and what another threshold would have done.

A strategy over the journal costs nothing, and an engine that refuses every new call makes what comes out exact: an
attempt either completes from what was paid for, or is not run. Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from scale_reasoning.engines import make_endpoint
from scale_reasoning.engines.checkpoint import name_of
from scale_reasoning.engines.connection import EMBEDDED, UNTAUGHT, ModelSpec, derive_system1
from scale_reasoning.engines.table import OpenEngine, choose_engine
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.events import Event, Finished, Routed
from scale_reasoning.files import read_bounded, why
from scale_reasoning.graders import Grader
from scale_reasoning.journal import Journal
from scale_reasoning.lm import Endpoints, Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.manifest import name_unnamed
from scale_reasoning.types import Call, Completion, Grade, Mode, OnDelta, Problem, Record, Request, Solution

EMBEDDED_WINDOW = 4096
"""Tokens that engines.llama gives a request where nobody asked for more; a test holds the two together."""


MOST_CALLS = 100_000
"""Calls of one attempt: all may be begun at once, and a manifest of unknown origin names what it likes."""
CONFIGURATION_BYTES = 1 << 20


class NotRun(EngineError):
    """The journal does not have this call."""

    kind: ClassVar[str] = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call with what was sent and what came back."""

    call: Call
    request: Request
    completion: Completion


class Recorder:
    """A journal over another that keeps what passes, to be given as journal and (`hear`) as listener of one attempt."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.difficulties: list[float] = []
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
            case Routed(difficulty=float() as difficulty):
                self.difficulties.append(difficulty)
            case _:
                pass

    def exchanges(self, record: Record) -> tuple[Exchange, ...]:
        """Of a record's calls those that passed here, in its order."""
        return tuple(self._exchanges[call.path] for call in record.calls if call.path in self._exchanges)


class Remembering:
    """A journal over another that asks it once for each key: replays at many thresholds share most of their calls."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._found: dict[str, Completion | None] = {}

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        if key not in self._found:
            self._found[key] = await self.journal.get(key, request)
        return self._found[key]

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal. Never happens: nothing is generated."""
        raise NotRun(key)


class Known:
    """A grader that has the run's own verdicts on a problem's answers at hand, and asks another for new answers."""

    def __init__(self, verdicts: Mapping[str | None, bool], grader: Grader) -> None:
        self.verdicts, self.grader = verdicts, grader

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """See Grader."""
        if solution.answer in self.verdicts:
            return Grade(correct=self.verdicts[solution.answer], grader="recorded")
        return await self.grader.grade(problem, solution)


class _Refusing:
    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        raise NotRun("the journal does not have this call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came out. `complete` says that the journal had every call; `difficulties` are those met on the way."""

    record: Record
    exchanges: tuple[Exchange, ...]
    difficulties: tuple[float, ...]

    @property
    def complete(self) -> bool:
        """Whether this is what the run would have recorded."""
        return self.record.failure is None or self.record.failure.kind != NotRun.kind

    @property
    def missing(self) -> str | None:
        """The path of the call that was never made."""
        return None if self.complete or self.record.failure is None else self.record.failure.path


async def replay(
    problem: Problem,
    strategy: Strategy,
    endpoints: Endpoints,
    journal: Journal,
    *,
    sample: int,
    seed: int,
    grader: Grader | None = None,
) -> Replay:
    """The attempt over the journal alone, whatever engines the endpoints have; without a grader it is not graded.

    Raises ConfigError as an attempt does.
    """
    if strategy.most_calls() > MOST_CALLS:
        raise ConfigError(f"the strategy may make {strategy.most_calls():,} calls; up to {MOST_CALLS:,} are looked up")
    recorder = Recorder(journal)
    record = await attempt(
        problem if grader else replace(problem, answer=None),
        strategy,
        {mode: replace(endpoint, engine=_Refusing()) for mode, endpoint in endpoints.items()},
        sample=sample,
        seed=seed,
        grader=grader,
        journal=recorder,
        listener=recorder.hear,
    )
    return Replay(record=record, exchanges=recorder.exchanges(record), difficulties=tuple(recorder.difficulties))


def endpoints_of(model: ModelSpec) -> Endpoints:
    """Endpoints that ask as a run's did, on engines that answer nothing. Raises ConfigError where a profile is gone."""
    main = name_unnamed(model)
    second = derive_system1(main) or main
    return {
        **make_endpoint(main, _opened(main), Mode.SYSTEM2),
        **make_endpoint(second, _opened(second), Mode.SYSTEM1),
    }


def _opened(spec: ModelSpec) -> OpenEngine:
    """What the row of ENGINES makes of it, unopened."""
    named, window = spec.model or EMBEDDED, spec.window
    match choose_engine(spec):
        case "llama":
            name = named if named in (EMBEDDED, UNTAUGHT) else Path(named).stem
            return OpenEngine(engine=_Refusing(), model=name, window=window or EMBEDDED_WINDOW)
        case "transformers":
            known = [size for size in (window, _trained(Path(named))) if size]
            return OpenEngine(engine=_Refusing(), model=name_of(Path(named)), window=min(known, default=None))
        case _:
            return OpenEngine(engine=_Refusing(), model=named)


def _trained(folder: Path) -> int | None:
    """The window a checkpoint was trained for, as its configuration has it."""
    file = folder / "config.json"
    try:
        said = msgspec.json.decode(read_bounded(file, CONFIGURATION_BYTES), type=dict[str, Any])
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error
    window = said.get("max_position_embeddings")
    return window if isinstance(window, int) else None
