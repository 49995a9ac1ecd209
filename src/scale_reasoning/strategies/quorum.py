"""Hedging against slow calls: make several at once, continue when enough have ended, cancel the rest.

The cost of a cancelled call is unknown, never zero, and so is the attempt's total.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from scale_reasoning.lm import LM
from scale_reasoning.types import Mode, Stage

T = TypeVar("T")


async def run_until_quorum(
    lms: Sequence[LM], ask: Callable[[LM], Coroutine[Any, Any, T]], *, quorum: int, mode: Mode, stage: Stage
) -> list[T]:
    """The results available once `quorum` of them are truthy, in the order of `lms`; all if that never happens.

    The other calls are cancelled, have ended when this returns, and are among the attempt's calls with usage unknown.
    Raises the first exception of any call, the rest cancelled alike, unless the quorum is in.
    """
    tasks = [asyncio.create_task(ask(lm)) for lm in lms]
    waiting = set(tasks)
    try:
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # All that ended by now are in, not the first `quorum` alone: a resume finds all of them in the journal.
            if sum(_succeeded(task) and bool(task.result()) for task in tasks) >= quorum:
                break
            for task in tasks:
                if task.done():
                    task.result()
        found = [task.result() for task in tasks if _succeeded(task)]
        for lm, task in zip(lms, tasks, strict=True):
            if not _succeeded(task):
                lm.record_cancelled(mode, stage)
        return found
    finally:
        await _ended(tasks)


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    while running := [task for task in tasks if not task.done()]:
        await asyncio.wait(running)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # read, so that asyncio does not report it
