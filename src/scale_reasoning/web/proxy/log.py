"""The lines that a server writes about requests and errors.

Decides what a line shows, that it is one line, and how often similar lines are written, so that no client can fill a
disk. Does not know where lines go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

LONGEST_NAME = 100
"""Characters of a model's name that are shown."""

MOST_LINES, SECONDS, MOST_KINDS = 20, 10.0, 1000
"""Lines per kind of failure, the seconds that they are counted for, and the number of kinds."""

_faults = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    since: float
    count: int = 0


@dataclass(frozen=True, slots=True)
class Log:
    """Writes lines with `say`; of similar failures only the first few."""

    say: Callable[[str], None]
    _seen: dict[tuple[object, ...], _Seen] = field(default_factory=dict[tuple[object, ...], _Seen], init=False)

    def line(self, text: str) -> None:
        """Writes a line."""
        self.say(text)

    def failure(self, text: str, *kind: object) -> None:
        """Writes a line about a failure of this kind, unless there were too many recently; those are counted."""
        if self._may_write(kind, MOST_LINES, SECONDS):
            self.say(text)

    def fault(self, error: BaseException) -> None:
        """Writes an error of this server with its traceback, once per minute and line of code."""
        place, frame = "", error.__traceback__
        while frame is not None:
            place, frame = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}", frame.tb_next
        if self._may_write((type(error).__name__, place), 1, 60.0):
            _faults.error("an error of this server", exc_info=error)

    @contextmanager
    def of_loop(self) -> Generator[None]:
        """Limits the event loop's messages (for example, no file left for a connection) to one per minute and kind."""
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()

        def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if self._may_write((context.get("message"), type(context.get("exception")).__name__), 1, 60.0):
                (before or type(loop).default_exception_handler)(loop, context)

        loop.set_exception_handler(complain)
        try:
            yield
        finally:
            loop.set_exception_handler(before)

    def _may_write(self, kind: tuple[object, ...], most: int, seconds: float) -> bool:
        """Whether a line of this kind is written. Says how many were not, once their time is over."""
        now = time.monotonic()
        seen = self._seen.get(kind)
        if seen is None or now >= seen.since + seconds:
            if seen is not None and seen.count > most:
                self.say(f"{timestamp()} {seen.count - most:,} more lines like the next one were not written")
            if len(self._seen) >= MOST_KINDS:
                self._seen.clear()
            seen = self._seen[kind] = _Seen(now)
        seen.count += 1
        return seen.count <= most


def timestamp() -> str:
    """The time at the beginning of a line."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable_word(name: str) -> str:
    """A text of a client as one word of printable characters."""
    word = "".join(c if "!" <= c <= "~" and c != "\\" else f"\\u{ord(c):04x}" for c in name[:LONGEST_NAME])
    return f"{word}…" if len(name) > LONGEST_NAME else word or "-"
