"""Run coroutines concurrently; the first failure cancels the rest and is raised as itself.

A bare TaskGroup raises an ExceptionGroup, which no `except ParseError` matches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in the order of `coroutines`.

    Raises the first exception any of them raised, after the others are cancelled and have ended.
    """
    tasks: list[asyncio.Task[T]] = []
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks.extend(group.create_task(coroutine) for coroutine in coroutines)
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:  # raised outside the except, so that it keeps its own cause and context
        raise failure
    return [task.result() for task in tasks]
