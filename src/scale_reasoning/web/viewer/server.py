"""The viewer's server: an address to a page, and nothing else. Reads, never writes.

Decides who may ask (the Host header), what a page may do (the Content-Security-Policy) and that an unchanged page is
not sent again. Pages are made in threads, for they read files. The web server is aiohttp's, which the core has.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from scale_reasoning.errors import ConfigError, ScaleError
from scale_reasoning.printable import printable
from scale_reasoning.web.viewer.addresses import HOME, NAME, RUN, TRACE, Addresses
from scale_reasoning.web.viewer.grid import FILTERS, Filter
from scale_reasoning.web.viewer.pages import Pages, told
from scale_reasoning.web.viewer.rendering import FILES, POLICY, asset
from scale_reasoning.web.viewer.shelf import Shelf, Viewed

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
TABLE = re.compile(r"r(?P<run>\d{1,6})-c(?P<cell>\d{1,6})-whatif\.json")
HIGHEST = 10_000_000
log = logging.getLogger(__name__)
_silent = logging.getLogger(f"{__name__}.http")
"""Hears of what is not HTTP, with a traceback each: anybody could fill the terminal."""
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NotHere(Exception):
    """There is no such page; says what is not there."""


class Site:
    """A shelf's pages by address."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.pages = Pages(shelf, Addresses("live"))

    def page(self, name: str, query: Mapping[str, str]) -> tuple[str, str]:
        """The body and its type. Raises NotHere."""
        if name in ("", HOME):
            return self.pages.home(), "text/html"
        if name in FILES:
            return asset(name), FILES[name]
        if name == "compare.html":
            return self._compare(query), "text/html"
        if match := RUN.fullmatch(name):
            return self.pages.run(self._cell(match), _filter(query), _number(query, "page") or 1), "text/html"
        if match := TABLE.fullmatch(name):
            cell = self._cell(match)
            if cell.tau is None:
                raise NotHere("This strategy has no threshold.")
            cell.refresh()
            return msgspec.json.encode(told(cell.table())).decode(), "application/json"
        if match := TRACE.fullmatch(name):
            cell, place = self._cell(match), (int(match["problem"]), int(match["sample"]))
            _has(cell, *place)
            return (self.pages.calls if match["calls"] else self.pages.trace)(cell, place), "text/html"
        raise NotHere("There is no such page.")

    def _cell(self, match: re.Match[str] | None) -> Viewed:
        found = self.shelf.cell(int(match["run"]), int(match["cell"])) if match else None
        if found is None:
            raise NotHere("There is no such run.")
        return found

    def _compare(self, query: Mapping[str, str]) -> str:
        left, right = (self._cell(NAME.fullmatch(query.get(side, ""))) for side in ("left", "right"))
        position, here, there = (_number(query, key) or 0 for key in ("problem", "l", "r"))
        _has(left, position, here)
        if left.problems[position].id not in right.positions:
            raise NotHere("The other run does not have this problem.")
        _has(right, 0, there)
        return self.pages.compare(left, right, position, (here, there))


def _has(cell: Viewed, position: int, sample: int) -> None:
    if position >= len(cell.problems) or sample >= cell.manifest.samples:
        raise NotHere("The run has no such attempt.")


def _filter(query: Mapping[str, str]) -> Filter:
    show = query.get("show", "")
    return Filter(
        show=show if show in FILTERS else "", over=_number(query, "over"), words=query.get("words", "").strip()[:200]
    )


def _number(query: Mapping[str, str], key: str) -> int | None:
    text = query.get(key, "")
    return min(int(text), HIGHEST) if text.isascii() and text.isdecimal() and len(text) < 12 else None


def application(shelf: Shelf, *, host: str) -> web.Application:
    """The server, to be bound to `host`; a request that names another host is refused."""
    site = Site(shelf)

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            body, kind = await asyncio.to_thread(site.page, request.match_info["name"], request.query)
            status = 200
        except NotHere as missing:
            body, kind, status = site.pages.missing(str(missing)), "text/html", 404
        except ScaleError as error:
            body, kind, status = site.pages.missing(str(error)), "text/html", 500
        except Exception as error:
            log.exception("a page could not be made")
            reason = f"This page could not be made ({type(error).__name__}); the run may be damaged."
            body, kind, status = site.pages.missing(reason), "text/html", 500
        body = printable(body)
        tag = hashlib.sha256(body.encode()).hexdigest()[:32]
        if status == 200 and request.headers.get("If-None-Match") == f'"{tag}"':
            return web.Response(status=304, headers={"ETag": f'"{tag}"'})
        return web.Response(text=body, content_type=kind, charset="utf-8", status=status, headers={"ETag": f'"{tag}"'})

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not may_ask(request.headers.get("Host", ""), host):
            refusal = "This server does not answer to that name: open the address that `scale view` printed.\n"
            return web.Response(status=421, text=refusal, headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.reason}\n", headers=_allow(error))
        response.headers.update(HEADERS)
        return response

    app = web.Application(middlewares=[guarded], client_max_size=0)
    app.router.add_get("/{name:[^/]*}", answer)
    return app


def _allow(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def may_ask(header: str, host: str) -> bool:
    """Whether a Host header names this server, and not a name that somebody pointed at it (DNS rebinding).

    Bound to one address: that address, or localhost for loopback. Bound to all: any bare address, and this machine's
    own name.
    """
    named = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@]+)(?::\d{1,5})?", header)
    if named is None:
        return False
    asked = named[1].strip("[]").lower()
    if asked == host.lower():
        return True
    bound, given = _address(host), _address(asked)
    if bound is None or bound.is_loopback:
        return (host == "localhost" or bound is not None) and (
            asked == "localhost" or (given is not None and given.is_loopback)
        )
    if not bound.is_unspecified:
        return False
    return given is not None or asked in ("localhost", socket.gethostname().lower())


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@asynccontextmanager
async def serving(shelf: Shelf, *, host: str, port: int) -> AsyncGenerator[str]:
    """The address of the running server; port 0 takes a free one. Raises ConfigError where it cannot be bound."""
    shelf.read_ahead()
    runner = web.AppRunner(application(shelf, host=host), access_log=None, logger=_silent, shutdown_timeout=1)
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
