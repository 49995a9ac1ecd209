"""Any OpenAI-compatible `/chat/completions`, always streamed, so that silence is told from a long thought.

Turns a Request into a body and a stream into a Completion; every way this can fail becomes one of errors.py's.
The one door to the HTTP client. Knows nothing of retries or limits: those are engines of their own (policy.py).
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from scale_reasoning.engines.refusals import error_for, one_line, stream_error
from scale_reasoning.engines.sse import EventReader
from scale_reasoning.engines.think import ThinkSplitter
from scale_reasoning.errors import ConfigError, EngineError, Malformed, Rejected, Unreachable
from scale_reasoning.types import JSON, Completion, Delta, OnDelta, Request, Usage

if TYPE_CHECKING:
    import aiohttp

LARGEST_BODY = 64 * 2**20
"""Bytes of a reply; a larger one is cut off as malformed."""

OPTIONAL_KEYS = {
    "response_format": ("response_format", "json_schema", "schema", "grammar", "guided", "structured"),
    "stream_options": ("stream_options", "include_usage"),
}
"""Body keys that a server may do without, and the words by which its 400 blames them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. None bounds a whole generation: a thought of 30 minutes is legal, 2 minutes of silence in it are not."""

    connect: float = 10.0
    first_byte: float = 600.0
    silence: float = 120.0


class OpenAI:
    """An engine over one base URL (`http://host:8000/v1`). Close it, or use it as an async context manager."""

    def __init__(self, base_url: str, *, api_key: str | None = None, timeouts: Timeouts | None = None) -> None:
        """Raises ConfigError when `base_url` is not an http(s) URL. Nothing is connected yet."""
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"base URL {base_url!r}: must be like http://127.0.0.1:8000/v1")
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        self._where = parts.hostname + (f":{parts.port}" if parts.port else "")
        self._secrets = tuple(secret for secret in (api_key, parts.password) if secret)
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._timeouts = timeouts or Timeouts()
        self._refused: set[str] = set()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> OpenAI:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; generations in flight end with Unreachable."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. A server that refuses a schema is asked again without, now and from then on."""
        while True:
            without = frozenset(self._refused)
            try:
                return await self._post(self._body(request, without), on_delta, inside=request.starts_thinking)
            except Rejected as refusal:
                # What was blamed is left out from then on, so this comes round at most once a key.
                blamed = _blamed(refusal) - without
                if request.schema is None:
                    blamed.discard("response_format")
                if not blamed:
                    raise
                self._refused |= blamed

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path below the base URL: GET, or POST when there is a body. For probes, not for generating."""
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with (
                asyncio.timeout(self._timeouts.first_byte),
                self._client().request(
                    "GET" if data is None else "POST",
                    f"{self.base_url}{path}",
                    data=data,
                    headers=self._headers,
                    allow_redirects=False,
                ) as response,
            ):
                content = await response.read()
                if response.status != 200:
                    raise self._refusal(response, content)
                return msgspec.json.decode(content)
        except Exception as error:  # noqa: BLE001  every failure of the client becomes one of ours
            raise self._translated(error) from None

    def _body(self, request: Request, without: frozenset[str]) -> bytes:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": request.model,
            "messages": request.messages,
            "stream": True,
            "seed": request.seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            request.limit_key: request.max_tokens,
        }
        body = {key: value for key, value in body.items() if value is not None}
        if "stream_options" not in without:
            body["stream_options"] = {"include_usage": True}
        if request.schema is not None and "response_format" not in without:
            schema = {"name": request.schema.name, "strict": True, "schema": request.schema.body}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return msgspec.json.encode({**body, **request.extras})

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            proxied = any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
                trust_env=proxied,
                auto_decompress=True,
            )
        return self._session

    async def _post(self, body: bytes, on_delta: OnDelta | None, *, inside: bool) -> Completion:
        loop, reply = asyncio.get_running_loop(), _Reply(on_delta, inside=inside)
        try:
            async with (
                asyncio.timeout(self._timeouts.first_byte) as patience,
                self._client().post(
                    f"{self.base_url}/chat/completions", data=body, headers=self._headers, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise self._refusal(response, await response.content.read(LARGEST_BODY))
                whole = response.content_type == "application/json"
                async for chunk in response.content.iter_any():
                    patience.reschedule(loop.time() + self._timeouts.silence)
                    reply.chunk(chunk, whole=whole)
                    if reply.done:
                        break
                return reply.completion(whole=whole, what=response.content_type)
        except Exception as error:  # noqa: BLE001  every failure of the client becomes one of ours
            raise self._translated(error, began=reply.began) from None

    def _refusal(self, response: aiohttp.ClientResponse, content: bytes) -> EngineError:
        return error_for(
            response.status, content, where=self._where, retry_after=response.headers.get("retry-after"),
            location=response.headers.get("location"), secrets=self._secrets,
        )  # fmt: skip

    def _translated(self, error: Exception, *, began: bool = False) -> Exception:
        import aiohttp

        match error:
            case EngineError():
                return error
            case TimeoutError() if began:
                return Unreachable(f"{self._where} fell silent for {self._timeouts.silence:g} s in mid-reply")
            case aiohttp.ServerTimeoutError():
                return Unreachable(f"{self._where} did not accept a connection in {self._timeouts.connect:g} s")
            case TimeoutError():
                return Unreachable(f"{self._where} sent nothing for {self._timeouts.first_byte:g} s")
            case aiohttp.ClientConnectorError():
                return Unreachable(f"{self._where} cannot be reached: {one_line(str(error.os_error), self._secrets)}")
            case aiohttp.ClientPayloadError() | ConnectionError() | aiohttp.ServerDisconnectedError():
                return Unreachable(f"{self._where} broke the connection{' in mid-reply' if began else ''}")
            case aiohttp.ClientError() | OSError():
                return Unreachable(f"{self._where}: {one_line(str(error), self._secrets) or type(error).__name__}")
            case msgspec.MsgspecError() | ValueError():
                return Malformed(f"{self._where} sent what is not a chat completion: {one_line(str(error))}")
            case _:
                return error


def _blamed(refusal: Rejected) -> set[str]:
    """Which optional keys a 4xx names as its reason."""
    if refusal.status not in (400, 422, 501):
        return set()
    message = refusal.message.lower()
    return {key for key, words in OPTIONAL_KEYS.items() if any(word in message for word in words)}


class _Details(msgspec.Struct):
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    completion_tokens_details: _Details | None = None
    prompt_tokens_details: _Details | None = None

    def as_usage(self) -> Usage:
        out, read = self.completion_tokens_details or _Details(), self.prompt_tokens_details or _Details()
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            reasoning_tokens=self.reasoning_tokens if out.reasoning_tokens is None else out.reasoning_tokens,
            cached_tokens=self.prompt_cache_hit_tokens if read.cached_tokens is None else read.cached_tokens,
        )


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


_chunk = msgspec.json.Decoder(_Chunk).decode


class _Reply:
    """A completion while it comes in, from a stream of events or as one JSON body."""

    def __init__(self, on_delta: OnDelta | None, *, inside: bool) -> None:
        self.began = self.done = False
        self._on_delta = on_delta
        self._events, self._split = EventReader(), ThinkSplitter(inside=inside)
        self._body, self._size = bytearray(), 0
        self._apart: list[str] = []
        self._choices = False
        self._finish_reason: str | None = None
        self._usage, self._model = Usage(), None

    def chunk(self, chunk: bytes, *, whole: bool) -> None:
        self.began = True
        self._size += len(chunk)
        if self._size > LARGEST_BODY:
            raise Malformed(f"a reply of over {LARGEST_BODY} bytes")
        if whole:
            self._body += chunk
        else:
            for data in self._events.feed(chunk):
                self._event(data)

    def completion(self, *, whole: bool, what: str) -> Completion:
        for data in [bytes(self._body)] if whole else self._events.end():
            self._event(data)
        if not self._choices or (self._finish_reason is None and not self.done and not whole):
            raise Malformed(f"the reply ({what}) ended before it was complete")
        self._tell(self._split.end())
        text, reasoning = self._split.parts(cut_off=self._finish_reason == "length")
        return Completion(
            text=text,
            reasoning="".join(self._apart) + reasoning,
            finish_reason=self._finish_reason,
            usage=self._usage,
            model=self._model,
        )

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.done = True
            return
        chunk = _chunk(data)
        if chunk.error is not None:
            raise stream_error(chunk.error)
        if chunk.usage is not None:
            self._usage = chunk.usage.as_usage()
        self._model = chunk.model or self._model
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choices = True
                self._finish_reason = choice.finish_reason or self._finish_reason
                self._message(choice.delta or choice.message or _Message())

    def _message(self, message: _Message) -> None:
        if reasoning := message.reasoning or message.reasoning_content:
            self._split.served_apart()
            self._apart.append(reasoning)
            self._tell(Delta(reasoning=reasoning))
        if message.content:
            self._tell(self._split.feed(message.content))

    def _tell(self, delta: Delta | None) -> None:
        if delta is not None and self._on_delta is not None:
            self._on_delta(delta)
