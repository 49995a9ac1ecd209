"""How a run is going, on stderr: a moving line on a terminal, whole lines elsewhere."""

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
from scale_reasoning.report.intervals import Estimate, estimate_share
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
        self._pending: set[tuple[int, str, int]] = set()
        self._sums: Counter[str] = Counter()
        self._scores: dict[tuple[str, str], list[bool]] = {}
        for cell in range(len(store.manifest.cells)):
            for outcome in store.outcomes(cell):
                self._score(cell, outcome)
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
        self._pending.discard(attempt)
        if outcome.pending:
            self._pending.add(attempt)
        else:
            self._done += 1
        self._score(cell, outcome)
        usage = outcome.usage
        self._sums.update(
            ended=1,
            uncounted=int(usage.completion_tokens is None),
            tokens=usage.completion_tokens or 0,
            prompt=(usage.prompt_tokens or 0) if usage.cached_tokens is not None else 0,
            cached=usage.cached_tokens or 0,
        )
        now = time.monotonic()
        if not self._moving and now - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = now
            self._console.print(self._line())

    def _score(self, cell: int, outcome: Outcome) -> None:
        """Counts an attempt that is final, of this process or of one before it."""
        if outcome.pending:
            return
        self._sums["failed"] += outcome.failure is not None
        if outcome.correct is not None:
            dataset = self._store.manifest.cells[cell].dataset.name
            self._scores.setdefault((dataset, outcome.problem_id), []).append(outcome.correct)

    def end(self, *, again: str, after: str, stopped: bool = False) -> int:
        """Prints totals and the next command; 1 when attempts are pending. `stopped`: a goal was reached."""
        pending, folder = self.planned - len(self._store.done()), self._store.folder
        paid = self._store.paid()
        tokens = f"{paid.tokens:,} new tokens"
        if paid.uncounted:
            missing = f"{paid.uncounted:,} of {paid.calls:,} calls uncounted, {paid.tokens:,} in the others"
            tokens = f"new tokens unknown ({missing})"
        self._console.print(Text(f"{paid.calls:,} calls paid for, {tokens}, in {folder}", style="dim"))
        if pending and not stopped:
            self._console.print(Text(f"{pending} attempts are pending: {again}", style="red"))
            return 1
        self._console.print(Text(f"next: {after}", style="dim"))
        return 0

    def _accuracy(self) -> Estimate | None:
        """The mean of problems' means over all cells, with the interval of the report."""
        return estimate_share([sum(scores) / len(scores) for scores in self._scores.values()])

    def _line(self) -> Text:
        sums, seconds = self._sums, max(time.monotonic() - self._started, 1e-9)
        parts = [
            f"{self._done:,}/{self.planned:,} attempts",
            f"{sums['failed']} failed",
            f"{len(self._pending)} pending",
        ]
        if (found := self._accuracy()) and found.low is not None and found.high is not None:
            parts.append(f"acc {found.value:.1%} [{found.low:.1%}, {found.high:.1%}] so far")
        missing = f"tokens/s unknown ({sums['uncounted']:,} of {sums['ended']:,} attempts uncounted)"
        parts.append(missing if sums["uncounted"] else f"{sums['tokens'] / seconds:,.0f} tokens/s")
        if self._in_flight:
            parts.append(f"{self._in_flight} calls in flight")
        if sums["prompt"]:
            parts.append(f"{sums['cached'] / sums['prompt']:.0%} of prompts cached")
        if sums["ended"] and self._done < self.planned:
            parts.append(f"about {seconds / sums['ended'] * (self.planned - self._done) / 60:.0f} min left")
        return Text(", ".join(parts))
