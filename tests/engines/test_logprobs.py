"""Log-probabilities as servers send them: which tokens are those of the text, cut anywhere, refused, in any shape."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers import ModelServer, send, serving
from tests.speed import limit_examples

from scale_reasoning import Connection, connect
from scale_reasoning.engines.reply import Reply
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import Sim, run_virtual
from scale_reasoning.lm import LM
from scale_reasoning.types import MOST_LOGPROBS, Attempt, Completion, Message, Mode, Request, Token

ASKED = (Message("user", "What is 2 + 2?"),)
Event = dict[str, Any]


def entry(text: str, logprob: Any = -0.5, **more: Any) -> Event:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": [], **more}


def part(raw: bytes, shown: str = "\ufffd") -> Event:
    """A part of a character, as OpenAI and llama.cpp send it."""
    return {**entry(shown), "bytes": list(raw)}


def event(*entries: Event, finish: str | None = None, **delta: str) -> Event:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": {"content": list(entries)}}]}


def sse(*events: Event) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events) + b"data: [DONE]\n\n"


def read(body: bytes, *, logprobs: int | None = 5, cuts: tuple[int, ...] = (), inside: bool = False) -> Completion:
    reply = Reply(None, inside=inside, where="HOST", secrets=(), logprobs=logprobs)
    for begin, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
        reply.feed(body[begin:end])
    return reply.completion(content_type="x")


def tokens(body: bytes, **more: Any) -> list[str] | None:
    found = read(body, **more).logprobs
    return None if found is None else [token.text for token in found]


ANSWER = [event(entry(each), content=each) for each in ("It", " is", " 4", ".")]
END = event(entry("<|im_end|>"), finish="stop")
APART = [event(entry(each), reasoning_content=each) for each in ("It", " is", " 4", ".")]
MARKED = [event(entry(each), content=each) for each in ("<think>", "\n", "It", " is", " 4", ".", "</think>", "\n\n")]
IT_IS_4 = ["It", " is", " 4", "."]

STREAMS: dict[str, tuple[bytes, list[str] | None]] = {
    "plain": (sse(*ANSWER, event(finish="stop")), IT_IS_4),
    "with the end of the turn": (sse(*ANSWER, END), IT_IS_4),
    "with an end without a text": (sse(*ANSWER, event(entry(""), finish="stop")), IT_IS_4),
    "several in one event": (
        sse(event(*(entry(each) for each in IT_IS_4), content="It is 4."), event(finish="stop")),
        IT_IS_4,
    ),
    "reasoning apart": (sse(*APART, event(entry("</think>")), event(entry("\n\n")), *ANSWER, END), IT_IS_4),
    "reasoning apart, without its tokens": (
        sse({"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]}, *ANSWER, END),
        IT_IS_4,
    ),
    "a thought in marks": (sse(*MARKED, *ANSWER, END), IT_IS_4),
    "white space and the text in one token": (
        sse(*MARKED[:-1], event(entry("\n\nIt"), content="\n\nIt"), *ANSWER[1:], END),
        ["\n\nIt", *IT_IS_4[1:]],
    ),
    "a mark and the text in one token": (
        sse(*MARKED[:-2], event(entry("</think>It"), content="</think>It"), *ANSWER[1:], END),
        None,
    ),
    "a thought alone": (sse(*MARKED[:-2], event(finish="length")), []),
    "the tokens of the thought alone": (
        sse(*MARKED[2:-1], {"choices": [{"index": 0, "delta": {"content": "4."}, "finish_reason": "stop"}]}),
        None,
    ),
    "without its last tokens": (sse(*ANSWER[:-1], {"choices": [{"index": 0, "delta": {"content": "."}}]}, END), None),
    "characters in parts": (
        sse(event(part(b"\xe2\x9c"), content=""), event(part(b"\x85"), content="\u2705"), *ANSWER, END),
        ["", "\u2705", *IT_IS_4],
    ),
    "characters in parts that have no bytes": (
        sse(event(part(b"", ""), content=""), event(entry("\u2705"), content="\u2705"), *ANSWER, END),
        ["", "\u2705", *IT_IS_4],
    ),
    "characters in parts, of which one is not sent": (
        sse(*ANSWER, event(part(b"\x85"), content="\u2705"), END),
        [*IT_IS_4, "\ufffd"],
    ),
    "characters in parts as replacement characters": (
        sse(event(entry("\ufffd"), content=""), event(entry("\ufffd"), content="\u2705"), *ANSWER, END),
        ["\ufffd", "\ufffd", *IT_IS_4],
    ),
    "special tokens within": (sse(ANSWER[0], event(entry("")), *ANSWER[1:], END), IT_IS_4),
    "a stop string that the server trims": (sse(*ANSWER, event(entry("</s>"))), IT_IS_4),
    "a whole message": (
        json.dumps(
            {"choices": [{"index": 0, "message": {"content": "It is 4."}, "finish_reason": "stop",
                          "logprobs": {"content": [entry(each) for each in IT_IS_4]}}]}
        ).encode(),
        IT_IS_4,
    ),
    "a message again at the end": (
        sse(*ANSWER, {"choices": [{"index": 0, "message": {"content": "It is 4."}, "finish_reason": "stop"}]}),
        IT_IS_4,
    ),
    "none": (sse({"choices": [{"index": 0, "delta": {"content": "It is 4."}, "finish_reason": "stop"}]}), None),
    "null": (
        sse({"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop", "logprobs": None}]}),
        None,
    ),
    "content null": (
        sse({"choices": [{"index": 0, "delta": {"content": "4"}, "logprobs": {"content": None}}]}),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_the_tokens_are_those_of_the_text(name: str) -> None:
    body, expected = STREAMS[name]
    assert tokens(body) == expected
    assert read(body, logprobs=None).logprobs is None
    assert replace(read(body), logprobs=None) == read(body, logprobs=None)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_comes_byte_by_byte_has_the_same(name: str) -> None:
    body, _ = STREAMS[name]
    assert read(body, cuts=tuple(range(1, len(body)))) == read(body)


@settings(max_examples=limit_examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_where_a_stream_is_cut_changes_nothing(name: str, data: st.DataObject) -> None:
    body, _ = STREAMS[name]
    cuts = tuple(sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6))))
    assert read(body, cuts=cuts) == read(body)


def test_a_thought_that_the_template_opened_is_left_out() -> None:
    body = sse(*MARKED[2:], *ANSWER, END)
    assert tokens(body, inside=True) == tokens(body) == IT_IS_4


def test_values_and_alternatives_are_read_best_first_and_as_many_as_were_asked_for() -> None:
    top = [entry(" b", -2.0), entry(" a", -0.25), entry(" c", -3), entry("\u00e9", -4.0)]
    body = sse(event(entry(" a", -0.25, top_logprobs=top), content=" a"), event(finish="stop"))
    assert read(body, logprobs=3).logprobs == (
        Token(text=" a", logprob=-0.25, top=((" a", -0.25), (" b", -2.0), (" c", -3.0))),
    )
    assert read(body, logprobs=0).logprobs == (Token(text=" a", logprob=-0.25),)


@pytest.mark.parametrize("never", ["-Infinity", "-9999.0", "-9999", "-1e300"])
def test_alternatives_that_a_grammar_forbids_are_dropped(never: str) -> None:
    top = [entry("4", -0.1), entry("5", "NEVER")]
    body = sse(event(entry("4", -0.1, top_logprobs=top), content="4"), event(finish="stop"))
    reply = read(body.replace(b'"NEVER"', never.encode()))
    assert reply.logprobs == (Token(text="4", logprob=-0.1, top=(("4", -0.1),)),)


def test_a_rounding_error_above_zero_is_a_probability_of_one() -> None:
    body = sse(event(entry("4", 1e-7), content="4"), event(finish="stop"))
    assert read(body).logprobs == (Token(text="4", logprob=0.0),)


WRONG: list[Any] = [
    "none", 5, [], [1], {"content": "x"}, {"content": [0]}, {"content": [{}]}, {"content": [{"token": "4"}]},
    {"content": [{"token": 4, "logprob": -1}]}, {"content": [{"token": "4", "logprob": "-1"}]},
    {"content": [{"token": "4", "logprob": True}]}, {"content": [{"token": "4", "logprob": None}]},
    {"content": [{"token": "4", "logprob": 0.5}]}, {"content": [entry("4", top_logprobs=[5])]},
    {"content": [entry("4", math.nan)]}, {"content": [entry("4", -math.inf)]}, {"content": [entry("4", math.inf)]},
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG, ids=str)
def test_a_wrong_shape_is_none_and_leaves_the_text_alone(value: Any) -> None:
    wrong = {"choices": [{"index": 0, "delta": {"content": "4"}, "logprobs": value}]}
    reply = read(sse(wrong, *ANSWER, END))
    assert (reply.text, reply.logprobs, reply.finish_reason) == ("4It is 4.", None, "stop")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("\ud83d"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["token", "logprob", "bytes", "top_logprobs", "content"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=limit_examples(200), deadline=None, suppress_health_check=list(HealthCheck))
@given(json_values, st.lists(json_values, max_size=3))
def test_whatever_is_sent_the_text_is_read_and_the_completion_can_be_stored(value: Any, entries: list[Any]) -> None:
    for said in (value, {"content": [*entries, entry("4")]}):
        wrong = {"choices": [{"index": 0, "delta": {"content": "4"}, "logprobs": said, "finish_reason": "stop"}]}
        reply = read(sse(wrong))
        assert reply.text == "4"
        stored = msgspec.json.encode(reply)
        assert msgspec.json.decode(stored, type=Completion) == reply


def test_a_long_reply_of_marks_is_read_in_no_time() -> None:
    body = sse(event(*(entry("<|x|>" + " " * 500) for _ in range(20_000)), content="4\ufffd"), event(finish="stop"))
    assert tokens(body) is None


# Through the engines


def request(logprobs: int | None = 3, **more: Any) -> Request:
    return Request(model="m", messages=ASKED, mode=Mode.SYSTEM1, seed=1, logprobs=logprobs, **more)


def ask_server(server: ModelServer, *logprobs: int | None) -> tuple[list[Completion], list[str]]:
    said: list[str] = []

    async def run() -> list[Completion]:
        async with connect(Connection(base_url=server.base_url, model="m", say=said.append, retries=0)) as endpoints:
            lm = LM(endpoints, attempt=Attempt(problem_id="p"))
            return [
                await lm.at(f"x{n}").chat(ASKED, mode=Mode.SYSTEM1, logprobs=number)
                for n, number in enumerate(logprobs)
            ]

    return asyncio.run(run()), said


async def give(request: web.Request, body: Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for each in ANSWER if body.get("logprobs") else [event(content="It is 4.")]:
        await send(response, each)
    await send(response, event(finish="stop"))
    await response.write(b"data: [DONE]\n\n")
    return response


def test_the_keys_are_sent_only_where_they_are_asked_for() -> None:
    with serving(give) as server:
        replies, said = ask_server(server, None, 0, 5)
    keys = [{key: body[key] for key in ("logprobs", "top_logprobs") if key in body} for body in server.bodies]
    assert keys == [{}, {"logprobs": True}, {"logprobs": True, "top_logprobs": 5}]
    assert [reply.logprobs and len(reply.logprobs) for reply in replies] == [None, 4, 4]
    assert said == []


@pytest.mark.parametrize("number", [-1, MOST_LOGPROBS + 1])
def test_a_number_out_of_bounds_is_an_error(number: int) -> None:
    with serving(give) as server, pytest.raises(ValueError, match="must be from 0 to 20"):
        ask_server(server, number)


REFUSALS: dict[str, tuple[int, str, list[dict[str, Any]]]] = {
    "openai": (400, "Unsupported parameter: 'logprobs' is not supported with this model.", [{}]),
    "openai, reasoning": (403, "You are not allowed to request logprobs from this model", [{}]),
    "gemini": (400, "Logprobs is not enabled for models/gemini-2.5-pro", [{}]),
    "gaudi": (
        400,
        "Gaudi doesn't support logprobs. Please remove 'logprobs'/'top_logprobs' from your request.",
        [{}],
    ),
    "vllm": (400, "Requested sample logprobs of 20, which is greater than max allowed: 5",
             [{"logprobs": True, "top_logprobs": 5}]),
    "together": (400, "20 is greater than the maximum of 5 - 'top_logprobs'", [{"logprobs": True, "top_logprobs": 5}]),
    "alternatives": (400, "Unrecognized request argument supplied: top_logprobs", [{"logprobs": True}]),
    "both": (400, "Unexpected parameter(s): 'logprobs', 'top_logprobs'", [{}]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_server_refuses_is_left_out_or_lowered_and_told_once(name: str) -> None:
    status, words, accepted = REFUSALS[name]

    async def refuse(request: web.Request, body: Event) -> web.StreamResponse:
        if {key: body[key] for key in ("logprobs", "top_logprobs") if key in body} in ({}, *accepted):
            return await give(request, body)
        return web.json_response({"error": {"message": words}}, status=status)

    with serving(refuse) as server:
        replies, said = ask_server(server, 20, 20)
    assert [reply.text for reply in replies] == ["It is 4."] * 2
    assert all((reply.logprobs is not None) == bool(accepted[0]) for reply in replies)
    assert len(said) == 1
    assert "logprobs" in said[0]
    assert len(server.bodies) == 3


def test_a_403_about_anything_else_is_final() -> None:
    async def refuse(request: web.Request, body: Event) -> web.StreamResponse:
        return web.json_response({"error": {"message": "temperature and json_schema are not allowed"}}, status=403)

    with serving(refuse) as server, pytest.raises(Exception, match="answered 403"):
        ask_server(server, 20)
    assert len(server.bodies) == 1


def test_a_server_that_ignores_the_keys_gives_none() -> None:
    async def ignore(request: web.Request, body: Event) -> web.StreamResponse:
        return await give(request, {})

    with serving(ignore) as server:
        replies, said = ask_server(server, 5)
    assert (replies[0].text, said) == ("It is 4.", [])
    assert replies[0].logprobs is None


def test_a_script_gives_what_was_asked_for() -> None:
    said = (Token(text="4", logprob=-0.5, top=(("4", -0.5), ("5", -2.0))),)
    script = Scripted([("2", Completion(text="4", logprobs=said))])
    full, one, unasked = (run_virtual(script.generate(request(number))) for number in (20, 1, None))
    assert full.logprobs == said
    assert one.logprobs == (Token(text="4", logprob=-0.5, top=(("4", -0.5),)),)
    assert unasked.logprobs is None
    assert run_virtual(Scripted([("2", "4")]).generate(request())).logprobs is None


def test_a_simulated_server_gives_what_a_seed_says_and_nothing_else_changes() -> None:
    plain, few, many = (run_virtual(Sim().generate(request(number, max_tokens=9999))) for number in (None, 3, 20))
    assert plain.logprobs is None
    assert few.logprobs is not None
    assert many.logprobs is not None
    assert replace(few, logprobs=None) == plain
    assert few == run_virtual(Sim().generate(request(3, max_tokens=9999)))
    assert "".join(token.text for token in few.logprobs) == few.text
    for short, long in zip(few.logprobs, many.logprobs, strict=True):
        assert short.logprob == long.logprob < 0
        assert short.top == long.top[:3]
        assert (long.text, long.logprob) in long.top
        assert list(long.top) == sorted(long.top, key=lambda pair: -pair[1])
        assert sum(math.exp(each) for _, each in long.top) <= 1 + 1e-9
