"""Counters in Prometheus' text format. Labels are this project's words, never a client's."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from scale_reasoning.types import Mode, Usage

SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
"""Upper bounds of the latency histogram: from a pass-through to a long thought."""


class Metrics:
    """Counters since the start; `in_flight` is the number of requests at the moment."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests = Counter[tuple[str, int]]()
        self._tokens = Counter[tuple[str, str]]()
        self._seconds: dict[str, list[int]] = {}
        self._sums = Counter[str]()

    def count_request(self, kind: str, status: int, seconds: float) -> None:
        """Counts a request of this kind (a strategy's name, `passthrough`, ...) that has ended."""
        self._requests[kind, status] += 1
        self._seconds.setdefault(kind, [0] * (len(SECONDS) + 1))[bisect_left(SECONDS, seconds)] += 1
        self._sums[kind] += seconds  # pyright: ignore[reportArgumentType]

    def count_tokens(self, mode: Mode, usage: Usage) -> None:
        """Counts the tokens of a completed call; unknown counts are left out."""
        self._tokens[mode.value, "prompt"] += usage.prompt_tokens or 0
        self._tokens[mode.value, "completion"] += usage.completion_tokens or 0

    def text(self) -> str:
        """All counters in Prometheus' format."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _head("scale_requests_total", "counter", "Requests answered, by kind and status.")
        for (kind, status), count in sorted(self._requests.items()):
            yield f'scale_requests_total{{kind="{kind}",status="{status}"}} {count}'
        yield from _head("scale_requests_in_flight", "gauge", "Requests being answered.")
        yield f"scale_requests_in_flight {self.in_flight}"
        yield from _head(
            "scale_tokens_total", "counter", "Tokens of strategies' calls, by mode; pass-through has none."
        )
        for (mode, kind), count in sorted(self._tokens.items()):
            yield f'scale_tokens_total{{mode="{mode}",kind="{kind}"}} {count}'
        yield from _head("scale_request_seconds", "histogram", "Seconds from a request's head to its answer's end.")
        for kind, counts in sorted(self._seconds.items()):
            total = 0
            for bound, count in zip((*SECONDS, "+Inf"), counts, strict=True):
                total += count
                yield f'scale_request_seconds_bucket{{kind="{kind}",le="{bound}"}} {total}'
            yield f'scale_request_seconds_sum{{kind="{kind}"}} {self._sums[kind]:.6f}'
            yield f'scale_request_seconds_count{{kind="{kind}"}} {total}'


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
