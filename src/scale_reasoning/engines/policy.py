"""Policies are engines around an engine: bounded retries, and a limit on what is in flight.

Compose them where the engine is made: `Retrying(Limited(OpenAI(url), in_flight=64))`. Waiting before a retry holds no
place in the limit.
"""

from __future__ import annotations

import asyncio
import random

from scale_reasoning.errors import Malformed, Overloaded, Unreachable
from scale_reasoning.types import Completion, Delta, Engine, OnDelta, Request

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
            backoff = min(FIRST_WAIT * 2**tried, LONGEST_WAIT) * (1 + random.random() / 2)  # noqa: S311  no secret
            await asyncio.sleep(backoff if asked is None else max(asked, FIRST_WAIT / 10))
        raise AssertionError("unreachable")


class Limited:
    """Lets at most `in_flight` requests through at a time; the rest wait their turn, first come first served."""

    def __init__(self, engine: Engine, *, in_flight: int) -> None:
        self.engine = engine
        self._places = asyncio.Semaphore(in_flight)

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        async with self._places:
            return await self.engine.generate(request, on_delta)
