"""Policies are engines around an engine: bounded retries, a limit of requests in flight (limit.py), and a gate.

Compose them where the engine is made: `Retrying(Limited(Gated(OpenAI(url), gate), in_flight=64))`. A request that waits
for a retry has no slot; one that waits for a slot has not passed the gate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from scale_reasoning.engines.limit import Fixed, Slots, take_slot
from scale_reasoning.errors import Malformed, Overloaded, ScaleError, Unreachable
from scale_reasoning.types import Completion, Delta, Engine, OnDelta, Request

Urgency: TypeAlias = Callable[[], float]
"""Returns an attempt's remaining work; attempts with more left go first."""


@runtime_checkable
class Scheduled(Protocol):
    """An engine whose requests wait for a slot."""

    def with_urgency(self, urgency: Urgency) -> Engine:
        """The same engine for one attempt, whose requests have its urgency."""
        ...


FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds: waits double from the first to the longest. After a Retry-After above the longest there is no retry."""


class Retrying:
    """Repeats a failed request `retries` times at most: after no connection, an overload or a malformed reply.

    Waits as long as Retry-After says, else about 0.5, 1, 2, 4, ... seconds. Each wait is longer by a random part of up
    to a half, so that clients that failed together do not return together. There is no retry when a reply is malformed
    twice in the same way, because one seed gives one reply. The listener of a broken reply hears that it starts again.
    """

    def __init__(self, engine: Engine, *, retries: int = 4) -> None:
        self.engine, self.retries = engine, retries

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises the last failure when no try succeeds."""
        listener, malformed = Listener(on_delta), ""
        for tried in range(self.retries + 1):
            try:
                return await self.engine.generate(request, listener.on_delta)
            except (Unreachable, Overloaded, Malformed) as error:
                asked = error.retry_after if isinstance(error, Overloaded) else None
                if isinstance(error, Malformed) and not _is_cut_short(error):
                    if str(error) == malformed:
                        error.add_note("given up: malformed twice in the same way")
                        raise
                    malformed = str(error)
                if tried == self.retries or (asked is not None and asked > LONGEST_WAIT):
                    if tried:
                        error.add_note(f"given up after {tried + 1} tries")
                    raise
            listener.restart()
            backoff = min(FIRST_WAIT * 2**tried, LONGEST_WAIT) * (1 + random.random() / 2)
            await asyncio.sleep(backoff if asked is None else max(asked, FIRST_WAIT / 10))
        raise AssertionError("unreachable")

    def with_urgency(self, urgency: Urgency) -> Retrying:
        """The same engine for one attempt, whose requests have its urgency."""
        engine = self.engine.with_urgency(urgency) if isinstance(self.engine, Scheduled) else self.engine
        return Retrying(engine, retries=self.retries)


def _is_cut_short(error: Malformed) -> bool:
    """Whether only the end of a reply was missing, which is the connection's fault."""
    return "before it was complete" in str(error)


class Gate:
    """Asks `admit` in the moment in which a request would be sent; what that raises refuses the request.

    A refusal is raised once every request that was let through has ended: it may end their attempt, and would cancel
    them. `admit` must refuse all further requests after the first.
    """

    def __init__(self, admit: Callable[[Request], Awaitable[None]]) -> None:
        self._admit, self._out, self._none_out = admit, 0, asyncio.Event()
        self._none_out.set()

    async def send(self, engine: Engine, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate` of the engine. Raises what `admit` raises."""
        try:
            await self._admit(request)
        except ScaleError:
            await self._none_out.wait()
            raise
        self._out += 1
        self._none_out.clear()
        try:
            return await engine.generate(request, on_delta)
        finally:
            self._out -= 1
            if not self._out:
                self._none_out.set()


class Gated:
    """An engine whose requests pass a gate, which several engines may share."""

    def __init__(self, engine: Engine, gate: Gate) -> None:
        self.engine, self.gate = engine, gate

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises what the gate raises."""
        return await self.gate.send(self.engine, request, on_delta)


class Listener:
    """The listener of a reply. When the reply breaks off, it hears that the reply starts again."""

    def __init__(self, listener: OnDelta | None) -> None:
        self._listener, self._has_heard = listener, False

    @property
    def on_delta(self) -> OnDelta | None:
        """What takes the pieces of a reply; None where nobody listens."""
        return None if self._listener is None else self._pass_on

    def _pass_on(self, delta: Delta) -> None:
        self._has_heard = True
        if self._listener is not None:
            self._listener(delta)

    def restart(self) -> None:
        """Says that all pieces so far are void, if there were any."""
        if self._has_heard and self._listener is not None:
            self._listener(Delta(restarted=True))
        self._has_heard = False


class Limited:
    """Lets at most `in_flight` requests through at a time, or as many as there are `slots`, which several may share.

    The most urgent of the waiting requests goes first; a request's urgency is read when it begins to wait.
    """

    def __init__(self, engine: Engine, *, in_flight: int = 64, slots: Slots | None = None) -> None:
        self.engine, self.slots = engine, slots or Slots(Fixed(in_flight))

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self.generate_urgently(0.0, request, on_delta)

    def with_urgency(self, urgency: Urgency) -> Engine:
        """The same engine for one attempt, whose requests have its urgency."""
        return Urgent(self, urgency)

    async def generate_urgently(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate`, for a request of this urgency."""
        await take_slot((self.slots,), urgency)
        return await self.generate_in_slot(request, on_delta)

    async def generate_in_slot(self, request: Request, on_delta: OnDelta | None) -> Completion:
        """As `generate`, in a slot that was taken before; releases it."""
        now, slots = asyncio.get_running_loop().time, self.slots
        began = now()
        try:
            completion = await self.engine.generate(request, on_delta)
            if slots.has_waiting:
                slots.limit.record_reply(began=began, ended=now(), work=_count_new_tokens(completion))
            return completion
        except Overloaded:
            slots.limit.record_refusal(others=slots.in_use - 1)
            raise
        finally:
            slots.release()


class _TakesUrgency(Protocol):
    async def generate_urgently(self, urgency: float, request: Request, on_delta: OnDelta | None) -> Completion: ...


class Urgent:
    """An engine for one attempt, whose requests have the attempt's urgency."""

    def __init__(self, engine: _TakesUrgency, urgency: Urgency) -> None:
        self._engine, self._urgency = engine, urgency

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        return await self._engine.generate_urgently(self._urgency(), request, on_delta)


def _count_new_tokens(completion: Completion) -> int:
    """New tokens; estimated at four characters each where the server counts none."""
    counted = completion.usage.completion_tokens
    return (len(completion.text) + len(completion.reasoning)) // 4 + 1 if counted is None else counted
