"""How one request starts its calls: as places come free, never all at once, and not before other clients' calls.

Decides when a strategy may start one more call or chain. Knows nothing of places on a server (engines/limit.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from scale_reasoning.engines.limit import Fixed, Slots, take_slot


class Share:
    """What one client has in use: `requests` being answered, and `calls` sent or waiting to be sent.

    At most `most_sent` of them are sent at a time (None: as many as the server takes).
    """

    __slots__ = ("_room", "calls", "requests")

    def __init__(self, most_sent: int | None = None) -> None:
        self.requests = 0
        self.calls = 0
        self._room = None if most_sent is None else Slots(Fixed(most_sent))

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None]:
        """One more call that may be sent, once the client has room for it."""
        self.calls += 1
        try:
            entered = None if self._room is None else await take_slot((self._room,))
            try:
                yield
            finally:
                if entered is not None:
                    entered.release()
        finally:
            self.calls -= 1

    def urgency(self) -> float:
        """How urgent the call that begins to wait now is: the more calls its client has, the later it is sent."""
        return -float(self.calls)


class Pace:
    """The turns of one request: while `most` of its calls are pending, nothing more is started concurrently."""

    def __init__(self, most: int) -> None:
        self.pending = 0
        self._most = most
        self._waiting = deque[asyncio.Future[None]]()

    async def turn(self) -> None:
        """Returns when one more call, or a chain of them, may be started."""
        await asyncio.sleep(0)  # what was started last reaches its first call meanwhile
        if self.pending < self._most:
            return
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        try:
            await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                self._wake()  # the turn came together with the cancelling: pass it on
            raise

    def begin(self) -> None:
        """A call is pending."""
        self.pending += 1

    def end(self) -> None:
        """A call has ended: whoever waits longest has the next turn, and everybody where no other end is to come."""
        self.pending -= 1
        self._wake()
        while self._waiting and not self.pending:
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)
                return
