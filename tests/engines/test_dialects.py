"""Replies in every dialect, through a real connection, and the same bytes cut anywhere."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.dialects import CHUNKS, DIALECTS, DONE, Dialect, sse
from tests.engines.faults import running
from tests.speed import limit_examples

from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.reply import Reply
from scale_reasoning.errors import EngineError
from scale_reasoning.types import Completion, Delta, Message, Mode, Request

NAMES = (
    "choices", "usage", "model", "error", "index", "delta", "message", "text", "content", "finish_reason", "reasoning",
    "type", "thinking", "reasoning_details", "prompt_tokens", "completion_tokens", "total_tokens", "code", "detail",
    "completion_tokens_details", "reasoning_tokens", "x_groq", "base_resp", "status_code", "refusal", "summary",
)  # fmt: skip
PLACES: tuple[tuple[str | int, ...], ...] = (
    *((name,) for name in NAMES),
    *(("choices", 0, name) for name in NAMES),
    *(("choices", 0, "delta", name) for name in NAMES),
    ("choices", 0),
)


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


@settings(max_examples=limit_examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(DIALECTS)), st.data())
def test_where_a_body_is_cut_changes_nothing(name: str, data: st.DataObject) -> None:
    dialect, body = DIALECTS[name], DIALECTS[name].body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read(dialect, pieces) == read(dialect, [body])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["\ud83d", "stop", "error", "0", [], {}]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=limit_examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), json_values), max_size=3), st.data())
def test_a_field_of_any_kind_leaves_a_completion_or_an_engine_error(said: list[Any], data: st.DataObject) -> None:
    chunks = [*CHUNKS, *said]
    for _ in range(data.draw(st.integers(0, 3))):
        spoiled = data.draw(st.sampled_from(chunks))
        chunks[chunks.index(spoiled)] = with_field(spoiled, data.draw(st.sampled_from(PLACES)), data.draw(json_values))
    for body in (sse(*chunks), sse(*chunks, DONE), sse(*chunks[::-1], DONE), json.dumps(chunks[0]).encode()):
        reply = Reply(None, inside=False, where="HOST", secrets=())
        with suppress(EngineError):
            reply.feed(body)
            completion = reply.completion(content_type="x")
            assert msgspec.json.decode(msgspec.json.encode(completion), type=Completion) == completion


def with_field(chunk: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """The chunk with a value at this place, where it has one."""
    if not place:
        return value
    first, *rest = place
    if isinstance(chunk, list) and isinstance(first, int) and first < len(chunk):
        return [with_field(each, tuple(rest), value) if at == first else each for at, each in enumerate(chunk)]
    if isinstance(chunk, dict) and isinstance(first, str):
        return {**chunk, first: with_field(chunk.get(first), tuple(rest), value)}
    return chunk


def read(dialect: Dialect, pieces: list[bytes]) -> str:
    deltas = list[Delta]()
    reply = Reply(deltas.append, inside=dialect.inside, think=dialect.think, where="HOST", secrets=())
    try:
        for piece in pieces:
            reply.feed(piece)
            if reply.done:
                break
        completion = reply.completion(content_type=dialect.kind)
    except EngineError as error:
        return repr(error)
    assert heard(deltas) == (completion.text, completion.reasoning)
    return repr(completion)


def completion(*events: bytes) -> Completion:
    reply = Reply(None, inside=False, where="HOST", secrets=())
    for event in events:
        reply.feed(b"data: " + event + b"\n\n")
    return reply.completion(content_type="text/event-stream")


def test_what_cannot_be_read_after_the_end_of_a_reply_is_of_no_account() -> None:
    whole = b'{"choices": [{"index": 0, "delta": {"content": "42"}, "finish_reason": "stop"}]}'
    counts = b'{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 20}}'
    assert completion(whole, b"goodbye", counts).usage.completion_tokens == 20
    with pytest.raises(EngineError):
        completion(b"hello", whole)


def test_a_cut_off_thought_that_is_sent_again_as_the_text_is_no_text() -> None:
    piece, end = (
        b'{"choices": [{"index": 0, "delta": {"%s": "so 42, but"}}]}',
        b'{"choices": [{"index": 0, "delta": {}, "finish_reason": "%s"}]}',
    )
    again = [piece % b"reasoning_content", piece % b"content"]
    assert completion(*again, end % b"length").text == ""
    assert completion(*again, end % b"stop").text == "so 42, but"
