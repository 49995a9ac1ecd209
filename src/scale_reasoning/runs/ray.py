"""Attempts made by Ray actors, on this machine or on a cluster's; the one door to ray.

A worker runs the attempt coroutine on endpoints of its own. What it would ask of a journal it asks of the driver, which
alone reads and writes the store: what is shared, resumed and paid for is decided where it always is, and a worker that
dies takes with it no more than the calls whose replies were not filed yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from scale_reasoning.engines import connect
from scale_reasoning.engines.connection import EMBEDDED, Connection, ModelSpec, derive_system1
from scale_reasoning.engines.limit import InFlight
from scale_reasoning.engines.spread import Limits
from scale_reasoning.engines.table import choose_engine
from scale_reasoning.errors import ConfigError, Unreachable
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.pace import Goal
from scale_reasoning.runs.run import Heard, Maker, run_by
from scale_reasoning.runs.store import Store
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Problem, Record, Request

START_SECONDS = 60.0
"""How long a run waits for all of its workers before it begins with some, and for any one later on."""

HOPELESS = 8
"""Workers lost in a row with no attempt made, or by one attempt, after which the run ends."""

OBJECT_STORE_BYTES = 100 << 20
"""Of a cluster started here: what workers say is small, and passes by."""

ELSEWHERE = ("openai", "teacher")
"""Engines that cost a worker nothing to open; any other would be loaded by each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a worker's journal asks: the completion filed for a request or, with one `paid`, to file it."""

    number: int
    key: str
    request: Request
    paid: Completion | None


class Worker:
    """The actor: makes attempts, and asks through `questions`, which the driver must keep calling."""

    def __init__(self, manifest: Manifest, connections: Mapping[ModelSpec, Connection]) -> None:
        self._manifest, self._connections = manifest, connections
        self._journal = _Asking()
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Opens its endpoints; they close with the process. Raises ConfigError."""
        limits = Limits()
        endpoints = {
            spec: await self._stack.enter_async_context(connect(connection, limits))
            for spec, connection in self._connections.items()
        }
        self._maker = Maker(self._manifest, endpoints, journal=self._journal)

    async def make(self, cell: int, problem: Problem, sample: int) -> Record:
        """See run.Make."""
        return await self._maker.make(cell, problem, sample)

    async def questions(self, answers: Mapping[int, Completion | None]) -> list[Question]:
        """Takes the answers to earlier questions, and waits until there are new ones."""
        return await self._journal.exchange(answers)


class _Asking:
    """A journal that is somewhere else: whoever asks waits until the answer comes."""

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Completion | None]] = {}
        self._unsent: list[Question] = []
        self._asked = asyncio.Event()

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        return await self._ask(key, request, None)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        await self._ask(key, request, completion)

    async def exchange(self, answers: Mapping[int, Completion | None]) -> list[Question]:
        """See Worker.questions."""
        for number, answer in answers.items():
            waiting = self._waiting.get(number)
            if waiting is not None and not waiting.done():  # else its call was cancelled
                waiting.set_result(answer)
        await self._asked.wait()
        self._asked.clear()
        questions, self._unsent = self._unsent, []
        return questions

    async def _ask(self, key: str, request: Request, paid: Completion | None) -> Completion | None:
        number, waiting = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._unsent.append(Question(number=number, key=key, request=request, paid=paid))
        self._asked.set()
        try:
            return await waiting
        finally:
            del self._waiting[number]


@contextlib.contextmanager
def cluster(address: str, connections: Mapping[ModelSpec, Connection], *, workers: int) -> Generator[None]:
    """Ray, connected: `auto` is the cluster of this machine, `local` one for this run alone, ray://HOST:PORT another's.

    Raises ConfigError when there is none, or when a worker would have to load a model.
    """
    if workers < 1:
        raise ConfigError(f"--ray-workers {workers}: must be at least 1")
    for connection in connections.values():
        for each in filter(None, (connection, derive_system1(connection))):
            if choose_engine(each) not in ELSEWHERE:
                model = each.model or EMBEDDED
                raise ConfigError(f"--ray: every worker would load {model}: serve it, and --base-url URL")
    ray = _ray()
    own: dict[str, Any] = {}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run tells nobody of itself
        own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:  # ValueError, ConnectionError, RuntimeError and kinds of its own
        raise ConfigError(f"--ray {address}: {_first_line(error)}; without a cluster: --ray local") from error
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
    heard: Heard | None = None,
    goal: Goal | None = None,
) -> None:
    """`run` by workers of a connected cluster, who share out the attempts and the requests in flight.

    Raises what `run` does, and Unreachable when workers die as fast as they start.
    """
    shared = {
        spec: replace(connection, in_flight=_share(connection.in_flight, workers), say=_unheard)
        for spec, connection in connections.items()
    }
    ray = _ray()
    actor = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_concurrency=attempts_in_flight + 2)(Worker)
    crew = _Crew(ray, store, lambda: actor.remote(store.manifest, shared), size=workers)

    async def work() -> None:
        try:
            await crew.gathered()
            await run_by(crew.make, store, attempts_in_flight=attempts_in_flight, heard=heard, goal=goal)
        finally:
            crew.end()

    await together([work(), *(crew.keep(place) for place in range(workers))])


@dataclass(slots=True)
class _Hand:
    """A worker that is ready, and how many attempts it has."""

    worker: Any
    attempts: int = 0


class _Crew:
    """Workers, each replaced when it dies; an attempt goes to the one that has fewest."""

    def __init__(self, ray: Any, store: Store, start: Callable[[], Any], *, size: int) -> None:
        self._ray, self._store, self._start, self._size = ray, store, start, size
        errors = ray.exceptions
        gone = (errors.RayActorError, errors.WorkerCrashedError, errors.ObjectLostError)
        self._gone: tuple[type[Exception], ...] = gone
        self._started: dict[int, Any] = {}
        self._ready: list[_Hand] = []
        self._changed = asyncio.Condition()
        self._lost, self._ended = 0, False

    async def gathered(self) -> None:
        """Returns when all are ready, or the time is up."""
        with contextlib.suppress(TimeoutError):
            await self._at_least(self._size)

    async def make(self, cell: int, problem: Problem, sample: int) -> Record:
        """See run.Make. An attempt whose worker dies is made again by another, over what it has paid for.

        Raises Unreachable when there is no other, or when it was the end of so many that it may be the cause.
        """
        for _ in range(HOPELESS):
            try:
                await self._at_least(1)
            except TimeoutError as error:
                raise Unreachable(f"no worker for {START_SECONDS:.0f} s: {self._free()} free") from error
            hand = min(self._ready, key=lambda each: each.attempts)
            hand.attempts += 1
            try:
                record = await self._told(hand.worker.make.remote(cell, problem, sample))
            except self._gone:
                self._ray.kill(hand.worker)  # so that `keep` hears of it as well
                self._drop(hand)
                continue
            hand.attempts -= 1
            self._lost = 0
            return record
        raise Unreachable(f"problem {problem.id}, sample {sample}: {HOPELESS} workers died over it")

    async def keep(self, place: int) -> None:
        """Has a worker in this place until the end, and answers it from the store."""
        while not self._ended:
            worker = self._started[place] = self._start()
            hand = _Hand(worker)
            try:
                await self._told(worker.open.remote())
                async with self._changed:
                    self._ready.append(hand)
                    self._changed.notify_all()
                await self._answer(worker)
            except self._gone as error:
                self._drop(hand)
                self._lost += 1
                if self._lost >= HOPELESS and not self._ended:
                    why = _first_line(error)
                    raise Unreachable(f"{self._lost} workers died, the last: {why}") from error

    def end(self) -> None:
        """Ends all workers, and with them every `keep`."""
        self._ended = True
        for worker in self._started.values():
            self._ray.kill(worker)

    async def _answer(self, worker: Any) -> None:
        """Answers until the worker dies."""
        answers: dict[int, Completion | None] = {}
        while True:
            questions: list[Question] = await self._told(worker.questions.remote(answers))
            found = await together(self._answered(question) for question in questions)
            answers = {question.number: answer for question, answer in zip(questions, found, strict=True)}

    async def _answered(self, question: Question) -> Completion | None:
        if question.paid is None:
            return await self._store.get(question.key, question.request)
        await self._store.put(question.key, question.request, question.paid)
        return None

    async def _told(self, reference: Any) -> Any:
        """What a worker returns; what it raises is raised as itself."""
        try:
            return await reference
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None

    def _drop(self, hand: _Hand) -> None:
        if hand in self._ready:
            self._ready.remove(hand)

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


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _unheard(_: str) -> None:
    """A worker has nobody to tell."""
