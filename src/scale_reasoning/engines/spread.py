"""Several servers of one model as one engine: all calls on a problem go to one server, while that is possible.

A server that read a problem has its prefix cached. A call that waits at a full server takes the first slot that is free
on any; a server that fails is left alone for a while. Moving to another server is no retry (policy.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from scale_reasoning.engines.limit import InFlight, Limit, Slots, limit_of, take_slot
from scale_reasoning.engines.policy import Limited, Listener, Urgency, Urgent
from scale_reasoning.errors import EngineError, Overloaded, Unreachable
from scale_reasoning.types import Completion, Engine, OnDelta, Request

FAILURES_UNTIL_DOWN = 3
"""A server that could not be reached this often in a row is down."""

REST = 10.0
"""Seconds for which a server that is down gets no request; then a single request tries it."""


class Server(Slots):
    """The slots of one of several servers: none while it is down, one for the request that tries it again.

    `name` (its URL) decides which problems it gets.
    """

    def __init__(self, name: str, limit: Limit) -> None:
        super().__init__(limit)
        self.name = name
        self.failures = 0
        self.down_until: float | None = None
        self.on_trial = False
        """Whether one request may try it, although it is down."""

    @property
    def most(self) -> int:
        """See Slots."""
        return super().most if self.down_until is None else int(self.on_trial)

    @property
    def is_usable(self) -> bool:
        """Whether it is up, or one request may try it."""
        return self.down_until is None or self.on_trial

    def record_answer(self) -> None:
        """The server answered; a refusal is an answer, too."""
        self.failures = 0
        if self.down_until is not None:
            self.down_until, self.on_trial = None, False
            self.fill()

    def record_failure(self, now: float) -> None:
        """The server could not be reached."""
        self.failures += 1
        if self.failures >= FAILURES_UNTIL_DOWN or self.down_until is not None:
            self.down_until, self.on_trial = now + REST, False
            self.send_away()


class Spread:
    """Sends each request to one of several servers, and at once to another if that is unreachable or overloaded.

    No server gets a request twice. Raises the last failure when no server that is up is left.
    """

    def __init__(self, engines: Mapping[Server, Engine]) -> None:
        self.engines = {server: Limited(engine, slots=server) for server, engine in engines.items()}
        self._last_failure = ""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self.generate_urgently(0.0, request, on_delta)

    def with_urgency(self, urgency: Urgency) -> Engine:
        """The same engine for one attempt, whose requests have its urgency."""
        return Urgent(self, urgency)

    async def generate_urgently(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate`, for a request of this urgency."""
        listener, left = Listener(on_delta), self.rank(request)
        failure: Unreachable | Overloaded | None = None
        self._start_trials()
        while any(server.is_usable for server in left):
            slots = await take_slot(left, urgency)
            if slots is None:  # a server went down meanwhile
                continue
            server = next(each for each in left if each is slots)
            listener.restart()
            try:
                return await self._send(server, request, listener.on_delta)
            except (Unreachable, Overloaded) as error:
                failure = error
                left.remove(server)
            if isinstance(failure, Overloaded) and not any(server.has_free for server in left):
                break
        none_left = f"none of {len(self.engines)} servers can be reached; the last: {self._last_failure}"
        raise failure or Unreachable(none_left)

    async def _send(self, server: Server, request: Request, on_delta: OnDelta | None) -> Completion:
        try:
            completion = await self.engines[server].generate_in_slot(request, on_delta)
        except Unreachable as error:
            self._last_failure = str(error)
            server.record_failure(_now())
            raise
        except EngineError:
            server.record_answer()
            raise
        server.record_answer()
        return completion

    def rank(self, request: Request) -> list[Server]:
        """The servers in the order in which this request prefers them: the same for all calls on one problem."""
        # Rendezvous hashing: when a server comes or goes, only its own problems move.
        text = f"\x1f{_opening(request)}".encode()
        return sorted(self.engines, key=lambda server: hashlib.sha256(server.name.encode() + text).digest())

    def _start_trials(self) -> None:
        """Lets one request try each server that has rested; if none is up, the one that has rested longest."""
        now, resting = _now(), {each: each.down_until for each in self.engines if each.down_until is not None}
        for server, until in resting.items():
            server.on_trial = server.on_trial or until <= now
        if not any(server.is_usable for server in self.engines):
            min(resting, key=lambda server: resting[server]).on_trial = True


class SharedServers:
    """One limit per server: cells and modes that name the same servers share their slots."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, ...], tuple[Server, ...]] = {}

    def get(self, urls: tuple[str, ...], in_flight: InFlight) -> tuple[Server, ...]:
        """These servers. `in_flight` counts only when they are named for the first time."""
        if urls not in self._servers:
            self._servers[urls] = tuple(Server(url, limit_of(in_flight)) for url in urls)
        return self._servers[urls]


def _opening(request: Request) -> str:
    """The first paragraph of the first user message, which is the problem: every strategy begins with it."""
    text = next((message.content for message in request.messages if message.role == "user"), "")
    return text.partition("\n\n")[0]


def _now() -> float:
    return asyncio.get_running_loop().time()
