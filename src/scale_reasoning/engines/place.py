"""An endpoint while it is examined: sends it what a strategy would, or a raw request, and keeps what was heard.

Decides nothing about what to ask (engines.probe) or what an answer proves (engines.verdicts).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Protocol, runtime_checkable

from scale_reasoning.endpoint import Endpoint, Endpoints, request_for
from scale_reasoning.engines import Connection, Opened, family_of, mode_endpoints, open_engine
from scale_reasoning.engines.adapting import Adaptable
from scale_reasoning.engines.listing import at
from scale_reasoning.engines.verdicts import Heard
from scale_reasoning.errors import Rejected
from scale_reasoning.profiles import Profile
from scale_reasoning.types import JSON, Message, Mode, Request, Schema


@runtime_checkable
class Fetching(Protocol):
    """An engine that takes raw requests."""

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path below the base URL: GET, or POST when there is a body."""
        ...


@dataclass(slots=True, kw_only=True)
class Place:
    """One open engine and the modes it is to serve; `endpoints` lacks those that its family lacks.

    `names` is the server's list of models, `refusal` what it said to the first chat, `heard` every reply so far.
    """

    connection: Connection
    opened: Opened
    family: Profile
    modes: tuple[Mode, ...]
    endpoints: Endpoints
    names: Mapping[str, JSON] | None = None
    refusal: Rejected | None = None
    heard: list[Heard] = field(default_factory=list[Heard])

    @property
    def reasoning_is_apart(self) -> bool:
        """Whether the server was seen to count reasoning in addition to the completion tokens."""
        return bool(getattr(self.opened.engine, "reasoning_is_apart", False))

    @property
    def cheapest(self) -> Mode:
        """The mode for questions that either could answer."""
        return Mode.SYSTEM1 if Mode.SYSTEM1 in self.endpoints else Mode.SYSTEM2

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of the cheapest mode."""
        return self.endpoints[self.cheapest]

    @property
    def fetches(self) -> bool:
        """Whether raw requests can be sent."""
        return isinstance(self.opened.engine, Fetching)

    def request(self, text: str, limit: int, *, mode: Mode | None = None, schema: Schema | None = None) -> Request:
        """What an LM would send to ask this in at most `limit` new tokens."""
        mode = mode or self.cheapest
        endpoint = self.endpoints[mode]
        # A thought with a budget needs a limit above it (Anthropic).
        limit += at(endpoint.profile.extras, "thinking", "budget_tokens") or 0
        return request_for(endpoint, (Message("user", text),), mode, 1, limit, schema)

    async def ask(self, text: str, limit: int, *, mode: Mode | None = None) -> Heard:
        """The reply to a question. Raises the engine's EngineErrors, as the two below do."""
        return await self.send(self.request(text, limit, mode=mode))

    async def send(self, request: Request) -> Heard:
        """The reply to a request."""
        clock = asyncio.get_running_loop().time
        pieces: list[float] = []
        started = clock()
        completion = await self.opened.engine.generate(request, lambda _: pieces.append(clock()))
        ended = clock()
        heard = Heard(
            completion=completion,
            pieces=len(pieces),
            silence=(pieces[0] if pieces else ended) - started,
            seconds=ended - started,
        )
        self.heard.append(heard)
        return heard

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path, None from an engine that takes no raw requests. A body goes as the server takes it."""
        engine = self.opened.engine
        if body is not None and isinstance(engine, Adaptable):
            body = engine.adapted(body, self.cheapest)
        return await engine.fetch(path, body) if isinstance(engine, Fetching) else None


async def open_place(connection: Connection, modes: tuple[Mode, ...], stack: AsyncExitStack) -> Place:
    """The place that serves these modes, without policies; `stack` closes it. Raises ConfigError."""
    opened = await open_engine(connection, stack)
    endpoints = {mode: e for wanted in modes for mode, e in mode_endpoints(connection, opened, wanted).items()}
    return Place(connection=connection, opened=opened, family=family_of(connection), modes=modes, endpoints=endpoints)


def body_of(request: Request, **more: JSON) -> JSON:
    """The body that asks for one whole reply to a request."""
    sampling = {key: value for key, value in asdict(request.sampling).items() if value is not None}
    known = {"model": request.model, "messages": request.messages, "seed": request.seed, **sampling, **request.extras}
    return {**known, request.limit_key: request.max_tokens, **more}
