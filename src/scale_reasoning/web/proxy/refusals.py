"""Errors as a client of OpenAI's protocol expects them: a status, and an `error` object with a code.

Decides the status of each error of errors.py. Does not know how a response is sent.
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec

from scale_reasoning.errors import (
    ContextOverflow,
    EngineError,
    Malformed,
    Overloaded,
    Rejected,
    ScaleError,
    TimedOut,
)
from scale_reasoning.types import JSON, Blame, Failure

LONGEST_MESSAGE, LONGEST_PARAM = 2000, 100
"""Characters that are quoted of a client's text."""

LONGEST_WAIT = 86_400.0
"""Seconds: a longer Retry-After of a model server is not passed on."""

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
KEY_REFUSED = (401, 403, 407)
"""Statuses by which a model server refuses this server's own key, which no client can correct."""


class OverBudget(ScaleError):
    """A request's calls wrote more tokens than its budget."""

    kind: ClassVar[str] = "token_budget_exceeded"
    blame: ClassVar[Blame] = "user"


class Refusal(Exception):
    """A response that is an error. `retry_after` is in seconds; `param` is the wrong field of the request."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(status, code, message, param)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, JSON]:
        """The error as OpenAI's protocol has it."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        message = self.message if len(self.message) <= LONGEST_MESSAGE else f"{self.message[:LONGEST_MESSAGE]}…"
        param = None if self.param is None else self.param[:LONGEST_PARAM]
        return {"error": {"message": message, "type": kind, "param": param, "code": self.code}}

    @property
    def content(self) -> bytes:
        """The body of the response."""
        return msgspec.json.encode(self.body)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        headers = {"content-type": "application/json"}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.retry_after is not None and not math.isnan(self.retry_after):
            headers["retry-after"] = str(math.ceil(min(max(self.retry_after, 0.0), LONGEST_WAIT)))
        return headers


UNSUPPORTED = "unsupported_value"
"""The code for what a strategy cannot read, and a plain model might."""


def invalid(param: str, message: str, code: str = "invalid_value") -> Refusal:
    """A 400 for one field of the request."""
    return Refusal(400, code, f"{param}: {message}", param)


def unsupported(param: str, why: str) -> Refusal:
    """A 400 for a field that a strategy model does not support."""
    return invalid(param, f"not supported by strategy models ({why}); use the plain model name instead",
                   "unsupported_parameter")  # fmt: skip


def refusal_of(error: EngineError) -> Refusal:
    """The response to a failure of the model server."""
    match error:
        case ContextOverflow():
            return Refusal(400, "context_length_exceeded", str(error), "messages")
        case Overloaded():
            limited = error.status is not None and error.status < 500
            code = "rate_limit_exceeded" if limited else "upstream_overloaded"
            return Refusal(429 if limited else 503, code, str(error), retry_after=error.retry_after)
        case Rejected() if error.status in KEY_REFUSED:
            return Refusal(502, "upstream_rejected", f"the operator's upstream key was refused: {error}")
        case Rejected() if 400 <= error.status < 500:
            return Refusal(error.status, "upstream_rejected", str(error))
        case TimedOut():
            return Refusal(504, "upstream_timeout", str(error))
        case Malformed():
            return Refusal(502, "upstream_malformed", str(error))
        case _:
            return Refusal(502, f"upstream_{error.kind}", str(error))


def refusal_for(failure: Failure, errors: dict[str, EngineError]) -> Refusal:
    """The response to an attempt without a solution; `errors` has the server's last failures by kind."""
    error = errors.get(failure.kind)
    if error is not None:
        return refusal_of(error)
    if failure.blame == "user":
        return Refusal(400, failure.kind, failure.message)
    return Refusal(502, f"{failure.blame}_{failure.kind}", failure.message)
