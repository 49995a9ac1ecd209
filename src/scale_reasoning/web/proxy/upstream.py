"""The model server itself, for requests that name its model: bodies go through as they come, unchanged, both ways.

Decides which headers pass and whose key goes where. Refuses to know what a body says. Beside engines/openai the one
other door to the HTTP client, for an engine makes a completion of what this must not touch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

from scale_reasoning.engines import Connection
from scale_reasoning.engines.listing import at
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.openai import OpenAI, Timeouts
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.refusals import one_line
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.lm import Endpoints
from scale_reasoning.types import JSON, Mode
from scale_reasoning.web.proxy.exchange import Exchange
from scale_reasoning.web.proxy.refusals import Refusal

if TYPE_CHECKING:
    import aiohttp

SENT = ("content-type", "accept", "user-agent", "x-request-id", "traceparent", "idempotency-key")
"""Headers of a client that the model server sees: none that could carry a client's key."""

KEPT_BACK = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",  # of one connection only (RFC 9110, 7.6.1)
    "set-cookie", "www-authenticate", "server", "date", "alt-svc", "strict-transport-security",  # of another server
}  # fmt: skip
"""Headers of a model server that the client does not see."""

LARGEST_ERROR = 2**20
"""Bytes of an error's body that are looked through for the server's key."""


class Upstream:
    """The model server behind `endpoints`. Use as an async context manager."""

    def __init__(self, connection: Connection, endpoints: Endpoints) -> None:
        endpoint = endpoints.get(Mode.SYSTEM2) or endpoints[Mode.SYSTEM1]
        engine: Any = endpoint.engine
        while isinstance(engine, Retrying | Limited):
            engine = engine.engine
        if not isinstance(engine, OpenAI | Llama):
            raise ConfigError(f"model {endpoint.model}: nothing to pass requests on to")
        self.model = endpoint.model
        self._engine: OpenAI | Llama = engine
        self._key = engine.key if isinstance(engine, Llama) else connection.api_key
        self._timeouts = connection.timeouts or Timeouts()
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        import aiohttp

        loopback = (urlsplit(self._engine.base_url).hostname or "").startswith(("127.", "localhost", "::1"))
        patience = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timeouts.connect, sock_read=self._timeouts.first_byte
        )
        for pool in ("kept", "fresh"):
            self._sessions[pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=pool == "fresh"),
                timeout=patience,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept"),
                trust_env=not loopback,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    async def models(self) -> list[JSON]:
        """The entries of the server's own list of models, [] when it has none or does not answer."""
        try:
            body = await self._engine.fetch("/models")
        except EngineError:
            return []
        entries = at(body, "data")
        return cast("list[JSON]", entries) if isinstance(entries, list) else []

    async def relay(self, content: bytes, exchange: Exchange) -> None:
        """Passes a chat request on and its answer back. Raises Refusal when the server fails, sent before or not."""
        import aiohttp

        try:
            async with await self._asked(content, self._sent(exchange.headers)) as response:
                if 300 <= response.status < 400:
                    raise Refusal(502, "upstream_redirects", "the model server redirects: the base URL is not its own")
                if response.status >= 400:
                    await exchange.answer(
                        response.status, await self._error(response), _kept(response, "content-length")
                    )
                    return
                await exchange.begin(response.status, _kept(response))
                async for chunk in response.content.iter_any():
                    await exchange.write(chunk)
                await exchange.end()
        except TimeoutError:
            raise Refusal(504, "upstream_timeout", "the model server did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            told = one_line(str(error), (self._key,) if self._key else ()) or type(error).__name__
            raise Refusal(502, "upstream_unreachable", f"the model server: {told}") from None

    async def _asked(self, content: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The head of the answer; asked once more where a kept connection turned out to have ended."""
        import aiohttp

        url = f"{self._engine.base_url}/chat/completions"
        try:
            return await self._sessions["kept"].post(url, data=content, headers=headers, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._sessions["fresh"].post(url, data=content, headers=headers, allow_redirects=False)

    def _sent(self, headers: Mapping[str, str]) -> dict[str, str]:
        sent = {name: headers[name] for name in SENT if name in headers}
        sent["accept-encoding"] = "identity"  # the key must be found in an error's body
        return {**sent, "authorization": f"Bearer {self._key}"} if self._key else sent

    async def _error(self, response: aiohttp.ClientResponse) -> bytes:
        """An error's body without the server's key, which some quote."""
        content = await response.content.read(LARGEST_ERROR)
        while len(content) < LARGEST_ERROR and (more := await response.content.read(LARGEST_ERROR - len(content))):
            content += more
        return content.replace(self._key.encode(), b"[secret]") if self._key else content


def _kept(response: aiohttp.ClientResponse, *without: str) -> dict[str, str]:
    of_connection = {name.strip().lower() for name in response.headers.get("connection", "").split(",")}
    return {
        name.lower(): value
        for name, value in response.headers.items()
        if name.lower() not in KEPT_BACK | of_connection | set(without)
    }
