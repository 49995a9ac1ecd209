"""The viewer's server: it answers an address with a page, and only reads.

Decides which Host headers it answers, what a page may do (the Content-Security-Policy) and that an unchanged page is
not sent again. Pages are made in threads, because they read files.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from scale_reasoning.errors import ConfigError, ScaleError
from scale_reasoning.printable import printable
from scale_reasoning.web.viewer.rendering import POLICY
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.site import NotFound, Site

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
log = logging.getLogger(__name__)
_silent = logging.getLogger(f"{__name__}.http")
"""Gets a traceback per request that is not HTTP; in the log, any client could fill the terminal with them."""
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_application(shelf: Shelf, *, host: str) -> web.Application:
    """Makes the server for `host`; it refuses requests to other hosts."""
    site = Site(shelf, live=True)

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            body, kind = await asyncio.to_thread(site.make_page, request.match_info["name"], request.query)
            status = 200
        except NotFound as missing:
            body, kind, status = site.pages.make_error(str(missing)), "text/html", 404
        except ScaleError as error:
            body, kind, status = site.pages.make_error(str(error)), "text/html", 500
        except Exception as error:
            log.exception("a page could not be made")
            reason = f"This page could not be made ({type(error).__name__}); the run may be damaged."
            body, kind, status = site.pages.make_error(reason), "text/html", 500
        body = printable(body)
        tag = hashlib.sha256(body.encode()).hexdigest()[:32]
        if status == 200 and request.headers.get("If-None-Match") == f'"{tag}"':
            return web.Response(status=304, headers={"ETag": f'"{tag}"'})
        return web.Response(text=body, content_type=kind, charset="utf-8", status=status, headers={"ETag": f'"{tag}"'})

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_host(request.headers.get("Host", ""), host):
            refusal = "This server does not answer to this name: open the address that `scale view` printed.\n"
            return web.Response(status=421, text=refusal, headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.reason}\n", headers=_copy_allow(error))
        response.headers.update(HEADERS)
        return response

    app = web.Application(middlewares=[guard], client_max_size=0)
    app.router.add_get("/{name:[^/]*}", answer)
    return app


def _copy_allow(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def is_own_host(header: str, host: str) -> bool:
    """Whether a Host header names this server, and not another name that points to it (DNS rebinding).

    A server bound to one address has this address, or localhost for loopback. A server bound to all addresses has any
    bare address and this machine's own name.
    """
    named = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@]+)(?::\d{1,5})?", header)
    if named is None:
        return False
    asked = named[1].strip("[]").lower()
    if asked == host.lower():
        return True
    bound, given = _parse_address(host), _parse_address(asked)
    if bound is None or bound.is_loopback:
        return (host == "localhost" or bound is not None) and (
            asked == "localhost" or (given is not None and given.is_loopback)
        )
    if not bound.is_unspecified:
        return False
    return given is not None or asked in ("localhost", socket.gethostname().lower())


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@asynccontextmanager
async def serving(shelf: Shelf, *, host: str, port: int) -> AsyncGenerator[str]:
    """Runs the server and yields its address; port 0 is a free one. Raises ConfigError if it cannot be bound."""
    shelf.read_ahead()
    runner = web.AppRunner(make_application(shelf, host=host), access_log=None, logger=_silent, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"--host {host} --port {port}: {error}; name another --port, or 0 for a free one"
            ) from error
        bound, number = runner.addresses[0][:2]
        yield f"http://{f'[{bound}]' if ':' in bound else bound}:{number}/"
    finally:
        await runner.cleanup()
        await asyncio.to_thread(shelf.close)
