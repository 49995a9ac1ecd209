"""Wraps engines for one request: counts its tokens, enforces its budget, remembers failures.

Decides what counts towards a budget. Does not know methods or answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from scale_reasoning.endpoint import Endpoint, Endpoints
from scale_reasoning.engines.policy import Scheduled
from scale_reasoning.errors import EngineError
from scale_reasoning.types import NO_USAGE, Completion, Delta, Engine, Mode, OnDelta, Request, Usage
from scale_reasoning.web.proxy.pace import Pace, Share
from scale_reasoning.web.proxy.refusals import OverBudget

OnUsage: TypeAlias = Callable[[Mode, Usage], None]


@dataclass(slots=True, kw_only=True)
class Meter:
    """What all calls of one request share.

    budget: limit of new tokens, None for no limit. written: new tokens so far; a piece of a reply counts as one until
    the server reports the number. spent: the server's counts. errors: the newest failure of each kind. `pace` and
    `share` decide when calls are sent.
    """

    on_usage: OnUsage
    pace: Pace
    share: Share
    budget: int | None = None
    written: int = 0
    spent: Usage = NO_USAGE
    errors: dict[str, EngineError] = field(default_factory=dict[str, EngineError])

    def write(self, tokens: int) -> None:
        """Counts new tokens. Raises OverBudget if they exceed the budget."""
        self.written += tokens
        if self.budget is not None and self.written > self.budget:
            raise OverBudget(
                f"this request's calls wrote more than its budget of {self.budget:,} tokens and were stopped"
            )

    def over(self, endpoints: Endpoints, sampling: Mapping[str, float | int]) -> Endpoints:
        """The same endpoints, metered, with the request's sampling instead of the family's."""
        return {mode: self._over(endpoint, sampling) for mode, endpoint in endpoints.items()}

    def _over(self, endpoint: Endpoint, sampling: Mapping[str, float | int]) -> Endpoint:
        profile = replace(endpoint.profile, sampling=replace(endpoint.profile.sampling, **sampling))  # pyright: ignore[reportArgumentType]
        return replace(endpoint, engine=_Metered(endpoint.engine, self), profile=profile)


class _Metered:
    def __init__(self, engine: Engine, meter: Meter) -> None:
        self._engine = engine.with_urgency(meter.share.urgency) if isinstance(engine, Scheduled) else engine
        self._meter = meter

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        meter, pieces = self._meter, 0

        def listen(delta: Delta) -> None:
            nonlocal pieces
            if on_delta is not None:
                on_delta(delta)
            if delta.restarted:  # the discarded pieces stay counted
                pieces = 0
            if delta.text or delta.reasoning:
                pieces += 1
                meter.write(1)

        try:
            completion = await self._send(request, listen)
        except EngineError as error:
            meter.errors[error.kind] = error
            raise
        usage = completion.usage
        meter.spent += usage
        meter.on_usage(request.mode, usage)
        if usage.completion_tokens is not None:
            meter.write(max(usage.completion_tokens - pieces, 0))
        return completion

    async def _send(self, request: Request, listen: OnDelta) -> Completion:
        pace = self._meter.pace
        pace.begin()
        try:
            async with self._meter.share.call():
                return await self._engine.generate(request, listen)
        finally:
            pace.end()
