"""Any OpenAI-compatible `/chat/completions`, always streamed, so that silence is told from a long thought.

Turns a Request into a body and a stream into a Completion; every way this can fail becomes one of errors.py's.
The one door to the HTTP client. Knows nothing of retries or limits: those are engines of their own (policy.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from scale_reasoning.engines import listing
from scale_reasoning.engines.adapting import Adapting, Trial, changed
from scale_reasoning.engines.overflow import corrected
from scale_reasoning.engines.policy import Told
from scale_reasoning.engines.refusals import error_for, one_line
from scale_reasoning.engines.reply import Reply
from scale_reasoning.errors import ConfigError, ContextOverflow, EngineError, Malformed, Rejected, TimedOut, Unreachable
from scale_reasoning.types import JSON, Completion, Mode, OnDelta, Request

if TYPE_CHECKING:
    import aiohttp

LARGEST_BODY = 4 * 2**20
"""Bytes of a fetched JSON body that are read."""

SLICE = 4096
"""Bytes of a reply that are read without a pause. No model writes as much between two looks at its stream."""

LARGEST_REFUSAL = 100_000
"""Bytes of a refusal that are read for its reason."""

LINGER = 0.5
"""Seconds a finished reply's connection is given to end in order, so that the next request can have it."""

T = TypeVar("T")

Pool: TypeAlias = Literal["kept", "fresh"]
"""Whether a connection may have served before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. None bounds a whole generation: a thought of 30 minutes is legal, 2 minutes of silence in it are not."""

    connect: float = 10.0
    first_byte: float = 600.0
    silence: float = 120.0


class OpenAI:
    """An engine over one base URL (`http://host:8000/v1`). Close it, or use it as an async context manager."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Raises ConfigError when `base_url` is not an http(s) URL, or the key is none. Nothing is connected yet.

        `say` hears, once each, what the server was found to refuse.
        """
        try:
            parts = urlsplit(base_url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"base URL {base_url!r}: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(f"base URL {base_url!r}: must be like http://127.0.0.1:8000/v1")
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ConfigError("API key: holds a line break or another character that no key has")
        if api_key and parts.username is not None:
            raise ConfigError(f"base URL for {host}: names a user while there is an API key too; leave one of them out")
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        self._where = host + (f":{port}" if port else "")
        self._loopback = host in ("localhost", "::1") or host.startswith("127.")
        self._secrets = tuple(secret for secret in (api_key, parts.password) if secret)
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._timeouts = timeouts or Timeouts()
        self.adapting = Adapting(self._where, say)
        self._sessions: dict[Pool, aiohttp.ClientSession] = {}
        self._waiting: set[asyncio.Timeout] = set()
        self._names: Mapping[str, JSON] | None = None
        self._listing = asyncio.Lock()
        self.rest = 0.0
        """Seconds of rest after each second that reading large chunks took, of all replies together."""
        self._turn = asyncio.Lock()
        self.reasoning_is_apart = False
        """Whether the server was seen to count reasoning in addition to the completion tokens."""
        self._closed = False

    async def __aenter__(self) -> OpenAI:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; generations in flight end with Unreachable, later ones raise RuntimeError."""
        self._closed = True
        for patience in self._waiting:
            if not patience.expired():
                patience.reschedule(0)
        for session in self._sessions.values():
            await session.close()

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. What the server refuses in a request is changed, now and from then on (adapting.py)."""
        trial, told = Trial(self.adapting, request), Told(on_delta)
        while True:
            body = trial.body(self._body(request))
            try:
                completion = await self._post(request, body, told.on_delta)
            except ContextOverflow as error:
                raise corrected(error, request.max_tokens) from None
            except EngineError as error:
                if not trial.refused(error, body):
                    raise await self._explained(error, request.model) from None
                told.anew()
            else:
                trial.answered()
                return completion

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path below the base URL: GET, or POST when there is a body. For probes, not for generating."""
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with asyncio.timeout(self._timeouts.first_byte), await self._send(path, data) as response:
                content = await _some(response, LARGEST_BODY)
                if response.status != 200:
                    raise self._refusal(response, content)
                return msgspec.json.decode(content)
        except Exception as error:  # noqa: BLE001  every failure of the client becomes one of ours
            raise self._translated(error) from None

    def adapted(self, body: dict[str, JSON], mode: Mode) -> dict[str, JSON]:
        """A body for `fetch`, without what the server is known to refuse."""
        return changed(body, self.adapting.kept(body["model"], mode))

    def _body(self, request: Request) -> dict[str, JSON]:
        sampling = request.sampling
        body: dict[str, JSON] = {
            "model": request.model,
            "messages": tuple(message for message in request.messages if message.content or message.role != "system"),
            "stream": True,
            "seed": request.seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            request.limit_key: request.max_tokens,
            "stream_options": {"include_usage": True},
        }
        if request.schema is not None:
            schema = {"name": request.schema.name, "strict": True, "schema": request.schema.body}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return {**{key: value for key, value in body.items() if value is not None}, **request.extras}

    def _client(self, pool: Pool = "kept") -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError(f"the engine on {self._where} is closed")
        if pool not in self._sessions:
            import aiohttp

            # Programs find many a proxy in their environment that would not lead back to this machine.
            named = any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ)
            keep: dict[str, Any] = {"keepalive_timeout": 60} if pool == "kept" else {"force_close": True}
            self._sessions[pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, **keep),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
                trust_env=named and not self._loopback,
                auto_decompress=True,
            )
        return self._sessions[pool]

    async def _post(self, request: Request, body: dict[str, JSON], on_delta: OnDelta | None) -> Completion:
        reply = Reply(
            on_delta, inside=request.starts_thinking, think=request.think, where=self._where, secrets=self._secrets
        )
        patience = asyncio.timeout(self._timeouts.first_byte)
        self._waiting.add(patience)
        try:
            async with patience, await self._send("/chat/completions", msgspec.json.encode(body)) as response:
                if response.status != 200:
                    raise self._refusal(response, await _some(response, LARGEST_REFUSAL))
                await self._read(response, reply, patience)
                end = partial(reply.completion, what=response.content_type)
                completion = await self._gently(end) if reply.whole else end()
                self.reasoning_is_apart |= reply.reasoning_is_apart
                return completion
        except Exception as error:
            if error is reply.listeners:
                raise
            raise self._translated(error, began=reply.began) from None
        finally:
            self._waiting.discard(patience)

    async def _read(self, response: aiohttp.ClientResponse, reply: Reply, patience: asyncio.Timeout) -> None:
        """Reads a reply to its end, and the response to its own, so that the connection can be kept."""
        now, moved = asyncio.get_running_loop().time, 0.0
        async for chunk in response.content.iter_any():
            await self._take(chunk, reply)
            if reply.done:
                break
            # Moving a timer costs more than reading a piece; ten times in a silence is near enough.
            if self._closed or now() > moved + self._timeouts.silence / 10:
                moved = now()
                patience.reschedule(0 if self._closed else moved + self._timeouts.silence)
        if not response.content.at_eof():
            patience.reschedule(None)
            await _linger(response)

    async def _take(self, chunk: bytes, reply: Reply) -> None:
        """Reads a chunk, a large one in slices: a server that sends faster than any model does not stop the loop."""
        if len(chunk) <= SLICE:
            reply.chunk(chunk)
            return
        for at in range(0, len(chunk), SLICE):
            await self._gently(partial(reply.chunk, chunk[at : at + SLICE]))
            if reply.done:
                return

    async def _gently(self, work: Callable[[], T]) -> T:
        """Does work that may take long, and rests in proportion; of all replies one at a time where there are rests."""
        now = asyncio.get_running_loop().time
        async with self._turn if self.rest else contextlib.nullcontext():
            began = now()
            try:
                return work()
            finally:
                await asyncio.sleep((now() - began) * self.rest)

    async def _send(self, path: str, data: bytes | None) -> aiohttp.ClientResponse:
        """The head of an answer; sent once more, at once, when the connection ends before there is one.

        A kept connection may end at any moment (llama.cpp ends them right after a stream), so the second is a fresh
        one; and asking for a generation twice changes nothing on the server.
        """
        import aiohttp

        method, url = "GET" if data is None else "POST", f"{self.base_url}{path}"
        try:
            return await self._client().request(method, url, data=data, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._client("fresh").request(method, url, data=data, allow_redirects=False)

    def _refusal(self, response: aiohttp.ClientResponse, content: bytes) -> EngineError:
        return error_for(
            response.status, content, where=self._where, retry_after=response.headers.get("retry-after"),
            location=response.headers.get("location"), secrets=self._secrets,
        )  # fmt: skip

    async def _explained(self, error: EngineError, model: str) -> EngineError:
        """A refusal of an unknown model, with the names of those that the server has."""
        if not isinstance(error, Rejected) or not listing.is_unknown_model(error):
            return error
        async with self._listing:
            if self._names is None:
                try:
                    async with asyncio.timeout(listing.LISTING_SECONDS):
                        self._names = listing.listed(await self.fetch("/models")) or {}
                except (EngineError, TimeoutError):
                    self._names = {}
        if not self._names or model in self._names:
            return error
        explained = Rejected(f"{error}; the server has {listing.like(model, self._names)}", error.status)
        explained.said = error.said
        return explained

    def _translated(self, error: Exception, *, began: bool = False) -> Exception:
        import aiohttp

        match error:
            case EngineError():
                return error
            case TimeoutError() if self._closed:
                return Unreachable(f"{self._where}: the engine was closed")
            case TimeoutError() if began:
                return TimedOut(f"{self._where} fell silent for {self._timeouts.silence:g} s in mid-reply")
            case aiohttp.ServerTimeoutError():
                return TimedOut(f"{self._where} did not accept a connection in {self._timeouts.connect:g} s")
            case TimeoutError():
                return TimedOut(f"{self._where} sent nothing for {self._timeouts.first_byte:g} s")
            case aiohttp.ClientConnectorError():
                return Unreachable(f"{self._where} cannot be reached: {one_line(str(error.os_error), self._secrets)}")
            case aiohttp.ClientPayloadError() | ConnectionError() | aiohttp.ServerDisconnectedError():
                return Unreachable(f"{self._where} broke the connection{' in mid-reply' if began else ''}")
            case aiohttp.ClientError() | OSError():
                return Unreachable(f"{self._where}: {one_line(str(error), self._secrets) or type(error).__name__}")
            case msgspec.MsgspecError() | ValueError() | RecursionError():
                return Malformed(f"{self._where} sent what is not JSON as expected: {one_line(str(error))}")
            case _:
                return error


async def _some(response: aiohttp.ClientResponse, at_most: int) -> bytes:
    """The body, as far as anyone would read it."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > at_most:
            break
    return bytes(content)


async def _linger(response: aiohttp.ClientResponse) -> None:
    """Waits for the end of a response that has said everything; whatever goes wrong now is of no account."""
    import aiohttp

    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(LINGER):
            async for _ in response.content.iter_any():
                pass
