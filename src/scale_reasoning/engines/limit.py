"""How many requests a server is sent at a time: a fixed number, or one that is measured by sending more.

`Fixed` and `Adaptive` decide the number, `Slots` the order of waiting requests. Knows nothing of engines and retries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Literal, TypeAlias


class Limit:
    """The largest number of requests in flight, `most`. A subclass may change it by how requests went."""

    most: int

    def record_reply(self, *, began: float, ended: float, work: int) -> None:
        """A request took from `began` to `ended` (seconds of one clock) for `work` new tokens, while others waited."""

    def record_refusal(self, *, others: int) -> None:
        """The server refused a request as one too many, with `others` in flight."""


class Fixed(Limit):
    """A limit that never changes."""

    def __init__(self, most: int) -> None:
        self.most = most


FIRST, CEILING = 16, 1024
"""An adaptive limit starts at FIRST and grows to CEILING at most."""

LEAP, STEP, SLACK = 2.0, 1.25, 0.92
"""Factors of the limit: LEAP while growth pays, then STEP; where it does not pay, SLACK of the limit before."""

PAYS = 0.15
"""A larger limit pays when throughput grows by at least this share of the growth of the limit."""

FEWEST = 8
"""Replies in a measurement, at least."""


class Adaptive(Limit):
    """Grows while throughput grows; shrinks where only latency grows, and at once where the server refuses.

    Throughput at a limit comes from Little's law: requests in flight x new tokens / seconds waited for them. This ratio
    hardly depends on the length of replies, so few replies suffice; counting completions per second would need
    hundreds. A measurement takes replies that began and ended under one limit. It ends when they fill half of the
    time of all slots, so that it does not consist of short replies only.
    """

    def __init__(self) -> None:
        self.most = FIRST
        self._growth = LEAP
        self._best: tuple[int, float] | None = None
        """The last limit that paid, and its throughput; None before there is one."""
        self._start(None)

    def _start(self, since: float | None) -> None:
        self._since, self._refused = since, False
        self._replies, self._work, self._seconds = 0, 0, 0.0

    def record_reply(self, *, began: float, ended: float, work: int) -> None:
        """See Limit."""
        if self._since is None:
            self._since = began
        if began < self._since:
            return
        self._replies, self._work, self._seconds = self._replies + 1, self._work + work, self._seconds + ended - began
        if self._replies >= FEWEST and 2 * self._seconds >= self.most * (ended - self._since) > 0:
            self._decide(self.most * self._work / self._seconds)
            self._start(ended)

    def record_refusal(self, *, others: int) -> None:
        """See Limit. After several refusals in one moment the limit is what the server did accept."""
        self.most, self._refused = max(1, min(self.most, others)), True

    def _decide(self, throughput: float) -> None:
        """Grows from this limit, or returns to the one before it."""
        best, self._best = self._best, None
        if self._refused:
            self._growth = STEP
        elif best and throughput < best[1] * (1 + PAYS * (self.most / best[0] - 1)):
            self._growth, self.most = STEP, max(1, int(SLACK * best[0]))
        else:
            self._best = (self.most, throughput)
            self.most = min(max(self.most + 1, round(self.most * self._growth)), CEILING)


InFlight: TypeAlias = int | Literal["auto"]
"""How many requests a user wants in flight; `auto` measures it."""


def limit_of(in_flight: InFlight) -> Limit:
    """The limit for this number."""
    return Adaptive() if in_flight == "auto" else Fixed(in_flight)


Turn: TypeAlias = "asyncio.Future[Slots | None]"
"""What a waiting request waits for: a slot, or None, which means that it must choose again."""


class Slots:
    """The slots for requests on a server, and the queue for them: the most urgent first, then in order of arrival."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.in_use = 0
        self._queue: list[tuple[bool, float, int, Turn]] = []
        self._size_when_cleaned = 0

    @property
    def most(self) -> int:
        """Slots at this moment."""
        return self.limit.most

    @property
    def has_free(self) -> bool:
        """Whether a request can be sent at once."""
        return self.in_use < self.most

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return sum(not turn.done() for *_, turn in self._queue)

    @property
    def has_waiting(self) -> bool:
        """Whether a request waits."""
        return self._first() is not None

    def release(self) -> None:
        """Gives a slot back."""
        self.in_use -= 1
        self.fill()

    def fill(self) -> None:
        """Gives free slots to waiting requests."""
        while self.has_free and (turn := self._first()):
            self.in_use += 1
            turn.set_result(self)

    def send_away(self) -> None:
        """Makes all waiting requests choose again."""
        while turn := self._first():
            turn.set_result(None)

    def _first(self) -> Turn | None:
        while self._queue and self._queue[0][-1].done():
            heappop(self._queue)
        return self._queue[0][-1] if self._queue else None

    def join(self, turn: Turn, *, urgency: float, ticket: int, is_preferred: bool) -> None:
        """Joins this queue, possibly among others. Requests that prefer this server come before those that do not."""
        if len(self._queue) > 64 + 2 * self._size_when_cleaned:  # many may have got a slot elsewhere
            self._queue = sorted(entry for entry in self._queue if not entry[-1].done())
            self._size_when_cleaned = len(self._queue)
        heappush(self._queue, (not is_preferred, -urgency, ticket, turn))


_TICKETS = count()


async def take_slot(choice: Sequence[Slots], urgency: float = 0.0) -> Slots | None:
    """Takes a slot of the first server of `choice` that has a free one, or waits for one on any of them.

    Returns the slots to `release` one of, or None when the caller must choose again.
    """
    for slots in choice:
        if slots.has_free:
            slots.in_use += 1
            return slots
    turn: Turn = asyncio.get_running_loop().create_future()
    ticket = next(_TICKETS)
    for slots in choice:
        slots.join(turn, urgency=urgency, ticket=ticket, is_preferred=slots is choice[0])
    try:
        return await turn
    except asyncio.CancelledError:
        if turn.done() and not turn.cancelled() and (taken := turn.result()):
            taken.release()  # it was cancelled in the moment in which it got the slot
        raise
