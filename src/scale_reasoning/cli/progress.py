"""The progress of a run on stderr: a line that is redrawn on a terminal, a new line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from scale_reasoning.cli.tally import Tally
from scale_reasoning.events import Event, Finished, Started
from scale_reasoning.printable import count
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def redraw(console: Console, render: Callable[[], RenderableType]) -> Generator[None]:
    """On a terminal, keeps what `render` returns below the printed lines, up to date; nothing elsewhere."""
    if not console.is_terminal or console.quiet:
        yield
        return
    with Live(console=console, transient=True, refresh_per_second=8, get_renderable=render):
        yield


class Progress:
    """Shows where a run stands; `end` prints totals and gives the exit code."""

    def __init__(self, store: Store) -> None:
        self._store, self._tally, self._in_flight, self._printed_at = store, Tally(store), 0, 0.0
        self._console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

    @contextmanager
    def show(self) -> Generator[None]:
        """Shows the progress line until the end, and prints the last one."""
        try:
            with redraw(self._console, self._render):
                yield
        finally:
            self._console.print(self._render())

    def hear(self, event: Event) -> None:
        """Counts the calls in flight."""
        if isinstance(event, Started):
            self._in_flight += 1
        elif isinstance(event, Finished):
            self._in_flight -= 1

    def hear_outcome(self, cell: int, outcome: Outcome) -> None:
        """Counts an attempt that ended."""
        self._tally.count(cell, outcome)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed_at > SECONDS_BETWEEN_LINES:
            self._printed_at = now
            self._console.print(self._render())

    def end(self, *, again: str, after: str, stopped: bool = False, why: str = "") -> int:
        """Prints totals and the next command; 1 when attempts are pending. `stopped`: the run's goal was reached; `why`
        says why attempts are pending, where that is known.
        """
        pending, paid = self._tally.planned - len(self._store.done()), self._store.paid()
        tokens = f"{paid.tokens:,} new tokens"
        if paid.uncounted:
            missing = f"{paid.uncounted:,} of {paid.calls:,} calls uncounted, {paid.tokens:,} in the others"
            tokens = f"new tokens unknown ({missing})"
        taken = self._store.manifest.resolved.get("taken_calls", 0)
        by_others = f" ({taken:,} of them by other runs)" if taken else ""
        self._console.print(
            Text(f"{count(paid.calls, 'call')} paid for{by_others}, {tokens}, in {self._store.folder}", style="dim")
        )
        if pending and not stopped:
            because = f", because {why}" if why else ""
            are = "is" if pending == 1 else "are"
            self._console.print(Text(f"{count(pending, 'attempt')} {are} pending{because}: {again}", style="red"))
            return 1
        self._console.print(Text(f"next: {after}", style="dim"))
        return 0

    def _render(self) -> Text:
        return Text(self._tally.describe(self._in_flight))
