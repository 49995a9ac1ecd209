"""Replies in every dialect, through a real connection, and the same bytes cut anywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.dialects import DIALECTS, Dialect
from tests.engines.faults import running

from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.reply import Reply
from scale_reasoning.errors import EngineError
from scale_reasoning.types import Completion, Delta, Message, Mode, Request


async def send(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    dialect = DIALECTS[body["model"]]
    return web.Response(body=dialect.body, headers={"content-type": dialect.kind})


def heard(deltas: list[Delta]) -> tuple[str, str]:
    """(text, reasoning) of what was told since the last restart."""
    begins = max((i for i, delta in enumerate(deltas) if delta.restarted), default=0)
    return "".join(d.text for d in deltas[begins:]), "".join(d.reasoning for d in deltas[begins:])


@pytest.mark.parametrize("name", DIALECTS)
def test_a_reply_is_read_in_any_dialect(name: str) -> None:
    dialect = DIALECTS[name]
    more = {"think": dialect.think} if dialect.think != ("<think>", "</think>") else {}
    request = Request(
        model=name,
        messages=(Message("user", "2 + 2?"),),
        mode=Mode.SYSTEM1,
        seed=1,
        starts_thinking=dialect.inside,
        **more,
    )
    deltas = list[Delta]()

    async def run() -> Completion:
        async with running(send) as server, OpenAI(server.base_url) as engine:
            return await engine.generate(request, deltas.append)

    if isinstance(dialect.expected, Completion):
        found = asyncio.run(run())
        assert found == dialect.expected
        assert heard(deltas) == (found.text, found.reasoning)
        assert f"{found}{deltas}".encode()  # no halves of characters
        return
    kind, part = dialect.expected
    with pytest.raises(EngineError) as caught:
        asyncio.run(run())
    assert type(caught.value) is kind
    assert part in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", DIALECTS)
def test_a_body_that_comes_byte_by_byte_says_the_same(name: str) -> None:
    dialect = DIALECTS[name]
    assert read(dialect, [bytes([each]) for each in dialect.body]) == read(dialect, [dialect.body])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(DIALECTS)), st.data())
def test_where_a_body_is_cut_changes_nothing(name: str, data: st.DataObject) -> None:
    dialect, body = DIALECTS[name], DIALECTS[name].body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read(dialect, pieces) == read(dialect, [body])


def read(dialect: Dialect, pieces: list[bytes]) -> str:
    deltas = list[Delta]()
    reply = Reply(deltas.append, inside=dialect.inside, think=dialect.think, where="HOST", secrets=())
    try:
        for piece in pieces:
            reply.chunk(piece)
            if reply.done:
                break
        completion = reply.completion(what=dialect.kind)
    except EngineError as error:
        return repr(error)
    assert heard(deltas) == (completion.text, completion.reasoning)
    return repr(completion)
