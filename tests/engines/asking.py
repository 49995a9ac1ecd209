"""One request to an engine that a test opens, and what came of it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from scale_reasoning.errors import EngineError
from scale_reasoning.types import Completion, Delta, Engine, Request

Opened = AbstractAsyncContextManager[tuple[Engine, Any]]
"""An engine and its server, which are opened in the loop that the request is made in."""


def complete(opened: Opened, asked: Request) -> tuple[Completion, list[Delta]]:
    """The completion, and what was told meanwhile."""

    async def run() -> tuple[Completion, list[Delta]]:
        deltas = list[Delta]()
        async with opened as (engine, _):
            return await engine.generate(asked, deltas.append), deltas

    return asyncio.run(run())


def fail(opened: Opened, asked: Request) -> tuple[EngineError, list[Delta]]:
    """The error that the request ends in, and what was told meanwhile."""

    async def run() -> tuple[EngineError, list[Delta]]:
        deltas = list[Delta]()
        async with opened as (engine, _):
            with pytest.raises(EngineError) as caught:
                await engine.generate(asked, deltas.append)
            return caught.value, deltas

    return asyncio.run(run())
