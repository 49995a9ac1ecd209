"""Any OpenAI-compatible `/chat/completions`, always streamed, so that a silent server differs from a long thought.

Makes a body of a Request and a Completion of a stream. Connections and their failures are http.py's; retries and limits
are engines of their own (policy.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import msgspec

from scale_reasoning.engines import chunks, listing
from scale_reasoning.engines.adapting import Adaptations, Trial
from scale_reasoning.engines.changes import Body, apply_changes
from scale_reasoning.engines.http import Client, Timeouts, read_rest, read_some
from scale_reasoning.engines.overflow import correct_window
from scale_reasoning.engines.policy import Listener
from scale_reasoning.engines.reply import Dialect, Reply
from scale_reasoning.engines.thought_room import ThoughtRoom
from scale_reasoning.errors import ContextOverflow, EngineError, Rejected
from scale_reasoning.types import JSON, Completion, Mode, OnDelta, Request

if TYPE_CHECKING:
    import aiohttp

LARGEST_BODY = 4 * 2**20
"""Bytes that are read of a JSON body."""

LARGEST_REFUSAL = 100_000
"""Bytes that are read of a refusal."""

SLICE = 4096
"""Bytes of a reply that are read without a pause. No model writes more between two reads of its stream."""

T = TypeVar("T")


class OpenAI:
    """An engine over one base URL (`http://host:8000/v1`). Close it, or use it as an async context manager.

    A subclass for another protocol changes what is sent (`_body`, `_encode`) and how replies are read (`_dialect`).
    """

    _path: ClassVar[str] = "/chat/completions"

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        say: Callable[[str], None] = lambda _: None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connects nothing yet. Raises ConfigError for a `base_url` that is no http(s) URL, or an impossible key.

        `say` is called once for each thing that the server refuses, and for each way in which a thought gets less room
        than it was to have. `headers`: see Client.
        """
        self._client = Client(base_url, api_key=api_key, timeouts=timeouts, headers=headers)
        self.base_url = self._client.base_url
        self.adaptations = Adaptations(self._client.where, say)
        self._room = ThoughtRoom(self._client.where, say)
        self.reasoning_is_apart = False
        """Whether the server was seen to count reasoning in addition to the completion tokens."""
        self.rest = 0.0
        """Seconds of rest after each second that reading large chunks took, of all replies together."""
        self._turn = asyncio.Lock()
        self._deadlines: set[asyncio.Timeout] = set()
        self._names: Mapping[str, JSON] | None = None
        self._listing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; generations in flight end with Unreachable, later ones raise RuntimeError."""
        self._client.closed = True
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(0)
        await self._client.close()

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. What the server refuses in a request is changed, in this request and all later ones."""
        trial, listener = Trial(self.adaptations, request), Listener(on_delta)
        while True:
            body = trial.adapt(self._body(request))
            try:
                completion = await self._post(request, body, listener.on_delta)
            except ContextOverflow as error:
                raise correct_window(error, request.max_tokens) from None
            except EngineError as error:
                if not trial.find_change(error, body):
                    raise await self._with_names(error, request.model) from None
                listener.restart()
            else:
                trial.keep_changes()
                return completion

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path below the base URL: GET, or POST when there is a body. For probes, not for generating."""
        client, data = self._client, None if body is None else msgspec.json.encode(body)
        try:
            async with asyncio.timeout(client.timeouts.first_byte), await client.send(path, data) as response:
                content = await read_some(response, LARGEST_BODY)
                if response.status != 200:
                    raise client.refusal(response, content)
                return msgspec.json.decode(content)
        except Exception as error:  # noqa: BLE001  every failure of the client becomes one of ours
            raise client.engine_error(error) from None

    def adapt(self, body: Body, mode: Mode) -> Body:
        """A body for `fetch`, without what the server is known to refuse."""
        return apply_changes(body, self.adaptations.changes_for(body["model"], mode))

    def _body(self, request: Request) -> Body:
        sampling = request.sampling
        body: Body = {
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
        if request.logprobs is not None:
            # Without a number llama.cpp gives 20 alternatives, with 0 nothing at all; others give none without one.
            body |= {"logprobs": True, "top_logprobs": request.logprobs or None}
        if request.schema is not None:
            schema = {"name": request.schema.name, "strict": True, "schema": request.schema.body}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return {**{key: value for key, value in body.items() if value is not None}, **request.extras}

    def _encode(self, body: Body) -> bytes:
        """The body as it is sent, after all changes for a strict server."""
        return msgspec.json.encode(self._room.fit(body))

    def _dialect(self) -> Dialect:
        """The reader of one reply."""
        return chunks

    async def _post(self, request: Request, body: Body, on_delta: OnDelta | None) -> Completion:
        client = self._client
        reply = Reply(
            on_delta,
            inside=request.starts_thinking,
            think=request.think,
            logprobs=request.logprobs,
            where=client.where,
            secrets=client.secrets,
            dialect=self._dialect(),
        )
        deadline = asyncio.timeout(client.timeouts.first_byte)
        self._deadlines.add(deadline)
        try:
            async with deadline, await client.send(self._path, self._encode(body)) as response:
                if response.status != 200:
                    raise client.refusal(response, await read_some(response, LARGEST_REFUSAL))
                await self._read(response, reply, deadline)
                end = partial(reply.completion, content_type=response.content_type)
                completion = await self._work_with_rests(end) if reply.whole else end()
                self.reasoning_is_apart |= reply.reasoning_is_apart
                return completion
        except Exception as error:
            if error is reply.listener_error:
                raise
            raise client.engine_error(error, began=reply.began) from None
        finally:
            self._deadlines.discard(deadline)

    async def _read(self, response: aiohttp.ClientResponse, reply: Reply, deadline: asyncio.Timeout) -> None:
        """Reads a reply to its end, then the rest of the response, so that the connection can be used again."""
        client, silence = self._client, self._client.timeouts.silence
        now, moved = asyncio.get_running_loop().time, 0.0
        async for chunk in response.content.iter_any():
            if len(chunk) <= SLICE:
                reply.feed(chunk)
            else:
                await self._read_slices(chunk, reply)
            if reply.done:
                break
            # Moving a timer costs more than reading a piece; ten times per silence is precise enough.
            if client.closed or now() > moved + silence / 10:
                moved = now()
                deadline.reschedule(0 if client.closed else moved + silence)
        if not response.content.at_eof():
            deadline.reschedule(None)
            await read_rest(response)

    async def _read_slices(self, chunk: bytes, reply: Reply) -> None:
        """Reads a large chunk in slices: a server that sends faster than any model must not block the event loop."""
        for at in range(0, len(chunk), SLICE):
            await self._work_with_rests(partial(reply.feed, chunk[at : at + SLICE]))
            if reply.done:
                return

    async def _work_with_rests(self, work: Callable[[], T]) -> T:
        """Does work that may take long, then rests in proportion; with rests, one reply works at a time."""
        now = asyncio.get_running_loop().time
        async with self._turn if self.rest else contextlib.nullcontext():
            began = now()
            try:
                return work()
            finally:
                await asyncio.sleep((now() - began) * self.rest)

    async def _with_names(self, error: EngineError, model: str) -> EngineError:
        """The error; where it refuses an unknown model, with the names of those that the server has."""
        if not isinstance(error, Rejected) or not listing.is_unknown_model(error):
            return error
        async with self._listing:
            if self._names is None:
                try:
                    async with asyncio.timeout(listing.LISTING_SECONDS):
                        self._names = listing.read_list(await self.fetch("/models")) or {}
                except (EngineError, TimeoutError):
                    self._names = {}
        if not self._names or model in self._names:
            return error
        close = listing.similar_names(model, self._names)
        explained = Rejected(f"{error}; the server has {listing.show_names(close or self._names)}", error.status)
        explained.said = error.said
        return explained
