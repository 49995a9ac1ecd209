"""Which headers pass between a client and the model server: none with a key, a cookie or a connection's own matters."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from scale_reasoning.engines.http import Client
from scale_reasoning.web.proxy.wire import ID

PASSED = (
    "accept", "user-agent", "x-request-id", "traceparent", "idempotency-key",
    "content-type", "openai-beta", "anthropic-version", "anthropic-beta",
)  # fmt: skip
"""Headers of a client that the model server sees: none that could carry a client's key."""

HIDDEN = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",  # of one connection only (RFC 9110, 7.6.1)
    "set-cookie", "www-authenticate", "server", "date", "alt-svc", "strict-transport-security",  # of another server
    "x-request-id",  # this server has its own
}  # fmt: skip
"""Headers of a model server that the client does not see."""

HIDDEN_KINDS = ("access-control-", "x-scale-")
"""How further headers begin that only this server sets: a model server that admits every page would admit it here."""


def request_headers(request: web.Request) -> dict[str, str]:
    """The headers that the model server sees."""
    headers = request.headers
    sent = {name: headers[name] for name in PASSED if name in headers and _is_passable(headers[name])}
    if request.content_type == "application/json":
        sent.pop("content-type", None)  # with the client's charset the server might read other keys than were checked
    elif request.body_exists:
        sent.setdefault("content-type", "application/octet-stream")  # what names no type is not passed on as JSON
    sent["x-request-id"] = request[ID]
    sent["accept-encoding"] = "identity"  # a compressed error could hide the key
    return sent


def response_headers(client: Client, response: aiohttp.ClientResponse, *without: str) -> dict[str, str]:
    """The headers that the client of the proxy sees."""
    of_connection = {name.strip().lower() for name in response.headers.get("connection", "").split(",")}
    hidden = HIDDEN | of_connection | set(without)
    return {
        name.lower(): value
        for name, value in response.headers.items()
        if name.lower() not in hidden
        and not name.lower().startswith(HIDDEN_KINDS)
        and _is_passable(value)
        and not any(secret in value for secret in client.secrets)
    }


def _is_passable(value: str) -> bool:
    """Whether a header's value can go out again: without control characters, or bytes that are no UTF-8."""
    return "".join(value.split("\t")).isprintable()
