"""How many requests a server is sent at a time: a fixed number, or one that is found out by sending more.

`Fixed` and `Adaptive` decide the number, `Places` who waits for whom. Knows nothing of engines, servers or retries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Literal, Protocol, TypeAlias


class Limit(Protocol):
    """A number of requests in flight that may learn from how they went."""

    @property
    def most(self) -> int:
        """Requests in flight, at most."""
        ...

    def answered(self, *, began: float, ended: float, work: int) -> None:
        """A request took from `began` to `ended` (seconds of one clock) for `work` tokens, while others waited."""
        ...

    def refused(self, *, beside: int) -> None:
        """The server was too busy for one more request beside so many."""
        ...


class Fixed:
    """A limit that stays."""

    def __init__(self, most: int) -> None:
        self.most = most

    def answered(self, *, began: float, ended: float, work: int) -> None:
        """See Limit."""

    def refused(self, *, beside: int) -> None:
        """See Limit."""


FIRST, CEILING = 16, 1024
"""Where an adaptive limit starts, and the most that it grows to."""

LEAP, STEP, SLACK = 2.0, 1.25, 0.92
"""The limit is multiplied by LEAP while that pays, then by STEP; where that does not pay, the one before by SLACK."""

PAYS = 0.15
"""A larger limit pays when throughput grew by this share of what it would have grown by on a server without bounds."""

FEWEST = 8
"""Replies that a window takes at least."""


class Adaptive:
    """Grows while throughput grows, shrinks where latency grew instead, and at once where a server refuses.

    Throughput at a limit comes from Little's law: requests in flight x tokens written / seconds waited for them. The
    ratio hardly depends on how long the replies are, so a few of them tell, where counting completions a second would
    take hundreds. A window holds replies that were begun and ended under one limit, and closes when they account for
    half of the time its places were held, so that it is not made of the short ones alone.
    """

    def __init__(self) -> None:
        self.most = FIRST
        self._growth = LEAP
        self._tried: tuple[int, float] | None = None
        """The largest limit that paid, and its throughput; None before there is one."""
        self._open(None)

    def _open(self, since: float | None) -> None:
        self._since, self._refused = since, False
        self._replies, self._work, self._seconds = 0, 0, 0.0

    def answered(self, *, began: float, ended: float, work: int) -> None:
        """See Limit."""
        if self._since is None:
            self._since = began
        if began < self._since:
            return
        self._replies, self._work, self._seconds = self._replies + 1, self._work + work, self._seconds + ended - began
        if self._replies >= FEWEST and 2 * self._seconds >= self.most * (ended - self._since) > 0:
            self._close(self.most * self._work / self._seconds)
            self._open(ended)

    def refused(self, *, beside: int) -> None:
        """See Limit. Refusals of one moment come one by one and end at what the server did take."""
        self.most, self._refused = max(1, min(self.most, beside)), True

    def _close(self, throughput: float) -> None:
        """One window's verdict: go on from this limit, or back to the one before it."""
        tried, self._tried = self._tried, None
        if self._refused:
            self._growth = STEP
        elif tried and throughput < tried[1] * (1 + PAYS * (self.most / tried[0] - 1)):
            self._growth, self.most = STEP, max(1, int(SLACK * tried[0]))
        else:
            self._tried = (self.most, throughput)
            self.most = min(max(self.most + 1, round(self.most * self._growth)), CEILING)


InFlight: TypeAlias = int | Literal["auto"]
"""How many requests a user wants in flight; `auto` finds out."""


def limit_of(in_flight: InFlight) -> Limit:
    """The limit that a user means."""
    return Adaptive() if in_flight == "auto" else Fixed(in_flight)


Turn: TypeAlias = "asyncio.Future[Places | None]"


class Places:
    """Places for requests on a server: of those that wait the most urgent goes first, of equals the first to come."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.held = 0
        self._waiting: list[tuple[bool, float, int, Turn]] = []
        self._swept = 0

    @property
    def most(self) -> int:
        """Places at this moment."""
        return self.limit.most

    @property
    def free(self) -> bool:
        """Whether a request may come at once."""
        return self.held < self.most

    @property
    def waiting(self) -> int:
        """Requests that wait here."""
        return sum(not turn.done() for *_, turn in self._waiting)

    @property
    def wanted(self) -> bool:
        """Whether a request waits here."""
        return self._next() is not None

    def leave(self) -> None:
        """Gives a place back."""
        self.held -= 1
        self.admit()

    def admit(self) -> None:
        """Lets in as many as there are places for."""
        while self.free and (turn := self._next()):
            self.held += 1
            turn.set_result(self)

    def send_off(self) -> None:
        """Has those that wait choose again."""
        while turn := self._next():
            turn.set_result(None)

    def _next(self) -> Turn | None:
        while self._waiting and self._waiting[0][-1].done():
            heappop(self._waiting)
        return self._waiting[0][-1] if self._waiting else None

    def queue(self, turn: Turn, *, urgency: float, ticket: int, at_home: bool) -> None:
        """Waits here, it may be among other places; those at home here come before those that are not."""
        if len(self._waiting) > 64 + 2 * self._swept:  # many may have been served elsewhere
            self._waiting = sorted(entry for entry in self._waiting if not entry[-1].done())
            self._swept = len(self._waiting)
        heappush(self._waiting, (not at_home, -urgency, ticket, turn))


_TICKETS = count()


async def enter(choice: Sequence[Places], urgency: float = 0.0) -> Places | None:
    """Takes a place on one of `choice`, the first that has one, waiting where none has. None: choose again."""
    for places in choice:
        if places.free:
            places.held += 1
            return places
    turn: Turn = asyncio.get_running_loop().create_future()
    ticket = next(_TICKETS)
    for places in choice:
        places.queue(turn, urgency=urgency, ticket=ticket, at_home=places is choice[0])
    try:
        return await turn
    except asyncio.CancelledError:
        if turn.done() and not turn.cancelled() and (got := turn.result()):
            got.leave()  # the place came together with the cancelling: pass it on
        raise
