"""Policies are engines around an engine: bounded retries, and a limit on what is in flight (limit.py).

Compose them where the engine is made: `Retrying(Limited(OpenAI(url), in_flight=64))`. Waiting before a retry holds no
place in the limit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from scale_reasoning.engines.limit import Fixed, Places, enter
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
    clients who failed together do not return together. A reply that is malformed twice in the same way is given up: one
    seed gives one reply. A listener that heard pieces of a broken reply is told that it begins anew.
    """

    def __init__(self, engine: Engine, *, retries: int = 4) -> None:
        self.engine, self.retries = engine, retries

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises the last failure when none of the tries succeeds."""
        told, malformed = Told(on_delta), ""
        for tried in range(self.retries + 1):
            try:
                return await self.engine.generate(request, told.on_delta)
            except (Unreachable, Overloaded, Malformed) as error:
                asked = error.retry_after if isinstance(error, Overloaded) else None
                if isinstance(error, Malformed) and not _broken_off(error):
                    if str(error) == malformed:
                        error.add_note("given up: malformed twice in the same way")
                        raise
                    malformed = str(error)
                if tried == self.retries or (asked is not None and asked > LONGEST_WAIT):
                    if tried:
                        error.add_note(f"given up after {tried + 1} tries")
                    raise
            told.anew()
            backoff = min(FIRST_WAIT * 2**tried, LONGEST_WAIT) * (1 + random.random() / 2)
            await asyncio.sleep(backoff if asked is None else max(asked, FIRST_WAIT / 10))
        raise AssertionError("unreachable")

    def urgent(self, urgency: Urgency) -> Retrying:
        """The same policy for one attempt, whose requests wait by its urgency."""
        engine = self.engine.urgent(urgency) if isinstance(self.engine, Scheduled) else self.engine
        return Retrying(engine, retries=self.retries)


def _broken_off(error: Malformed) -> bool:
    """Whether only the end of a reply was missing, which is the connection's doing."""
    return "before it was complete" in str(error)


class Told:
    """What a listener was told of a reply: where that breaks off, it hears that the next one begins anew."""

    def __init__(self, listener: OnDelta | None) -> None:
        self._listener, self._heard = listener, False

    @property
    def on_delta(self) -> OnDelta | None:
        """What hears the pieces of a reply; None where nobody listens."""
        return None if self._listener is None else self._pass

    def _pass(self, delta: Delta) -> None:
        self._heard = True
        if self._listener is not None:
            self._listener(delta)

    def anew(self) -> None:
        """What was told so far is void."""
        if self._heard and self._listener is not None:
            self._listener(Delta(restarted=True))
        self._heard = False


class Limited:
    """Lets at most `in_flight` requests through at a time, or as many as there are `places`, which several may share.

    Of those that wait the most urgent goes first; a request's urgency is taken when it begins to wait.
    """

    def __init__(self, engine: Engine, *, in_flight: int = 64, places: Places | None = None) -> None:
        self.engine, self.places = engine, places or Places(Fixed(in_flight))

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self.by_urgency(0.0, request, on_delta)

    def urgent(self, urgency: Urgency) -> Engine:
        """The same places for one attempt, whose requests wait by its urgency."""
        return ByUrgency(self, urgency)

    async def by_urgency(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate`, for a request that so many sub-problems wait for."""
        await enter((self.places,), urgency)
        return await self.admitted(request, on_delta)

    async def admitted(self, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate`, in a place that was entered already and is given back."""
        now, places = asyncio.get_running_loop().time, self.places
        began = now()
        try:
            completion = await self.engine.generate(request, on_delta)
            if places.wanted:
                places.limit.answered(began=began, ended=now(), work=_work(completion))
            return completion
        except Overloaded:
            places.limit.refused(beside=places.held - 1)
            raise
        finally:
            places.leave()


class _Urging(Protocol):
    async def by_urgency(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion: ...


class ByUrgency:
    """A limited engine for one attempt."""

    def __init__(self, limited: _Urging, urgency: Urgency) -> None:
        self._limited, self._urgency = limited, urgency

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self._limited.by_urgency(self._urgency(), request, on_delta)


def _work(completion: Completion) -> int:
    """New tokens; estimated, four characters each, where the server counts none."""
    counted = completion.usage.completion_tokens
    return (len(completion.text) + len(completion.reasoning)) // 4 + 1 if counted is None else counted
