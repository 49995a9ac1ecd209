"""The errors of this package, by who is to blame.

    ScaleError
      ConfigError          the user's: says which key, what was found and what to do
      EngineError          an infrastructure error: no completion came
        Unreachable          no connection, a reset
          TimedOut             a stall: no connection, no answer or no more of it in the time given
        Overloaded           429 or 5xx: `status` says which; `retry_after` seconds where the server said so
        Rejected             another 4xx: `status` says which
        Malformed            an answer that is not the protocol's (HTML, broken JSON, a stream cut short)
        ContextOverflow      the prompt does not fit the window: a model error
          WindowRefusal        the server says so, but the prompt fits: an infrastructure error
      StrategyError        a model error: the strategy cannot continue
        ParseError           replies that do not parse; carries them
      CapReached           the run's cap on tokens or money refuses a call: the attempt is pending
      GradeError           a grader could not do its work
      StoreError           a run's store could not be read or written

To add one: subclass the nearest parent, set `kind` (the word that records carry), set `blame` only where it differs
from the parent's, and keep it picklable (`args` must rebuild it). An infrastructure error leaves the attempt pending;
a model error is scored wrong and labelled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import ClassVar

from scale_reasoning.types import Blame


class ScaleError(Exception):
    """Any error this package raises on purpose. `path` is that of the call that failed, if any."""

    kind: ClassVar[str] = "error"
    blame: ClassVar[Blame] = "world"
    path: str | None = None


class ConfigError(ScaleError):
    """The user asked for something that cannot be done; the message names the key and the fix."""

    kind = "config"
    blame = "user"


class EngineError(ScaleError):
    """No completion came. `said` is the server's text in full: untrusted, for engines only."""

    kind = "engine"
    said: str = ""


class Unreachable(EngineError):
    """The server could not be reached, or stopped sending."""

    kind = "unreachable"


class TimedOut(Unreachable):
    """The server did not answer in time. Records call it unreachable too, because the remedy is the same."""


class Overloaded(EngineError):
    """The server is there but cannot serve now. `status` is None if it said so within a reply."""

    kind = "overloaded"

    def __init__(self, message: str, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message, retry_after, status)
        self.message = message
        self.retry_after = retry_after
        self.status = status

    def __str__(self) -> str:
        return self.message


class Rejected(EngineError):
    """The server refused the request; sending it again will not help."""

    kind = "rejected"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return self.message


class Malformed(EngineError):
    """The server answered, but not in the protocol."""

    kind = "malformed"


class ContextOverflow(EngineError):
    """Prompt and reply do not fit the model's window.

    `prompt_tokens` and `window` if the server names them; `at_least` if it names only a lower bound of the prompt's
    tokens.
    """

    kind = "context_overflow"
    blame = "model"

    def __init__(
        self,
        message: str,
        prompt_tokens: int | None = None,
        window: int | None = None,
        at_least: int | None = None,
    ) -> None:
        super().__init__(message, prompt_tokens, window, at_least)
        self.message = message
        self.prompt_tokens = prompt_tokens
        self.window = window
        self.at_least = at_least

    def __str__(self) -> str:
        return self.message


class WindowRefusal(ContextOverflow):
    """The server refuses the prompt as too long, but its own numbers or the prompt's text say that it fits."""

    kind = "window_refusal"
    blame = "world"


class StrategyError(ScaleError):
    """The strategy cannot continue with the model's reply."""

    kind = "strategy"
    blame = "model"


class ParseError(StrategyError):
    """None of the allowed tries gave a reply that parses."""

    kind = "parse"

    def __init__(self, message: str, replies: tuple[str, ...]) -> None:
        super().__init__(message, replies)
        self.message = message
        self.replies = replies

    def __str__(self) -> str:
        return self.message


class CapReached(ScaleError):
    """A call was not sent, because its run has reached its cap on tokens or money."""

    kind = "capped"


class GradeError(ScaleError):
    """A grader could not do its work (not: the answer is wrong)."""

    kind = "grade"


class StoreError(ScaleError):
    """A run's store could not be read or written."""

    kind = "store"


def refuse_unknown_keys(where: str, keys: Iterable[str], known: Collection[str]) -> None:
    """Raises `ConfigError` for the first key that is not known, and names those that are."""
    for key in keys:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(known))}")


def first_line(error: Exception) -> str:
    """The first line of a library's error; the name of its class where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
