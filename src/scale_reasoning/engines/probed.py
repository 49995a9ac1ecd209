"""An engine while it is probed: sends it what a strategy would send, or a raw request, and keeps all replies.

Decides nothing about what to ask and what a reply shows (engines.checks).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from scale_reasoning.endpoint import Endpoint, Endpoints, Thinking, request_for
from scale_reasoning.engines import make_endpoint
from scale_reasoning.engines.adapting import Adaptable, Adaptation
from scale_reasoning.engines.connection import Connection, find_family
from scale_reasoning.engines.identify import identify
from scale_reasoning.engines.table import OpenEngine, open_engine
from scale_reasoning.engines.values import value_at
from scale_reasoning.errors import Rejected
from scale_reasoning.profiles import Profile
from scale_reasoning.types import JSON, Completion, Message, Mode, Request, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedReply:
    """A completion, the number of pieces it came in, and the seconds until the first of them and until its end.

    `asked_logprobs` says whether log-probabilities were asked for.
    """

    completion: Completion
    pieces: int
    first_seconds: float
    seconds: float
    asked_logprobs: bool = False


@dataclass(slots=True, kw_only=True)
class ProbedEngine:
    """An open engine, and the modes it is to serve; `endpoints` lacks those that its family lacks.

    `shown_by` says what showed the kind of the server, `thought` is the reply to the question that is worth a thought,
    `names` is the server's list of models, `refusal` its refusal of the first chat, `replies` all replies so far.
    """

    connection: Connection
    opened: OpenEngine
    family: Profile
    modes: tuple[Mode, ...]
    endpoints: Endpoints
    shown_by: str = ""
    thought: Completion | None = None
    names: Mapping[str, JSON] | None = None
    refusal: Rejected | None = None
    replies: list[TimedReply] = field(default_factory=list[TimedReply])

    @property
    def model(self) -> str:
        """The model's name on the server."""
        return self.opened.model

    @property
    def reasoning_is_apart(self) -> bool:
        """Whether the server was seen to count reasoning in addition to the completion tokens."""
        return bool(getattr(self.opened.engine, "reasoning_is_apart", False))

    @property
    def cheapest(self) -> Mode:
        """The mode for requests that either mode could answer."""
        return Mode.SYSTEM1 if Mode.SYSTEM1 in self.endpoints else Mode.SYSTEM2

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of the cheapest mode."""
        return self.endpoints[self.cheapest]

    @property
    def takes_raw_requests(self) -> bool:
        """Whether `fetch` sends anything."""
        return hasattr(self.opened.engine, "fetch")

    @property
    def adaptations(self) -> Sequence[Adaptation]:
        """What the server was found to refuse."""
        engine = self.opened.engine
        return engine.adaptations.found.get(self.model, ()) if isinstance(engine, Adaptable) else ()

    def request(
        self,
        text: str,
        limit: int,
        *,
        mode: Mode | None = None,
        schema: Schema | None = None,
        logprobs: int | None = None,
        thinking: Thinking | None = None,
    ) -> Request:
        """What an LM would send to ask this in at most `limit` new tokens."""
        mode = mode or self.cheapest
        endpoint = self.endpoints[mode]
        # A thought with a budget needs a limit above it (Anthropic).
        limit += value_at(endpoint.profile.extras, "thinking", "budget_tokens") or 0
        return request_for(self.endpoints, (Message("user", text),), mode, 1, limit, schema, logprobs, thinking)

    async def ask(self, text: str, limit: int, *, mode: Mode | None = None) -> TimedReply:
        """The reply to a text. Raises the engine's EngineErrors, as the two methods below do."""
        return await self.send(self.request(text, limit, mode=mode))

    async def send(self, request: Request) -> TimedReply:
        """The reply to a request."""
        clock = asyncio.get_running_loop().time
        times: list[float] = []
        began = clock()
        completion = await self.opened.engine.generate(request, lambda _: times.append(clock()))
        ended = clock()
        first = (times[0] if times else ended) - began
        reply = TimedReply(
            completion=completion,
            pieces=len(times),
            first_seconds=first,
            seconds=ended - began,
            asked_logprobs=request.logprobs is not None,
        )
        self.replies.append(reply)
        return reply

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path, None from an engine that takes no raw requests. A body is sent as the server takes it."""
        if body is not None and isinstance(self.opened.engine, Adaptable):
            body = self.opened.engine.adapt(body, self.cheapest)
        engine: Any = self.opened.engine
        return await engine.fetch(path, body) if self.takes_raw_requests else None


async def open_probed(connection: Connection, modes: tuple[Mode, ...], stack: AsyncExitStack) -> ProbedEngine:
    """The engine that serves these modes, without policies; `stack` closes it. Raises ConfigError."""
    identity = await identify(connection)
    connection = replace(connection, server=identity.name)
    opened = await open_engine(connection, stack)
    endpoints = {mode: e for wanted in modes for mode, e in make_endpoint(connection, opened, wanted).items()}
    return ProbedEngine(
        connection=connection,
        opened=opened,
        family=find_family(connection),
        modes=modes,
        endpoints=endpoints,
        shown_by=identity.shown_by,
    )
