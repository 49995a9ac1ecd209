"""The model server: requests and responses pass through unchanged; and the list of models that clients see.

Decides which server and which key is used. Does not read bodies: an engine would make a completion of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines.connection import Connection, find_family
from scale_reasoning.engines.http import Client, read_some
from scale_reasoning.engines.limit import CEILING, Fixed, Slots, take_slot
from scale_reasoning.engines.listing import read_list
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.spread import Spread
from scale_reasoning.engines.values import value_at
from scale_reasoning.errors import ConfigError, EngineError, Rejected
from scale_reasoning.lm import Strategy
from scale_reasoning.profiles import EFFORTS
from scale_reasoning.strategies import STRATEGIES, needs_both_modes
from scale_reasoning.types import JSON, Mode
from scale_reasoning.web.proxy.budget import CHATS, within
from scale_reasoning.web.proxy.headers import request_headers, response_headers
from scale_reasoning.web.proxy.names import TUNED, is_strategy
from scale_reasoning.web.proxy.pace import Share
from scale_reasoning.web.proxy.passing import ROOT, Sent
from scale_reasoning.web.proxy.readiness import NO_LIST, PROBE_SECONDS, Target
from scale_reasoning.web.proxy.refusals import KEY_REFUSED, Refusal, refusal_of
from scale_reasoning.web.proxy.wire import Gone, Stream

REPEATABLE = (CHATS, "/completions", "/embeddings")
"""Paths of requests that leave nothing on a server: several take turns, and a request may be sent twice. All others go
to the first server, once.
"""

LARGEST_ERROR, LARGEST_ANSWER = 2**20, 2**26
"""Bytes of an error's body, and of any other body, that are passed on."""

REST = 3.0
"""Seconds of rest after each second of reading large chunks: other requests get three quarters of the time."""

LISTED_SECONDS = 60.0
"""How long a fetched list of models is kept."""


class Upstream:
    """The model server behind `endpoints`, or several, used in turn. Use as an async context manager."""

    def __init__(
        self,
        connection: Connection,
        endpoints: Endpoints,
        token_budget: int | None = None,
        tuned: Strategy | None = None,
    ) -> None:
        """`token_budget` limits the new tokens of a relayed request; `tuned` is the strategy of a policy."""
        endpoint = endpoints.get(Mode.SYSTEM2) or endpoints[Mode.SYSTEM1]
        self.model = endpoint.model
        self.tuned = tuned
        self.efforts = {**EFFORTS, **find_family(connection).efforts}
        targets = [Target(server, each.model) for each in endpoints.values() for _, server in _servers(each.engine)]
        self.targets = tuple(dict.fromkeys(targets))
        self._budget, self._limit_key = token_budget, endpoint.profile.limit_key
        self._servers = deque(_servers(endpoint.engine))
        if not self._servers:
            raise ConfigError(f"model {endpoint.model}: nothing to pass requests on to")
        self._first = self._servers[0]
        _, first = self._first
        for each in targets:
            if isinstance(each.server, OpenAI):
                each.server.rest = REST
        key = first.key if isinstance(first, Llama) else connection.api_key
        self._clients = {
            server.base_url: Client(
                server.base_url, api_key=key, timeouts=connection.timeouts, where="the model server", relay=True
            )
            for _, server in self._servers
        }
        runnable = [name for name in STRATEGIES if len(endpoints) == len(Mode) or not needs_both_modes(name)]
        names = runnable if tuned is None else [*runnable, TUNED]
        own = [self.model, *(f"{self.model}@{name}" for name in names)]
        self._own = {name: _entry(name) for name in own}
        self._entries: dict[str, JSON] = {}
        self._listed_until = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients.values():
            await client.close()

    @property
    def own(self) -> tuple[str, ...]:
        """The served model's name, and the strategies over it."""
        return tuple(self._own)

    @property
    def in_flight(self) -> int:
        """Requests that the model servers get at a time; an adaptive limit counts as its ceiling."""
        limits = [slots.limit for slots, _ in self._servers]
        return sum(limit.most if isinstance(limit, Fixed) else CEILING for limit in limits)

    async def models(self) -> bytes:
        """The server's own models and the strategies of the served one, as the protocol lists them."""
        return msgspec.json.encode({"object": "list", "data": list((await self._list_models()).values())})

    async def model_named(self, name: str) -> bytes:
        """One entry of the list. Raises Refusal (404) when there is none of that name."""
        entry = (await self._list_models()).get(name)
        if entry is None:
            raise Refusal(404, "model_not_found", "there is no model of this name", "model")
        return msgspec.json.encode(entry)

    async def _list_models(self) -> dict[str, JSON]:
        """The models by name; none before the server has answered for the first time.

        What the server lists under a strategy's name (it may be a proxy as this one) is not passed on, and left out.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._listed_until:
            entries = await self._fetch_models()
            if entries is not None:
                tuned = self.tuned is not None
                self._entries = self._own | {
                    name: entry
                    for name, entry in entries.items()
                    if value_at(entry, "id") == name and not is_strategy(name, self.model, tuned=tuned)
                }
            self._listed_until = now + (LISTED_SECONDS if entries else 1.0)
        return self._entries

    async def _fetch_models(self) -> Mapping[str, JSON] | None:
        """The server's own list of models, empty when it has none; None when it does not answer."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return read_list(await self._servers[0][1].fetch("/models")) or {}
        except Rejected as error:
            return {} if error.status in NO_LIST else None
        except (EngineError, TimeoutError):
            return None

    async def relay(self, sent: Sent, request: web.Request, share: Share) -> web.StreamResponse:
        """Passes a request on and its response back, in a slot of the server like any call.

        A body that exceeds the token budget is replaced. Raises Refusal when the server fails, also after a part of the
        response was sent, and (501) for other paths than chats where this process runs the model.
        """
        if sent.path != CHATS and isinstance(self._first[1], Llama):
            raise Refusal(501, "not_supported", f"{self.model} runs in this server, without a model server that would "
                          f"answer {ROOT}{sent.path}: there are {ROOT}{CHATS} and {ROOT}/models")  # fmt: skip
        if self._budget is not None and sent.said is not None:
            limited = within(self._budget, sent.content or b"", sent.said, limit_key=self._limit_key, path=sent.path)
            sent = replace(sent, content=limited)
        try:
            async with self._ask(sent, request_headers(request), share) as (client, response):
                return await self._pass_back(client, response, request)
        except EngineError as error:
            raise refusal_of(error) from None

    async def _pass_back(
        self, client: Client, response: aiohttp.ClientResponse, request: web.Request
    ) -> web.StreamResponse:
        if 300 <= response.status < 400:
            raise Refusal(502, "upstream_redirects", "the model server redirects: the base URL is not its own")
        if response.status in KEY_REFUSED:
            raise client.refusal(response, await _error_body(client, response))
        if response.status >= 400:
            headers = response_headers(client, response, "content-length")
            return web.Response(status=response.status, body=await _error_body(client, response), headers=headers)
        if response.status < 200:
            raise Refusal(502, "upstream_malformed", f"the model server answered with the status {response.status}")
        stream, size = Stream(request, response_headers(client, response), response.status), 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise Refusal(502, "upstream_too_large", f"the model server sent over {LARGEST_ANSWER:,} bytes")
            await stream.write(chunk)
        return stream.response

    @asynccontextmanager
    async def _ask(
        self, sent: Sent, headers: Mapping[str, str], share: Share
    ) -> AsyncGenerator[tuple[Client, aiohttp.ClientResponse]]:
        """The response of the server whose turn it is; where that cannot be reached, of the next. Raises EngineErrors,
        also for errors while the response is read.
        """
        repeatable = sent.path in REPEATABLE
        if repeatable:
            self._servers.rotate()
        left = list(self._servers) if repeatable else [self._first]
        target, at_most = f"{sent.path}{sent.query}", "twice" if repeatable else "once"
        async with share.call():
            while left:
                up = [slots for slots, _ in left if slots.most] or [left[0][0]]
                async with _slot(up, share) as taken:
                    if taken is None:  # a server went down meanwhile
                        continue
                    slots, server = next(each for each in left if each[0] is taken)
                    left.remove((slots, server))
                    client = self._clients[server.base_url]
                    try:
                        async with await client.send(
                            target, sent.content, headers, method=sent.method, at_most=at_most
                        ) as response:
                            yield client, response
                        return
                    except Gone:
                        raise
                    except (TimeoutError, aiohttp.ClientError, OSError) as error:
                        if not left or not isinstance(error, aiohttp.ClientConnectorError):
                            raise client.engine_error(error) from None


async def _error_body(client: Client, response: aiohttp.ClientResponse) -> bytes:
    """An error's body without the server's key, which some quote. Raises Refusal where it cannot be read."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(502, "upstream_malformed", f"the model server answered {response.status} with a compressed "
                      "error, which was not asked for")  # fmt: skip
    content = await read_some(response, LARGEST_ERROR)
    shown = client.hide_secrets(content)
    if client.secrets and len(content) == LARGEST_ERROR:  # it may be cut off within the key
        shown = shown[: -max(map(len, client.secrets))]
    return shown


@asynccontextmanager
async def _slot(choice: Sequence[Slots], share: Share) -> AsyncGenerator[Slots | None]:
    """A slot on one of `choice`; None: choose again. A server that is down has no slots: it is tried without one."""
    down = not choice[0].most
    taken = choice[0] if down else await take_slot(choice, share.urgency())
    try:
        yield taken
    finally:
        if taken is not None and not down:
            taken.release()


def _servers(engine: Any) -> list[tuple[Slots, OpenAI | Llama]]:
    """The engines that use HTTP below the policies, each with its slots."""
    match engine:
        case Retrying():
            return _servers(engine.engine)
        case Limited():
            server = engine.engine
            return [(engine.slots, server)] if isinstance(server, OpenAI | Llama) else []
        case Spread():
            return [found for limited in engine.engines.values() for found in _servers(limited)]
        case _:
            return []


def _entry(name: str) -> JSON:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scale"}
