"""Requests for other paths of the protocol (embeddings, completions, responses, audio, files): what is passed on.

Decides which paths there are, and what must be known of a body first. Does not know servers or headers.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.budget import LIMITED, holds_budget
from scale_reasoning.web.proxy.names import parse
from scale_reasoning.web.proxy.refusals import Refusal

ROOT = "/v1"

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Decode: TypeAlias = Callable[[bytes], Awaitable[dict[str, JSON]]]

_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@=+,-]{1,200}){1,10}")
"""Segments without escapes: what two servers could read as different paths is not passed on."""

_QUERY = re.compile(r"(?:\?[A-Za-z0-9._~%&=+,:;@/?\[\]-]{0,2000})?")


class _Named(msgspec.Struct):
    model: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request that is passed on. `path` is below the server's base URL, `query` begins with `?` if there is one.

    `said` is the content, decoded, where its limit of new tokens is to be known.
    """

    path: str
    query: str = ""
    method: str = "POST"
    content: bytes | None = None
    said: Mapping[str, JSON] | None = None


def read_target(request: web.Request) -> Sent:
    """Path and query of a request, without its content. Raises Refusal (400) for a path that is not passed on."""
    path, mark, query = request.raw_path.removeprefix(ROOT).partition("?")
    if not request.raw_path.startswith(f"{ROOT}/") or not _PATH.fullmatch(path):
        raise Refusal(400, "invalid_path", "the path must be /v1/… of letters, digits and ._~:@=+,- without escapes, "
                      "empty parts, . and ..")  # fmt: skip
    if not _QUERY.fullmatch(mark + query):
        raise Refusal(400, "invalid_path", "the path's query has characters that must be escaped, or is too long")
    if "websocket" in request.headers.get("upgrade", "").lower():
        raise Refusal(501, "not_supported", "WebSockets are not passed on")
    return Sent(path=path, query=mark + query, method=request.method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Reads what is passed on for the model `served`. lenient: a strategy's name stands for the plain model.

    token_budget: whether the server limits the new tokens of a request.
    """

    served: str
    tuned: bool
    lenient: bool
    token_budget: bool

    def check(self, target: Sent) -> None:
        """Raises Refusal (403) for a path on which the token budget cannot be held."""
        if self.token_budget and not holds_budget(target.method, target.path):
            raise Refusal(403, "token_budget_not_held", f"this server limits the new tokens of a request "
                          f"(--token-budget), which it cannot do at {ROOT}{target.path}")  # fmt: skip

    async def read(self, target: Sent, content: bytes, *, is_json: bool, decode: Decode) -> tuple[Sent, str | None]:
        """The request with its content, and the strategy in whose place the plain model answers, None without one.

        Raises Refusal for JSON that is none, and for a strategy, which answers chats only.
        """
        strict = target.method == "POST" and target.path in LIMITED
        if strict and not is_json:
            raise Refusal(415, "unsupported_media_type", "the body must be sent as content-type: application/json")
        if not is_json or not (content or strict):
            return _with(target, content or None), None
        said = await decode(content) if strict else None
        strategy = self._find_strategy(_find_model(content) if said is None else said.get("model"))
        if strategy is None:
            return _with(target, content, said), None
        if not self.lenient:
            raise Refusal(400, "unsupported_path", f"{self.served}@{strategy} answers at {ROOT}/chat/completions; use "
                          "the plain model's name here", "model")  # fmt: skip
        plain = {**(said or await decode(content)), "model": self.served}
        return _with(target, msgspec.json.encode(plain), plain if strict else None), strategy

    def _find_strategy(self, model: object) -> str | None:
        return parse(model, self.served, tuned=self.tuned).strategy if isinstance(model, str) else None


def _with(target: Sent, content: bytes | None, said: Mapping[str, JSON] | None = None) -> Sent:
    return Sent(path=target.path, query=target.query, method=target.method, content=content, said=said)


def _find_model(content: bytes) -> object:
    """The model that a body names. Raises Refusal (400) for a body that is no JSON object."""
    try:
        return msgspec.json.decode(content, type=_Named).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not a valid JSON object: {error}") from None
