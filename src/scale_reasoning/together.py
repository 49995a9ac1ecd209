"""Run coroutines concurrently; the first failure cancels the rest and is raised as itself.

A bare TaskGroup raises an ExceptionGroup, which no `except ParseError` matches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Turn: TypeAlias = Callable[[], Awaitable[None]]
"""Returns when one more coroutine may be started."""


async def together(coroutines: Iterable[Coroutine[Any, Any, T]], *, turn: Turn | None = None) -> list[T]:
    """Results in the order of `coroutines`.

    Without a `turn` all start at once. With one, the first starts at once and each further one after another turn, so
    that no more are taken from `coroutines` than there is room for. Raises the first exception of any of them after the
    others are cancelled and have ended.
    """
    tasks: list[asyncio.Task[T]] = []
    failure: BaseException | None = None
    waiting = iter(coroutines)
    try:
        async with asyncio.TaskGroup() as group:
            if turn is None:
                tasks.extend(map(group.create_task, waiting))
            else:
                await _by_turns(waiting, turn, lambda coroutine: tasks.append(group.create_task(coroutine)))
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:  # raised outside the except, so that it keeps its own cause and context
        raise failure
    return [task.result() for task in tasks]


async def _by_turns(
    waiting: Iterable[Coroutine[Any, Any, T]], turn: Turn, start: Callable[[Coroutine[Any, Any, T]], None]
) -> None:
    first = True
    for coroutine in waiting:
        try:
            if not first:
                await turn()
        except BaseException:
            coroutine.close()
            raise
        start(coroutine)
        first = False
