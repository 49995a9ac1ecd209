"""A journal in a worker's process, which asks that of the driver. Questions and answers go in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from scale_reasoning.errors import CapReached
from scale_reasoning.types import Completion, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of a worker's journal: the completion of a request; with one `paid`, to store it; without a key, to
    admit the request.
    """

    number: int
    key: str | None
    request: Request
    paid: Completion | None


Answer: TypeAlias = Completion | CapReached | None
"""An error is raised where the question was asked."""


class RemoteJournal:
    """A journal that asks the driver and waits for the answer; so does `admit`."""

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Completion | None]] = {}
        self._unsent: list[Question] = []
        self._asked = asyncio.Event()

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal."""
        return await self._ask(key, request, None)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        await self._ask(key, request, completion)

    async def admit(self, request: Request) -> None:
        """Returns if a request may be sent. Raises CapReached."""
        await self._ask(None, request, None)

    async def exchange(self, answers: Mapping[int, Answer]) -> list[Question]:
        """Takes the answers to earlier questions, and waits for new questions."""
        for number, answer in answers.items():
            waiting = self._waiting.get(number)
            if waiting is None or waiting.done():  # its call was cancelled
                continue
            if isinstance(answer, CapReached):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
        await self._asked.wait()
        self._asked.clear()
        questions, self._unsent = self._unsent, []
        return questions

    async def _ask(self, key: str | None, request: Request, paid: Completion | None) -> Completion | None:
        number, waiting = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._unsent.append(Question(number=number, key=key, request=request, paid=paid))
        self._asked.set()
        try:
            return await waiting
        finally:
            del self._waiting[number]
