"""Attempts made by Ray actors, on this machine or on a cluster.

A worker runs the attempt coroutine on its own endpoints. Its journal asks the driver, which alone reads and writes the
store. So calls are shared, resumed and paid for as always, and a worker that dies only loses the calls whose replies
had not reached the driver.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from scale_reasoning.engines import connect
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import Connection, ModelSpec, derive_system1
from scale_reasoning.engines.limit import InFlight
from scale_reasoning.engines.policy import Gate
from scale_reasoning.engines.spread import SharedServers
from scale_reasoning.engines.table import SERVED, choose_engine
from scale_reasoning.errors import CapReached, ConfigError, Unreachable, first_line
from scale_reasoning.runs.cap import CappedJournal
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.pace import Goal
from scale_reasoning.runs.remote import Answer, Question, RemoteJournal
from scale_reasoning.runs.run import Maker, OutcomeListener, run_by
from scale_reasoning.runs.store import Store
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Record, Request

START_SECONDS = 60.0
"""How long a run waits for all of its workers before it starts with some, and later for a single one."""

HOPELESS = 8
"""Workers lost in a row without an attempt made, or by one attempt, after which the run ends."""

OBJECT_STORE_BYTES = 100 << 20
"""For a cluster that is started here; the messages of workers are small."""

OPENABLE_ENGINES = (*SERVED, "teacher")
"""Engines that a worker can open at no cost; every worker would have to load any other."""


class Worker:
    """The actor: makes attempts, and asks with `questions`, which the driver must call repeatedly."""

    def __init__(self, manifest: Manifest, connections: Mapping[ModelSpec, Connection], *, is_capped: bool) -> None:
        self._manifest, self._connections, self._is_capped = manifest, connections, is_capped
        self._journal = RemoteJournal()
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Opens the worker's endpoints, which close with the process. Raises ConfigError."""
        servers, gate = SharedServers(), Gate(self._journal.admit) if self._is_capped else None
        endpoints = {
            spec: await self._stack.enter_async_context(connect(connection, servers, gate))
            for spec, connection in self._connections.items()
        }
        self._maker = Maker(self._manifest, endpoints, journal=self._journal)

    async def make(self, cell: int, problem: Problem, sample: int) -> Record:
        """See run.Make."""
        return await self._maker.make(cell, problem, sample)

    async def questions(self, answers: Mapping[int, Answer]) -> list[Question]:
        """Takes the answers to earlier questions, and waits for new questions."""
        return await self._journal.exchange(answers)


@contextlib.contextmanager
def cluster(address: str, connections: Mapping[ModelSpec, Connection], *, workers: int) -> Generator[None]:
    """Connects to Ray: `auto` is the cluster of this machine, `local` starts one for this run, ray://HOST:PORT is
    another.

    Raises ConfigError if there is none, or if a worker would have to load a model.
    """
    if workers < 1:
        raise ConfigError(f"--ray-workers {workers}: must be at least 1")
    for connection in connections.values():
        for each in filter(None, (connection, derive_system1(connection))):
            if choose_engine(each) not in OPENABLE_ENGINES:
                model = each.model or DEFAULT_MODEL
                raise ConfigError(f"--ray: every worker would load {model}: serve it, and --base-url URL")
    ray = _ray()
    own: dict[str, Any] = {}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends no usage statistics
        own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:  # ValueError, ConnectionError, RuntimeError and Ray's own
        said = first_line(error).rstrip(".")
        raise ConfigError(f"--ray {address}: {said}; without a cluster: --ray local") from error
    try:
        yield
    finally:
        ray.shutdown()


async def run_on_ray(
    store: Store,
    connections: Mapping[ModelSpec, Connection],
    *,
    workers: int,
    attempts_in_flight: int = 1024,
    on_outcome: OutcomeListener | None = None,
    goal: Goal | None = None,
    cap: CappedJournal | None = None,
) -> None:
    """As `run`, with workers of a connected cluster, which divide the attempts and the requests in flight.

    Raises what `run` raises, and Unreachable if workers die as fast as they start.
    """
    shared = {
        spec: replace(connection, in_flight=_share(connection.in_flight, workers), say=_say_nothing)
        for spec, connection in connections.items()
    }
    ray = _ray()
    actor = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_concurrency=attempts_in_flight + 2)(Worker)
    crew = _Crew(ray, store, cap, lambda: actor.remote(store.manifest, shared, is_capped=cap is not None), size=workers)

    async def work() -> None:
        try:
            await crew.wait_for_all()
            await run_by(
                crew.make, store, attempts_in_flight=attempts_in_flight, on_outcome=on_outcome, goal=goal, cap=cap
            )
        finally:
            crew.end()

    await together([work(), *(crew.keep(place) for place in range(workers))])


@dataclass(slots=True)
class _ReadyWorker:
    """A worker that is ready, and its number of attempts."""

    worker: Any
    attempts: int = 0


class _Crew:
    """Workers, each replaced when it dies; an attempt goes to the one with the fewest."""

    def __init__(
        self, ray: Any, store: Store, cap: CappedJournal | None, start: Callable[[], Any], *, size: int
    ) -> None:
        self._ray, self._journal, self._cap, self._start, self._size = ray, cap or store, cap, start, size
        errors = ray.exceptions
        gone = (errors.RayActorError, errors.WorkerCrashedError, errors.ObjectLostError)
        self._gone: tuple[type[Exception], ...] = gone
        self._started: dict[int, Any] = {}
        self._ready: list[_ReadyWorker] = []
        self._changed = asyncio.Condition()
        self._lost, self._ended = 0, False

    async def wait_for_all(self) -> None:
        """Waits until all workers are ready, or the time is over."""
        with contextlib.suppress(TimeoutError):
            await self._at_least(self._size)

    async def make(self, cell: int, problem: Problem, sample: int) -> Record:
        """See run.Make. If the worker dies, another one resumes the attempt from its completed calls.

        Raises Unreachable if there is no other, or if so many have died that the attempt may be the cause.
        """
        for _ in range(HOPELESS):
            try:
                await self._at_least(1)
            except TimeoutError as error:
                raise Unreachable(f"no worker for {START_SECONDS:.0f} s: {self._free()} free") from error
            ready = min(self._ready, key=lambda each: each.attempts)
            ready.attempts += 1
            try:
                record = await self._result(ready.worker.make.remote(cell, problem, sample))
            except self._gone:
                self._ray.kill(ready.worker)  # so that `keep` notices it too
                self._drop(ready)
                continue
            ready.attempts -= 1
            self._lost = 0
            return record
        raise Unreachable(f"problem {problem.id}, sample {sample}: {HOPELESS} workers died during it")

    async def keep(self, place: int) -> None:
        """Keeps one worker running until the end, and answers its questions from the store."""
        while not self._ended:
            worker = self._started[place] = self._start()
            ready = _ReadyWorker(worker)
            try:
                await self._result(worker.open.remote())
                async with self._changed:
                    self._ready.append(ready)
                    self._changed.notify_all()
                await self._answer(worker)
            except self._gone as error:
                self._drop(ready)
                self._lost += 1
                if self._lost >= HOPELESS and not self._ended:
                    why = first_line(error).rstrip(".")
                    raise Unreachable(f"{self._lost} workers died, the last: {why}") from error

    def end(self) -> None:
        """Ends all workers, and so every `keep`."""
        self._ended = True
        for worker in self._started.values():
            self._ray.kill(worker)

    async def _answer(self, worker: Any) -> None:
        """Answers a worker's questions until it dies."""
        answers: dict[int, Answer] = {}
        while True:
            questions: list[Question] = await self._result(worker.questions.remote(answers))
            found = await together(self._reply(question) for question in questions)
            answers = {question.number: answer for question, answer in zip(questions, found, strict=True)}

    async def _reply(self, question: Question) -> Answer:
        if question.key is None:
            return await self._admit(question.request)
        if question.paid is None:
            return await self._journal.get(question.key, question.request)
        await self._journal.put(question.key, question.request, question.paid)
        return None

    async def _admit(self, request: Request) -> CapReached | None:
        try:
            if self._cap is not None:
                await self._cap.admit(request)
        except CapReached as reached:
            return reached
        return None

    async def _result(self, reference: Any) -> Any:
        """The result of a worker's method; raises its exceptions as they are."""
        try:
            return await reference
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None

    def _drop(self, ready: _ReadyWorker) -> None:
        if ready in self._ready:
            self._ready.remove(ready)

    async def _at_least(self, workers: int) -> None:
        async with asyncio.timeout(START_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self._ready) >= workers)

    def _free(self) -> str:
        return f"{self._ray.available_resources().get('CPU', 0):g} CPUs of the cluster are"


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise ConfigError("--ray needs Ray: pip install 'scale-reasoning[ray]'") from None


def _share(in_flight: InFlight, workers: int) -> InFlight:
    return in_flight if in_flight == "auto" else max(1, in_flight // workers)


def _say_nothing(_: str) -> None:
    """Workers print nothing."""
