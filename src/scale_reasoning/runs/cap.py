"""A cap on what a run pays: a journal that counts every call that is paid, and refuses to have more made at the cap.

The cap is on the whole run: calls of earlier processes count, those taken from other runs do not. What is out when it
is reached still counts, so a run pays at most for the calls in flight beyond its cap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from scale_reasoning.errors import CapReached
from scale_reasoning.prices import Prices
from scale_reasoning.runs.store import Store
from scale_reasoning.types import Completion, Mode, Request, Usage


class Cap(Protocol):
    """The most that a run may pay, in one unit."""

    @property
    def most(self) -> float:
        """The cap."""
        ...

    def measure(self, model: str, mode: Mode, usage: Usage) -> float | None:
        """What calls with this usage count for; None if the server does not report enough."""
        ...

    def write(self, amount: float) -> str:
        """An amount with its unit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCap:
    """A cap on new tokens, reasoning included; prompt tokens do not count."""

    most: int

    def measure(self, model: str, mode: Mode, usage: Usage) -> float | None:
        """See Cap."""
        return usage.completion_tokens

    def write(self, amount: float) -> str:
        """See Cap."""
        return f"{amount:,.0f} new tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCap:
    """A cap on money, at prices that every model of the run has. Where the server does not report which prompt tokens
    were cached, they count at the higher price.
    """

    most: float
    prices: Prices

    def measure(self, model: str, mode: Mode, usage: Usage) -> float | None:
        """See Cap."""
        price = self.prices.find(model, mode)
        return None if price is None else price.compute_most(usage)

    def write(self, amount: float) -> str:
        """See Cap."""
        return f"{amount:.4g} {self.prices.currency}".rstrip()


class CappedJournal:
    """The journal of a run with caps; `admit` is for its gate (engines/policy.py). `say` gets one line if a cap cannot
    be kept.
    """

    def __init__(self, store: Store, caps: tuple[Cap, ...], *, say: Callable[[str], None]) -> None:
        self._store, self._caps, self._say = store, caps, say
        self._paid = [0.0] * len(caps)
        self._uncounted: set[int] = set()
        for model, mode, usage in store.list_own_usage():
            self._count(model, mode, usage)

    @property
    def reached(self) -> bool:
        """Whether no further call may be sent."""
        return any(True for _ in self._list_reached())

    def raise_caps(self) -> tuple[float, ...]:
        """Caps to resume with: in place of each that is reached, twice what was paid."""
        return tuple(
            cap.most if paid < cap.most else 2 * paid for cap, paid in zip(self._caps, self._paid, strict=True)
        )

    def describe(self) -> str:
        """Which caps are reached, and what was paid."""
        return "; ".join(
            f"the run has paid for {cap.write(paid)}, and its cap is {cap.write(cap.most)}"
            for cap, paid in self._list_reached()
        )

    async def admit(self, request: Request) -> None:
        """Returns if a request may be sent. Raises CapReached."""
        if self.reached:
            raise CapReached(self.describe())

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        return await self._store.get(key, request)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        self._count(request.model, request.mode, completion.usage)
        await self._store.put(key, request, completion)

    def _list_reached(self) -> Iterator[tuple[Cap, float]]:
        return ((cap, paid) for cap, paid in zip(self._caps, self._paid, strict=True) if paid >= cap.most)

    def _count(self, model: str, mode: Mode, usage: Usage) -> None:
        for place, cap in enumerate(self._caps):
            amount = cap.measure(model, mode, usage)
            if amount is not None:
                self._paid[place] += amount
            elif place not in self._uncounted:
                self._uncounted.add(place)
                self._say(f"the cap of {cap.write(cap.most)} cannot be kept: the server does not report what every "
                          f"call of {model} used, and such calls are not counted")  # fmt: skip
