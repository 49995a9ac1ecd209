"""The time limit of tests: it tells what ends from what does not. How fast something is, benchmarks/ measures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

TOO_LONG = 20.0
"""Seconds. What is right takes a tenth of it on a busy machine; what is wrong takes minutes, or waits half of one."""


@contextlib.contextmanager
def ends_in_time(clock: Callable[[], float] = time.process_time) -> Iterator[None]:
    """Fails if what is inside took too long: by the processor, or by a clock on the wall if it may wait for others."""
    started = clock()
    yield
    assert clock() - started < TOO_LONG


def until(holds: Callable[[], object], seconds: float = TOO_LONG) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


async def until_later(holds: Callable[[], object], seconds: float = TOO_LONG) -> None:
    """Waits until it holds, while others go on in the same loop."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.001)
