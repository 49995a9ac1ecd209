"""Which web pages may use this server: those of the origins that `--allow-origin` names, by default none.

Decides what a browser is told (CORS), and refuses what a page can send without asking. Does not know keys or hosts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp import web

from scale_reasoning.errors import ConfigError
from scale_reasoning.web.proxy.passing import METHODS
from scale_reasoning.web.proxy.refusals import Refusal

ANY = "*"
"""The origin that stands for all."""

EXPOSED = "x-request-id, x-scale-seed, x-scale-stopped, x-scale-lenient, retry-after"
"""Headers of a response that a page may read."""

KEPT_SECONDS = 600
"""How long a browser may keep the answer to a preflight request."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_HEADERS = re.compile(r"[A-Za-z0-9_, -]{1,2000}")


def check_origin(origin: str) -> None:
    """Raises ConfigError for what no browser sends as an origin."""
    if origin != ANY and not _ORIGIN.fullmatch(origin):
        raise ConfigError(
            f"--allow-origin {origin}: must be like https://chat.example.com or http://localhost:3000, in lower case "
            "and without a path, or * for every page"
        )


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins whose pages are admitted."""

    allowed: tuple[str, ...] = ()

    def allow(self, request: web.Request) -> str | None:
        """The origin as `access-control-allow-origin` has it; None if the request has none that is admitted."""
        origin = request.headers.get("origin")
        if origin is None or not self.allowed:
            return None
        if ANY in self.allowed:
            return ANY
        return origin if origin in self.allowed else None

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser that asks whether a page may send a request; None if the request is not that, or no
        page is admitted. It needs no key, because browsers send none with it.
        """
        if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
            return None
        if self.allow(request) is None:
            return None
        asked = request.headers.get("access-control-request-headers", "")
        headers = {
            "access-control-allow-methods": ", ".join(METHODS),
            "access-control-max-age": str(KEPT_SECONDS),
            "vary": "access-control-request-headers",
        }
        if _HEADERS.fullmatch(asked):
            headers["access-control-allow-headers"] = asked
        if request.headers.get("access-control-request-private-network") == "true":
            headers["access-control-allow-private-network"] = "true"
        return web.Response(status=204, headers=headers)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Adds to any response what lets the page read it."""
        if not self.allowed:
            return
        if ANY not in self.allowed:
            vary = response.headers.get("vary")
            response.headers["vary"] = f"{vary}, origin" if vary else "origin"
        if (origin := self.allow(request)) is not None:
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-expose-headers"] = EXPOSED

    def require(self, request: web.Request) -> None:
        """Raises Refusal (403) for a request that a page of another origin could have sent without asking.

        A browser asks before it sends JSON, so that is left to its question. It names the page's origin in every other
        request that could change something, and the kind of its site in the rest.
        """
        if request.content_type == "application/json" or self.allow(request) is not None:
            return
        site = request.headers.get("sec-fetch-site", "none")
        if "origin" in request.headers or site not in ("none", "same-origin"):
            raise Refusal(403, "origin_not_allowed", "pages of this origin may not use this server (--allow-origin)")
