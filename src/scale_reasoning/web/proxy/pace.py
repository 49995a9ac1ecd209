"""When one request starts its calls: as slots become free, never all at once, and in fair turns with other clients.

Decides when a strategy may start one more call or chain. The slots of a server are in engines/limit.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from scale_reasoning.engines.limit import Fixed, Slots, take_slot


class Share:
    """What one client uses: `requests` being answered, and `calls` that are sent or wait to be sent.

    At most `most_sent` calls are sent at a time; None for as many as the server takes.
    """

    __slots__ = ("_room", "calls", "requests")

    def __init__(self, most_sent: int | None = None) -> None:
        self.requests = 0
        self.calls = 0
        self._room = None if most_sent is None else Slots(Fixed(most_sent))

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None]:
        """Waits until the client may send one more call, and counts it during the block."""
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
        """The urgency of a new call: the more calls the client has, the later it is sent."""
        return -float(self.calls)


class Pace:
    """The turns of one request: it starts nothing more while `most` of its calls are pending."""

    def __init__(self, most: int) -> None:
        self.pending = 0
        self._most = most
        self._waiting = deque[asyncio.Future[None]]()

    async def turn(self) -> None:
        """Waits until one more call, or a chain of calls, may be started."""
        await asyncio.sleep(0)  # lets the last coroutine reach its first call
        if self.pending < self._most:
            return
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        try:
            await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                self._wake()  # the turn arrived together with the cancellation: pass it on
            raise

    def begin(self) -> None:
        """Notes that a call is pending."""
        self.pending += 1

    def end(self) -> None:
        """Notes that a call has ended. The longest waiting turn is next; all are, if no other call is pending."""
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
