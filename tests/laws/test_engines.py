"""What holds for every engine, bare or under its policies: the ones that ship and one on a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from tests.engines.faults import running
from tests.engines.messages import Messages

from scale_reasoning.engines.anthropic import Anthropic
from scale_reasoning.engines.limit import Fixed
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.engines.spread import Server, Spread
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Delta, Engine, Message, Mode, Request

INSTANT = Speeds(prefill_tokens_per_second=1e9, decode_tokens_per_second=1e9)


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[Engine]:
    async with running() as server, OpenAI(server.base_url) as engine:
        yield engine


@contextlib.asynccontextmanager
async def served_by_anthropic() -> AsyncIterator[Engine]:
    async with running(Messages()) as server, Anthropic(server.base_url) as engine:
        yield engine


def shipped(engine: Callable[[], Engine]) -> Callable[[], AbstractAsyncContextManager[Engine]]:
    return lambda: contextlib.nullcontext(engine())


@contextlib.asynccontextmanager
async def under_policies() -> AsyncIterator[Engine]:
    async with served() as engine:
        yield Retrying(Limited(engine, in_flight=2))


@contextlib.asynccontextmanager
async def over_two_servers() -> AsyncIterator[Engine]:
    async with running() as one, running() as other:
        urls = one.base_url, other.base_url
        async with OpenAI(urls[0]) as first, OpenAI(urls[1]) as second:
            yield Spread({Server(url, Fixed(2)): engine for url, engine in zip(urls, (first, second), strict=True)})


ENGINES: dict[str, Callable[[], AbstractAsyncContextManager[Engine]]] = {
    "openai": served,
    "openai under policies": under_policies,
    "anthropic": served_by_anthropic,
    "openai over two servers": over_two_servers,
    "scripted": shipped(
        lambda: Scripted([("", Completion(text="  Two  words ", reasoning="Hm.", finish_reason="stop"))])
    ),
    "sim": shipped(lambda: Sim(INSTANT)),
}


@pytest.fixture(params=ENGINES)
def opened(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Engine]]:
    return ENGINES[request.param]


def asking(seed: int) -> Request:
    return Request(model="ok", messages=(Message("user", "Say hello."),), mode=Mode.SYSTEM2, seed=seed)


def test_deltas_concatenate_to_the_completion(opened: Callable[[], AbstractAsyncContextManager[Engine]]) -> None:
    async def run() -> None:
        deltas = list[Delta]()
        async with opened() as engine:
            reply = await engine.generate(asking(1), deltas.append)
        assert "".join(delta.text for delta in deltas) == reply.text
        assert "".join(delta.reasoning for delta in deltas) == reply.reasoning

    asyncio.run(run())


def test_one_seed_has_one_reply_listened_to_or_not_alone_or_beside_others(
    opened: Callable[[], AbstractAsyncContextManager[Engine]],
) -> None:
    async def run() -> None:
        async with opened() as engine:
            alone = [await engine.generate(asking(seed), lambda _: None) for seed in range(5)]
            beside = await together(engine.generate(asking(seed)) for seed in reversed(range(5)))
        assert alone == beside[::-1]

    asyncio.run(run())


def test_after_a_cancelled_generation_the_next_is_answered(
    opened: Callable[[], AbstractAsyncContextManager[Engine]],
) -> None:
    async def run() -> None:
        async with opened() as engine:
            for _ in range(5):
                reply = asyncio.create_task(engine.generate(asking(1)))
                await asyncio.sleep(0)
                reply.cancel()
                await asyncio.wait([reply])
            async with asyncio.timeout(5):
                assert (await engine.generate(asking(1))).finish_reason == "stop"

    asyncio.run(run())
