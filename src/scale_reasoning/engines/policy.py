"""Policies are engines around an engine: bounded retries, and a limit on what is in flight.

Compose them where the engine is made: `Retrying(Limited(OpenAI(url), in_flight=64))`. Waiting before a retry holds no
place in the limit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol, TypeAlias, runtime_checkable

from scale_reasoning.errors import Malformed, Overloaded, Unreachable
from scale_reasoning.types import Completion, Delta, Engine, OnDelta, Request

Urgency: TypeAlias = Callable[[], float]
"""How much an attempt has before it: the one with the longest way to go should not start it last."""


@runtime_checkable
class Scheduled(Protocol):
    """An engine whose requests wait for a place."""

    def urgent(self, urgency: Urgency) -> Engine:
        """The same engine for one attempt, whose requests wait by its urgency."""
        ...


FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds: waits double from the first to the longest; a server that asks for more than the longest is given up on."""


class Retrying:
    """Tries again, `retries` times at most, what may go better: no connection, overload, a broken reply.

    Waits as long as Retry-After says, else about 0.5, 1, 2, 4, ... seconds, each up to a half longer by chance, so that
    clients who failed together do not return together. A listener that heard pieces of a broken reply is told that it
    begins anew.
    """

    def __init__(self, engine: Engine, *, retries: int = 4) -> None:
        self.engine, self.retries = engine, retries

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises the last failure when none of the tries succeeds."""
        heard = False

        def listen(delta: Delta) -> None:
            nonlocal heard
            heard = True
            if on_delta is not None:
                on_delta(delta)

        for tried in range(self.retries + 1):
            try:
                return await self.engine.generate(request, listen if on_delta is not None else None)
            except (Unreachable, Overloaded, Malformed) as error:
                asked = error.retry_after if isinstance(error, Overloaded) else None
                if tried == self.retries or (asked is not None and asked > LONGEST_WAIT):
                    if tried:
                        error.add_note(f"given up after {tried + 1} tries")
                    raise
            if heard and on_delta is not None:
                on_delta(Delta(restarted=True))
                heard = False
            backoff = min(FIRST_WAIT * 2**tried, LONGEST_WAIT) * (1 + random.random() / 2)
            await asyncio.sleep(backoff if asked is None else max(asked, FIRST_WAIT / 10))
        raise AssertionError("unreachable")

    def urgent(self, urgency: Urgency) -> Retrying:
        """The same policy for one attempt, whose requests wait by its urgency."""
        engine = self.engine.urgent(urgency) if isinstance(self.engine, Scheduled) else self.engine
        return Retrying(engine, retries=self.retries)


class Limited:
    """Lets at most `in_flight` requests through at a time; of those that wait the most urgent goes first.

    Equally urgent ones go first come first served. A request's urgency is taken when it begins to wait.
    """

    def __init__(self, engine: Engine, *, in_flight: int) -> None:
        self.engine = engine
        self._free = in_flight
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._tickets = count()

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self._generate(0.0, request, on_delta)

    def urgent(self, urgency: Urgency) -> Engine:
        """The same places for one attempt, whose requests wait by its urgency."""
        return _Urgent(self, urgency)

    async def _generate(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion:
        await self._enter(urgency)
        try:
            return await self.engine.generate(request, on_delta)
        finally:
            self._leave()

    async def _enter(self, urgency: float) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (-urgency, next(self._tickets), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place came together with the cancelling: pass it on
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            *_, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Urgent:
    def __init__(self, limited: Limited, urgency: Urgency) -> None:
        self._limited, self._urgency = limited, urgency

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return await self._limited._generate(self._urgency(), request, on_delta)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
