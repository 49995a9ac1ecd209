"""An engine around an engine that belongs to one request: counts its tokens, holds its budget, remembers failures.

Decides what counts against a budget. Knows nothing of methods or answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from scale_reasoning.engines.policy import Scheduled
from scale_reasoning.errors import EngineError
from scale_reasoning.lm import Endpoint, Endpoints
from scale_reasoning.types import NO_USAGE, Completion, Delta, Engine, Mode, OnDelta, Request, Usage
from scale_reasoning.web.proxy.pace import Pace, Share
from scale_reasoning.web.proxy.refusals import OverBudget

OnUsage: TypeAlias = Callable[[Mode, Usage], None]


@dataclass(slots=True, kw_only=True)
class Meter:
    """What all calls of one request share.

    `budget` bounds new tokens (None: no bound). `written` counts them: a piece of a reply as one until the server says
    how many they were. `spent` is what the server counted. `errors` holds the newest failure of each kind. `pace` and
    `share` decide when its calls are sent.
    """

    on_usage: OnUsage
    pace: Pace
    share: Share
    budget: int | None = None
    written: int = 0
    spent: Usage = NO_USAGE
    errors: dict[str, EngineError] = field(default_factory=dict[str, EngineError])

    def write(self, tokens: int) -> None:
        """Counts new tokens. Raises OverBudget when they are too many together."""
        self.written += tokens
        if self.budget is not None and self.written > self.budget:
            raise OverBudget(
                f"this request's calls wrote over {self.budget:,} tokens, which is its budget: they were stopped"
            )

    def over(self, endpoints: Endpoints, sampling: Mapping[str, float | int]) -> Endpoints:
        """The same endpoints, metered, with the request's sampling in place of the family's."""
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
            if delta.restarted:  # what was written in vain stays counted
                pieces = 0
            if delta.text or delta.reasoning:
                pieces += 1
                meter.write(1)

        try:
            completion = await self._sent(request, listen)
        except EngineError as error:
            meter.errors[error.kind] = error
            raise
        usage = completion.usage
        meter.spent += usage
        meter.on_usage(request.mode, usage)
        if usage.completion_tokens is not None:
            meter.write(max(usage.completion_tokens - pieces, 0))
        return completion

    async def _sent(self, request: Request, listen: OnDelta) -> Completion:
        pace = self._meter.pace
        pace.begin()
        try:
            async with self._meter.share.call():
                return await self._engine.generate(request, listen)
        finally:
            pace.end()
