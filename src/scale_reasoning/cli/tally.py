"""Counts of a run's outcomes: attempts done, failed and pending, tokens, and the accuracy so far."""

from __future__ import annotations

import time
from collections import Counter

from scale_reasoning.printable import count
from scale_reasoning.report.intervals import Estimate, estimate_share
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store


class Tally:
    """Counts the outcomes of a run. Tokens and seconds are those of this process."""

    def __init__(self, store: Store) -> None:
        self._cells, self._started = store.manifest.cells, time.monotonic()
        self.planned, self.done, self.failed = store.planned, len(store.done()), 0
        self._sums: Counter[str] = Counter()
        self._pending: set[tuple[int, str, int]] = set()
        self._scores: dict[tuple[str, str], list[bool]] = {}
        for cell in range(len(self._cells)):
            for outcome in store.outcomes(cell):
                self._count_final(cell, outcome)

    def count(self, cell: int, outcome: Outcome) -> None:
        """Counts an attempt that ended now."""
        attempt = (cell, outcome.problem_id, outcome.sample)
        self._pending.discard(attempt)
        if outcome.pending:
            self._pending.add(attempt)
        else:
            self.done += 1
        self._count_final(cell, outcome)
        usage = outcome.usage
        self._sums.update(
            ended=1,
            uncounted=int(usage.completion_tokens is None),
            tokens=usage.completion_tokens or 0,
            prompt=(usage.prompt_tokens or 0) if usage.cached_tokens is not None else 0,
            cached=usage.cached_tokens or 0,
        )

    def _count_final(self, cell: int, outcome: Outcome) -> None:
        """Counts an attempt that is final, of this process or of an earlier one."""
        if outcome.pending:
            return
        self.failed += outcome.failure is not None
        if outcome.correct is not None:
            dataset = self._cells[cell].dataset.name
            self._scores.setdefault((dataset, outcome.problem_id), []).append(outcome.correct)

    def estimate_accuracy(self) -> Estimate | None:
        """The mean of the problems' means over all cells, with the interval that reports use."""
        return estimate_share([sum(scores) / len(scores) for scores in self._scores.values()])

    def describe(self, in_flight: int) -> str:
        """The counts in one line, with the number of calls in flight."""
        sums, seconds = self._sums, max(time.monotonic() - self._started, 1e-9)
        parts = [
            f"{self.done:,}/{self.planned:,} attempts",
            f"{self.failed} failed",
            f"{len(self._pending)} to try again",
        ]
        if (mean := self.estimate_accuracy()) and mean.low is not None and mean.high is not None:
            parts.append(f"acc {mean.value:.1%} [{mean.low:.1%}, {mean.high:.1%}] so far")
        missing = f"tokens/s unknown ({sums['uncounted']:,} of {sums['ended']:,} attempts uncounted)"
        parts.append(missing if sums["uncounted"] else f"{sums['tokens'] / seconds:,.0f} tokens/s")
        if in_flight:
            parts.append(f"{count(in_flight, 'call')} in flight")
        if sums["prompt"]:
            parts.append(f"{sums['cached'] / sums['prompt']:.0%} of prompts cached")
        if sums["ended"] and self.done < self.planned:
            minutes = seconds / sums["ended"] * (self.planned - self.done) / 60
            parts.append(f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left")
        return ", ".join(parts)
