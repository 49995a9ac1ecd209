"""How a run is going, on stderr: a moving line on a terminal, whole lines elsewhere; and what a run would cost."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from scale_reasoning.events import Event, Finished, Started
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Hears outcomes and shows where the run stands. A context manager; `end` sums up and gives the exit code."""

    def __init__(self, store: Store) -> None:
        self._store, self._started, self._shown = store, time.monotonic(), 0.0
        self._console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
        self.planned = store.planned
        self._done = len(store.done())
        self._owed: set[tuple[int, str, int]] = set()
        self._sums: Counter[str] = Counter()
        self._in_flight = 0
        self._live = Live(console=self._console, transient=True, get_renderable=self._line) if self._moving else None

    @property
    def _moving(self) -> bool:
        return self._console.is_terminal

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)
        self._console.print(self._line())

    def hear(self, event: Event) -> None:
        """One call began or ended."""
        if isinstance(event, Started):
            self._in_flight += 1
        elif isinstance(event, Finished):
            self._in_flight -= 1

    def heard(self, cell: int, outcome: Outcome) -> None:
        """One attempt ended."""
        attempt = (cell, outcome.problem_id, outcome.sample)
        self._owed.discard(attempt)
        if outcome.owed:
            self._owed.add(attempt)
        else:
            self._done += 1
        usage = outcome.usage
        self._sums.update(
            ended=1,
            failed=int(not outcome.owed and outcome.failure is not None),
            graded=int(outcome.correct is not None),
            correct=int(outcome.correct is True),
            tokens=usage.completion_tokens or 0,
            prompt=(usage.prompt_tokens or 0) if usage.cached_tokens is not None else 0,
            cached=usage.cached_tokens or 0,
        )
        now = time.monotonic()
        if not self._moving and now - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = now
            self._console.print(self._line())

    def end(self, *, again: str, after: str, stopped: bool = False) -> int:
        """What the run came to, and what comes next; 1 when attempts are owed. `stopped` says that enough were made."""
        owed, folder = self.planned - len(self._store.done()), self._store.folder
        calls, tokens = self._store.paid()
        self._console.print(Text(f"{calls:,} calls paid for, {tokens:,} new tokens, in {folder}", style="dim"))
        if owed and not stopped:
            self._console.print(Text(f"{owed} attempts are owed: {again}", style="red"))
            return 1
        self._console.print(Text(f"next: {after}", style="dim"))
        return 0

    def _line(self) -> Text:
        sums, seconds = self._sums, max(time.monotonic() - self._started, 1e-9)
        parts = [f"{self._done:,}/{self.planned:,} attempts", f"{sums['failed']} failed", f"{len(self._owed)} owed"]
        if graded := sums["graded"]:
            share = sums["correct"] / graded
            parts.append(f"acc {share:.1%} ± {1.96 * (share * (1 - share) / graded) ** 0.5:.1%} so far")
        parts.append(f"{sums['tokens'] / seconds:,.0f} tokens/s")
        if self._in_flight:
            parts.append(f"{self._in_flight} calls in flight")
        if sums["prompt"]:
            parts.append(f"{sums['cached'] / sums['prompt']:.0%} of prompts cached")
        if sums["ended"] and self._done < self.planned:
            parts.append(f"about {seconds / sums['ended'] * (self.planned - self._done) / 60:.0f} min left")
        return Text(", ".join(parts))
