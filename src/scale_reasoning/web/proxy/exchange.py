"""One HTTP request and its answer, over ASGI: bodies with a bound, writes that end, and clients that go away.

Decides how an error is told before and after the first byte. Knows nothing of what is asked or answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from typing import Any, TypeAlias

from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.wire import event

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STALLED = 60.0
"""Seconds: a client that takes longer to send its body, or to read what it is sent, is gone."""

EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}
"""Headers of a stream: no proxy on the way may hold it back."""


class Gone(Exception):
    """The client went away: nobody is left to answer."""


class Exchange:
    """A request and its answer: `status` is None before the first byte, `kind` is a word for the log."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method, self.path = str(scope["method"]), str(scope["path"])
        self.client = str((scope.get("client") or ("-",))[0])
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.kind = "other"
        self.status: int | None = None
        self._receive, self._send = receive, send
        self._streams = self._ended = False

    async def body(self, at_most: int) -> bytes:
        """The whole body. Raises Refusal (413) beyond `at_most` bytes, Gone when it does not come to its end."""
        length = self.headers.get("content-length", "")
        content = bytearray()
        try:
            async with asyncio.timeout(STALLED):
                while not length.isdecimal() or int(length) <= at_most:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    content += message.get("body", b"")
                    if len(content) > at_most:
                        break
                    if not message.get("more_body"):
                        return bytes(content)
        except TimeoutError:
            raise Refusal(408, "body_timeout", f"the body did not come within {STALLED:g} s") from None
        raise Refusal(413, "body_too_large", f"the body has over {at_most:,} bytes")

    async def while_there(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` once the body was read; raises Gone after it was cancelled because the client went away."""
        working, leaving = asyncio.create_task(work), asyncio.create_task(self._gone())
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and not self._ended:
                raise Gone
        finally:
            leaving.cancel()
            if not self._ended:
                working.cancel()
            await asyncio.wait((working, leaving))
            failed = None if working.cancelled() else working.exception()
        if failed is not None:
            raise failed

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Sends the head."""
        self.status = status
        self._streams = headers.get("content-type", "").startswith("text/event-stream")
        raw = [(name.lower().encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, content: bytes) -> None:
        """Sends some of the body. Raises Gone when the client does not read."""
        try:
            async with asyncio.timeout(STALLED):
                await self._send({"type": "http.response.body", "body": content, "more_body": True})
        except TimeoutError:
            raise Gone from None

    async def end(self) -> None:
        """Ends the answer."""
        self._ended = True
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        """Sends a whole answer."""
        await self.begin(status, {**headers, "content-length": str(len(content))})
        self._ended = True
        await self._send({"type": "http.response.body", "body": content, "more_body": False})

    async def refuse(self, refusal: Refusal) -> None:
        """Sends an error: as the status before the first byte, as the last event of a stream; else breaks off."""
        if self.status is None:
            await self.answer(refusal.status, refusal.content, refusal.headers)
        elif self._streams and not self._ended:
            await self.write(event(refusal.body))
            await self.end()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
