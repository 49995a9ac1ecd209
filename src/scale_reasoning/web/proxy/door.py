"""The connections of clients: how many there may be, and how long each may take to send a request.

Decides which connection is closed when there are too many. Does not know keys, slots or the content of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice

from aiohttp import web

from scale_reasoning.web.proxy.refusals import Refusal

HEAD_SECONDS = 10.0
"""Time limit for a request's header, from the start of the connection or from the first byte of a later request."""

IDLE = 75.0
"""Seconds that an idle connection is kept: longer than clients keep theirs, so that none uses one just closed."""

LATE_AT_ONCE = 20
"""Late connections that are closed in one turn of the loop."""

AT_ONCE, BACKLOG = 100, 1024
"""Connections accepted in one turn of the loop, and connections that the system keeps until then."""

READ_AHEAD = 2**16
"""Bytes of a body that are read in advance."""

LINGER = 2.0
"""Seconds for which the rest of a refused body is read, so that the client reads the refusal."""

_SILENT = logging.Logger("silent", level=logging.CRITICAL + 1)
"""For aiohttp's messages about broken requests, which quote them, keys included."""


class Door:
    """Keeps at most `most` connections. A further one closes the one that has been without a request for longest.

    A connection is busy from the end of a request's header to the end of its response. Busy ones are not closed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: set[Connection] = set()
        self._heads: dict[Connection, float] = {}  # the deadline of each header, earliest first
        self._idle: dict[Connection, None] = {}  # between two requests, longest first

    def enter(self, connection: Connection) -> None:
        """Adds a connection. If there are too many, closes another one, or this one if all others are busy."""
        self._open.add(connection)
        self._heads[connection] = asyncio.get_running_loop().time() + HEAD_SECONDS
        if len(self._open) > self.most:
            self._close(next(iter(self._heads if len(self._heads) > 1 else self._idle), connection))

    def hear(self, connection: Connection) -> None:
        """Notes that bytes arrived; the first after a response begin a header."""
        if connection in self._idle:
            del self._idle[connection]
            self._heads[connection] = asyncio.get_running_loop().time() + HEAD_SECONDS

    def begin(self, connection: asyncio.BaseProtocol | None) -> None:
        """Notes that a request's header is complete."""
        if isinstance(connection, Connection):
            self._heads.pop(connection, None)
            self._idle.pop(connection, None)

    def end(self, connection: asyncio.BaseProtocol | None) -> None:
        """Notes that a response is complete."""
        if isinstance(connection, Connection) and connection in self._open:
            self._idle[connection] = None

    def leave(self, connection: Connection) -> None:
        """Removes a closed connection."""
        self._open.discard(connection)
        self._heads.pop(connection, None)
        self._idle.pop(connection, None)

    def close_late(self) -> bool:
        """Closes some of the connections whose header is late; returns whether there may be more."""
        now = asyncio.get_running_loop().time()
        first = list(islice(self._heads.items(), LATE_AT_ONCE))
        late = [connection for connection, deadline in first if deadline <= now]
        for connection in late:
            self._close(connection, Refusal(408, "head_timeout", f"no request arrived within {HEAD_SECONDS:g} s"))
        return len(late) == LATE_AT_ONCE

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[None]:
        """Closes late connections during the block."""

        async def watch() -> None:
            while True:
                more = self.close_late()
                await asyncio.sleep(0.02 if more else min(1.0, HEAD_SECONDS / 4))

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait((watching,))

    def _close(self, connection: Connection, refusal: Refusal | None = None) -> None:
        self.leave(connection)
        if (transport := connection.transport) is not None:
            if refusal is not None and connection.has_sent:
                head = f"HTTP/1.1 {refusal.status} Request Timeout\r\ncontent-type: application/json\r\n"
                length = f"content-length: {len(refusal.content)}\r\nconnection: close\r\n\r\n"
                transport.write(f"{head}{length}".encode() + refusal.content)
            transport.close()


class Connection(web.RequestHandler):
    """aiohttp's connection, which reports to the door and refuses what is not HTTP in OpenAI's shape."""

    def __init__(self, server: web.Server, door: Door) -> None:
        super().__init__(
            server, loop=asyncio.get_running_loop(), keepalive_timeout=IDLE, auto_decompress=False, logger=_SILENT,
            access_log=_SILENT, read_bufsize=READ_AHEAD, lingering_time=LINGER,
        )  # fmt: skip
        self._door = door
        self.has_sent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._door.enter(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if data:
            self.has_sent = True
            self._door.hear(self)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        self._door.leave(self)
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The response if aiohttp could not read a request, or failed itself."""
        self._door.begin(self)
        if request.writer.output_size > 0:
            raise ConnectionError("the response has already begun")
        if status < 500:
            refusal = Refusal(status, "invalid_http", "this is not a valid HTTP request")
        else:
            refusal = Refusal(status, "internal_error", "an error of this server")
        response = web.Response(status=status, body=refusal.content, headers=refusal.headers)
        response.force_close()
        return response


class Site(web.BaseSite):
    """A listening socket whose connections a door watches."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, door: Door) -> None:
        super().__init__(runner, backlog=AT_ONCE)
        self._where, self._door = (host, port), door

    @property
    def name(self) -> str:
        """See web.BaseSite."""
        return f"http://{self._where[0]}:{self._where[1]}"

    async def start(self) -> None:
        """See web.BaseSite. Raises OSError or OverflowError when the address cannot be bound."""
        await super().start()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the site's runner was not set up")
        listening = await asyncio.get_running_loop().create_server(
            lambda: Connection(server, self._door), *self._where, backlog=self._backlog
        )
        self._server = listening
        # asyncio accepts as many at once as the backlog allows, but the loop must not block for a thousand.
        for listener in listening.sockets:
            with contextlib.suppress(OSError), socket.socket(fileno=socket.dup(listener.fileno())) as same:
                same.listen(BACKLOG)
