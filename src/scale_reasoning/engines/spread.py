"""Several servers of one model as one engine: a call goes where its problem's calls went before.

A server that read a problem has its prefix cached, so calls stick by their problem; what waits at a full server takes
the first place that comes free on any; a server that dies is left alone for a while. Knows nothing of how many tries a
call has (policy.py): moving to another server is none.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from scale_reasoning.engines.limit import InFlight, Limit, Places, enter, limit_of
from scale_reasoning.engines.policy import ByUrgency, Limited, Told, Urgency
from scale_reasoning.errors import EngineError, Overloaded, Unreachable
from scale_reasoning.types import Completion, Engine, OnDelta, Request

DEAD = 3
"""A server that could not be reached so many times in a row is down."""

REST = 10.0
"""Seconds that a server which is down is left alone; then a single request tries it."""


class Server(Places):
    """The places of one of several servers: none while it is down, one for the request that tries it anew.

    `name` (its URL) decides which problems it gets.
    """

    def __init__(self, name: str, limit: Limit) -> None:
        super().__init__(limit)
        self.name = name
        self.failures = 0
        self.down_until: float | None = None
        self.tried_anew = False

    @property
    def most(self) -> int:
        """See Places."""
        return super().most if self.down_until is None else int(self.tried_anew)

    @property
    def hopeful(self) -> bool:
        """Whether it is up, or may be found so soon."""
        return self.down_until is None or self.tried_anew

    def reached(self) -> None:
        """It answered, if only to refuse."""
        self.failures = 0
        if self.down_until is not None:
            self.down_until, self.tried_anew = None, False
            self.admit()

    def missed(self, now: float) -> None:
        """It could not be reached."""
        self.failures += 1
        if self.failures >= DEAD or self.down_until is not None:
            self.down_until, self.tried_anew = now + REST, False
            self.send_off()


class Spread:
    """Sends each request to one of several servers, and at once to another where that cannot be reached or is too busy.

    No server is asked twice for one request; the last failure is raised when none that is up is left.
    """

    def __init__(self, engines: Mapping[Server, Engine]) -> None:
        self.engines = {server: Limited(engine, places=server) for server, engine in engines.items()}
        self._told = ""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self.by_urgency(0.0, request, on_delta)

    def urgent(self, urgency: Urgency) -> Engine:
        """The same servers for one attempt, whose requests wait by its urgency."""
        return ByUrgency(self, urgency)

    async def by_urgency(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate`, for a request that so many sub-problems wait for."""
        told, left = Told(on_delta), self.ranked(request)
        failure: Unreachable | Overloaded | None = None
        self._try_anew()
        while any(server.hopeful for server in left):
            place = await enter(left, urgency)
            if place is None:  # one of them went down meanwhile
                continue
            server = next(one for one in left if one is place)
            told.anew()
            try:
                return await self._answered(server, request, told.on_delta)
            except (Unreachable, Overloaded) as error:
                failure = error
                left.remove(server)
            if isinstance(failure, Overloaded) and not any(server.free for server in left):
                break
        raise failure or Unreachable(f"none of {len(self.engines)} servers can be reached; the last: {self._told}")

    async def _answered(self, server: Server, request: Request, on_delta: OnDelta | None) -> Completion:
        try:
            completion = await self.engines[server].admitted(request, on_delta)
        except Unreachable as error:
            self._told = str(error)
            server.missed(_now())
            raise
        except EngineError:
            server.reached()
            raise
        server.reached()
        return completion

    def ranked(self, request: Request) -> list[Server]:
        """The servers in the order in which this request would have them: the same for all calls on one problem."""
        # Rendezvous hashing: when a server comes or goes, only its own problems move.
        said = f"\x1f{_opening(request)}".encode()
        return sorted(self.engines, key=lambda server: hashlib.sha256(server.name.encode() + said).digest())

    def _try_anew(self) -> None:
        """Lets one request try each server that has rested; the one that rested longest where none is up."""
        now, resting = _now(), {one: one.down_until for one in self.engines if one.down_until is not None}
        for server, until in resting.items():
            server.tried_anew = server.tried_anew or until <= now
        if not any(server.hopeful for server in self.engines):
            min(resting, key=lambda server: resting[server]).tried_anew = True


class Limits:
    """One limit a server, whoever asks it: cells and modes that name the same servers share their places."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, ...], tuple[Server, ...]] = {}

    def servers(self, urls: tuple[str, ...], in_flight: InFlight) -> tuple[Server, ...]:
        """The places of each of these servers. The first to name them says how many."""
        if urls not in self._servers:
            self._servers[urls] = tuple(Server(url, limit_of(in_flight)) for url in urls)
        return self._servers[urls]


def _opening(request: Request) -> str:
    """The first paragraph of the first user message: the problem's, for every strategy opens with the problem."""
    said = next((message.content for message in request.messages if message.role == "user"), "")
    return said.partition("\n\n")[0]


def _now() -> float:
    return asyncio.get_running_loop().time()
