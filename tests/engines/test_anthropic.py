"""The engine against a server of `/v1/messages` on loopback: what is sent, what a reply is read as, what fails how."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.engines.asking import complete, fail
from tests.engines.faults import TEXT, FaultServer, events, running
from tests.engines.messages import (
    BEHAVIOURS,
    BRIEF,
    CLAUDE,
    FRESH,
    NEW,
    READ,
    THOUGHT,
    WRITTEN,
    Messages,
    end,
    start,
    text,
    thought,
)
from tests.patience import ends_in_time, until_later
from tests.servers import serving

from scale_reasoning import Scale, connect, solve
from scale_reasoning.engines.anthropic import Anthropic, Events
from scale_reasoning.engines.chunks import Unreadable
from scale_reasoning.engines.connection import Connection, ModelSpec
from scale_reasoning.engines.http import Timeouts
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Retrying
from scale_reasoning.engines.probe import is_complete, probe
from scale_reasoning.engines.table import choose_engine, is_on_server, make_server
from scale_reasoning.errors import (
    ConfigError,
    ContextOverflow,
    EngineError,
    Malformed,
    Overloaded,
    Rejected,
    TimedOut,
    Unreachable,
)
from scale_reasoning.replies import NUMBER, outline_schema
from scale_reasoning.types import Completion, Delta, Message, Mode, Record, Request, Sampling, Usage

KEY = "sk-ant-secret-0123456789"
QUICK = Timeouts(connect=5, first_byte=0.3, silence=0.2)
PROMPT = FRESH + READ + WRITTEN
COUNTED = Usage(prompt_tokens=PROMPT, completion_tokens=NEW, cached_tokens=READ)
THOUGHTFUL = Usage(prompt_tokens=PROMPT, completion_tokens=NEW, reasoning_tokens=THOUGHT, cached_tokens=READ)
ENABLED = {"thinking": {"type": "enabled", "budget_tokens": 24_576}}
ADAPTIVE = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
WARM = Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.1)


def request(model: str = "ok", **more: Any) -> Request:
    fields = {"messages": (Message("user", "Say hello."),), "mode": Mode.SYSTEM2, "seed": 7, "max_tokens": 32_768}
    return Request(model=model, **{**fields, **more})


@contextlib.asynccontextmanager
async def engine_on(**more: Any) -> AsyncIterator[tuple[Anthropic, FaultServer]]:
    async with running(Messages()) as server, Anthropic(server.base_url, api_key=KEY, **more) as engine:
        yield engine, server


def completed(model: str, **more: Any) -> tuple[Completion, list[Delta]]:
    return complete(engine_on(), request(model, **more))


def failed(model: str, **more: Any) -> tuple[EngineError, list[Delta]]:
    return fail(engine_on(timeouts=QUICK if model.startswith("stall") else None), request(model, **more))


def sent(*asked: Request) -> tuple[list[dict[str, Any]], list[str]]:
    """The bodies that went out for these requests, and the lines for the user."""

    async def run() -> tuple[list[dict[str, Any]], list[str]]:
        lines = list[str]()
        async with engine_on(say=lines.append) as (engine, server):
            for each in asked:
                await engine.generate(each)
            return server.bodies, lines

    return asyncio.run(run())


# What is answered

HELLO = Completion(text=TEXT, finish_reason="stop", usage=COUNTED, model="served")
FOUR = Completion(text="Four.", finish_reason="stop", usage=COUNTED, model="served")
CUT = Completion(text="Hello", finish_reason="length", usage=COUNTED, model="served")


def but(completion: Completion, **changes: Any) -> Completion:
    fields = {name: getattr(completion, name) for name in ("text", "reasoning", "finish_reason", "usage", "model")}
    return Completion(**{**fields, **changes})


REPLIES = {
    "ok": HELLO,
    "thinking": but(FOUR, reasoning="Let me think.", usage=THOUGHTFUL),
    "thinking-omitted": but(FOUR, usage=THOUGHTFUL),
    "thinking-redacted": FOUR,
    "several-blocks": but(HELLO, text="AB", reasoning="One. Two."),
    "tool": FOUR,
    "unknown-events": HELLO,
    "no-event-names": HELLO,
    "halves": but(HELLO, text="😀!"),
    "empty": but(HELLO, text=""),
    "max_tokens": CUT,
    "model_context_window_exceeded": CUT,
    "stop_sequence": but(CUT, finish_reason="stop"),
    "no-stop": HELLO,
    "no-end": HELLO,
    "after-the-end": HELLO,
    "whole": but(HELLO, reasoning="Hm."),
    "usage-late": HELLO,
    "usage-partly-late": HELLO,
    "usage-twice": HELLO,
    "usage-without-cache": but(HELLO, usage=Usage(prompt_tokens=7, completion_tokens=NEW)),
    "usage-missing": but(HELLO, usage=Usage(prompt_tokens=PROMPT, cached_tokens=READ)),
    "usage-nonsense": but(HELLO, usage=Usage()),
}


@pytest.mark.parametrize("model", REPLIES)
def test_a_reply_is_read_and_its_deltas_concatenate_to_it(model: str) -> None:
    completion, deltas = completed(model)
    assert completion == REPLIES[model]
    assert not any(delta.restarted for delta in deltas)
    heard = "".join(delta.text for delta in deltas), "".join(delta.reasoning for delta in deltas)
    assert heard == (completion.text, completion.reasoning)


def test_text_and_thinking_are_told_as_they_come() -> None:
    _, deltas = completed("thinking")
    assert [(delta.reasoning, delta.text) for delta in deltas] == [("Let me ", ""), ("think.", ""), ("", "Four.")]


def test_log_probabilities_are_not_asked_for_and_a_reply_has_none() -> None:
    completion, _ = completed("ok", logprobs=5)
    assert completion.logprobs is None
    bodies, _ = sent(request(logprobs=5))
    assert not {"logprobs", "top_logprobs"} & set(bodies[0])


# What fails

TOO_LONG_PROMPT = "HOST: the prompt does not fit the window: prompt is too long: 212345 tokens > 200000 maximum"
FAILURES: dict[str, tuple[type[EngineError], str]] = {
    "refusal": (
        Overloaded,
        "HOST: the provider's content filter stopped the reply (finish reason refusal)",
    ),
    "pause_turn": (Overloaded, "HOST gave up in mid-reply (finish reason pause_turn)"),
    "whole-error": (Overloaded, "HOST failed in mid-reply: Overloaded"),
    "400": (Rejected, "HOST answered 400: messages: at least one message is required"),
    "400-too-long": (ContextOverflow, TOO_LONG_PROMPT),
    "401": (
        Rejected,
        "HOST answered 401: invalid x-api-key; is the API key right? (--api-key-env names the variable that holds it)",
    ),
    "401-echoing-the-key": (
        Rejected,
        "HOST answered 401: bad [secret]; is the API key right? (--api-key-env names the variable that holds it)",
    ),
    "402": (Rejected, "HOST answered 402: Your credit balance is too low"),
    "403": (Rejected, "HOST answered 403: Your key may not use this resource; may this key use this model?"),
    "404": (
        Rejected,
        "HOST answered 404: model: 404; are the base URL (does it end in /v1?) and the model's name right?; the ",
    ),
    "413": (Rejected, "HOST answered 413: Request exceeds the maximum size"),
    "413-of-a-proxy": (Rejected, "HOST answered 413: an HTML page"),
    "429": (Overloaded, "HOST answered 429: This would exceed your rate limit"),
    "500": (Overloaded, "HOST answered 500: Internal server error"),
    "504": (Overloaded, "HOST answered 504: The request timed out"),
    "529": (Overloaded, "HOST answered 529: Overloaded"),
    "overloaded-in-stream": (Overloaded, "HOST failed in mid-reply: Overloaded"),
    "rate-limited-in-stream": (Overloaded, "HOST failed in mid-reply: slow down"),
    "rejected-in-stream": (Rejected, "HOST refused in mid-reply: no such thing"),
    "too-long-in-stream": (ContextOverflow, TOO_LONG_PROMPT),
    "error-without-a-message": (Overloaded, "HOST failed in mid-reply: an error without a message"),
    "truncated": (Malformed, "HOST ended the reply before it was complete"),
    "truncated-in-event": (Malformed, "HOST sent what is not a chat completion: "),
    "reset": (Unreachable, "HOST broke the connection"),
    "reset-in-stream": (Unreachable, "HOST broke the connection in mid-reply"),
    "stall": (TimedOut, "HOST sent nothing for 0.3 s"),
    "stall-after-headers": (TimedOut, "HOST sent nothing for 0.3 s"),
    "stall-in-stream": (TimedOut, "HOST fell silent for 0.2 s in mid-reply"),
    "malformed-event": (Malformed, "HOST sent what is not a chat completion: "),
    "deep-event": (Malformed, "HOST sent what is not a chat completion: "),
    "no-object": (Malformed, "HOST sent what is not a chat completion: not an object"),
    "no-type": (Malformed, "HOST sent what is not a chat completion: an event without a type"),
    "text-of-a-number": (Malformed, "HOST sent what is not a chat completion: a text that is no string"),
    "nothing": (Malformed, "HOST answered with no chat completion (text/event-stream)"),
    "html": (Malformed, "HOST answered with no chat completion (text/html)"),
    "not-http": (Unreachable, "HOST"),
    "long-line": (Malformed, "a line of over 1048576 bytes in the event stream"),
    "long-text": (Malformed, "HOST sent a reply of over 2097152 characters"),
    "long-whole": (Malformed, "HOST sent a reply of over 1048576 bytes"),
}


@pytest.mark.parametrize("model", FAILURES)
def test_a_failure_is_named_for_what_happened_without_the_key(model: str) -> None:
    kind, message = FAILURES[model]
    error, _ = failed(model)
    assert type(error) is kind
    assert re.sub(r"127\.0\.0\.1:\d+", "HOST", str(error), count=1).startswith(message)
    assert len(str(error)) < 500
    assert str(error).isprintable()
    assert KEY not in f"{error} {error!r} {error.args} {getattr(error, '__notes__', '')}"


def test_an_overflow_has_the_numbers_of_the_server() -> None:
    for model, tokens in (("400-too-long", 212_345), ("400-too-long-with-limit", 198_000)):
        error, _ = failed(model)
        assert isinstance(error, ContextOverflow)
        assert (error.prompt_tokens, error.window) == (tokens, 200_000)


def test_a_server_that_says_when_to_come_back_is_heard() -> None:
    error, _ = failed("429")
    assert isinstance(error, Overloaded)
    assert (error.status, error.retry_after) == (429, 7.0)


def test_an_unknown_model_is_refused_with_the_names_that_there_are() -> None:
    error, _ = failed("404")
    assert str(error).endswith("; the server has served, claude-sonnet-4-5")


def test_what_came_before_a_stream_broke_was_told() -> None:
    _, deltas = failed("reset-in-stream")
    assert [delta.text for delta in deltas] == ["Hello", ", w"]


def test_an_overloaded_server_is_asked_again_by_the_policy_alone() -> None:
    async def run(retries: int) -> int:
        async with engine_on() as (engine, server):
            with pytest.raises(Overloaded):
                await Retrying(engine, retries=retries).generate(request("529"))
            return len(server.bodies)

    assert [asyncio.run(run(retries)) for retries in (0, 1)] == [1, 2]


def test_a_mangled_stream_is_a_completion_or_an_engine_error() -> None:
    stream = "".join((start(), *thought("Hm."), *text("Hello", ", w", index=1), *end())).encode()

    async def run() -> set[str]:
        outcomes = set[str]()
        async with engine_on() as (engine, _):
            for seed in range(100):
                chance, mangled = random.Random(seed), bytearray(stream)
                for _ in range(chance.randint(1, 6)):
                    place = chance.randrange(len(mangled))
                    mangled[place : place + chance.randint(0, 2)] = chance.choice(
                        [b"", b"{", b'"', b"\n\n", b"[", b"-"]
                    )
                BEHAVIOURS["mangled"] = events(mangled.decode("utf-8", "replace"))
                try:
                    outcomes.add(type(await engine.generate(request("mangled"))).__name__)
                except EngineError as error:
                    outcomes.add(type(error).__name__)
        return outcomes

    assert {"Completion", "Malformed"} <= asyncio.run(run())


def test_an_event_of_any_shape_is_read_or_unreadable() -> None:
    odd: list[Any] = [None, 1, "x", [], {}, [{}], {"type": 1}, {"type": "text_delta", "text": "x"}, {"text": None}]
    kinds = ["message_start", "content_block_start", "content_block_delta", "message_delta", "error", "other", 3, None]
    keys = ["message", "content_block", "delta", "usage", "error"]
    for kind in kinds:
        for key in keys:
            for value in odd:
                with contextlib.suppress(Unreadable):
                    Events().read(json.dumps({"type": kind, key: value}).encode())
                with contextlib.suppress(Unreadable):
                    Events().read_body(json.dumps({"type": kind, key: value, "content": value}).encode())


def test_many_events_that_repeat_their_counts_are_read_in_time() -> None:
    reader, data = Events(), b'{"type": "message_delta", "usage": {"output_tokens": 1, "x": %s}}' % (b"1" * 1000)
    with ends_in_time():
        for _ in range(10_000):
            reader.read(data)


# What is sent


def test_the_key_and_the_version_are_headers_and_the_base_url_may_end_in_v1() -> None:
    async def run(ending: str) -> tuple[str, dict[str, str]]:
        async with running(Messages()) as server:
            url = server.base_url.removesuffix("/v1") + ending
            async with Anthropic(url, api_key=KEY) as engine:
                await engine.generate(request())
            return server.paths[0], {name.lower(): value for name, value in server.headers[0].items()}

    for ending in ("", "/", "/v1", "/v1/", "/v1/messages"):
        path, headers = asyncio.run(run(ending))
        assert path == "/v1/messages"
        assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
        assert "authorization" not in headers


def test_without_a_key_none_is_sent() -> None:
    async def run() -> dict[str, str]:
        async with running(Messages()) as server, Anthropic(server.base_url) as engine:
            await engine.generate(request())
            return {name.lower(): value for name, value in server.headers[0].items()}

    assert not {"x-api-key", "authorization"} & set(asyncio.run(run()))


def test_system_texts_go_apart_and_turns_alternate() -> None:
    messages = (
        Message("system", "Be brief."),
        Message("user", "One?"),
        Message("user", "Two?"),
        Message("assistant", "12"),
        Message("system", "Be exact."),
        Message("assistant", " \n"),
        Message("user", "Three?"),
        Message("assistant", ""),
        Message("user", "Four?"),
    )
    bodies, _ = sent(request(messages=messages))
    assert bodies[0]["system"] == "Be brief.\n\nBe exact."
    assert bodies[0]["messages"] == [
        {"role": "user", "content": "One?\n\nTwo?"},
        {"role": "assistant", "content": "12"},
        {"role": "user", "content": "Three?\n\nFour?"},
    ]


def test_a_request_without_a_system_text_sends_none() -> None:
    bodies, _ = sent(request(messages=(Message("system", ""), Message("user", "Hello"))))
    assert "system" not in bodies[0]


def test_only_keys_of_the_protocol_are_sent_and_sampling_only_without_thinking() -> None:
    off = {"thinking": {"type": "disabled"}}
    bodies, _ = sent(request(sampling=WARM, extras=off), request(sampling=WARM, extras=ENABLED), request(sampling=WARM))
    common = {"model": "ok", "messages": [{"role": "user", "content": "Say hello."}], "stream": True}
    common["max_tokens"] = 32_768
    warm = {"temperature": 0.6, "top_p": 0.95, "top_k": 20}
    assert bodies == [{**common, **warm, **off}, {**common, **ENABLED}, {**common, **warm}]


def test_the_limit_is_always_sent_under_its_one_name() -> None:
    bodies, _ = sent(request(max_tokens=None), request(max_tokens=50, limit_key="max_completion_tokens"))
    assert [body["max_tokens"] for body in bodies] == [32_768, 50]
    assert "max_completion_tokens" not in bodies[1]


def test_adaptive_thinking_is_asked_for_its_text() -> None:
    shown = {"thinking": {"type": "adaptive", "display": "omitted"}}
    bodies, _ = sent(request(extras=ADAPTIVE), request(extras=shown))
    assert bodies[0]["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert bodies[0]["output_config"] == {"effort": "high"}
    assert bodies[1]["thinking"] == shown["thinking"]


def test_a_schema_is_a_format_beside_the_effort_and_without_bounds_that_are_refused() -> None:
    bodies, _ = sent(request(extras=ADAPTIVE, schema=outline_schema(9)), request(schema=NUMBER))
    config = bodies[0]["output_config"]
    assert config["effort"] == "high"
    assert config["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"subproblems": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
            "required": ["subproblems"],
            "additionalProperties": False,
        },
    }
    assert bodies[1]["output_config"] == {"format": {"type": "json_schema", "schema": NUMBER.body}}
    assert not any("response_format" in body or "tools" in body for body in bodies)


@pytest.mark.parametrize(
    ("limit", "budget", "fitted"),
    [
        (32_768, 24_576, 24_576),
        (24_577, 24_576, 24_576),
        (24_576, 24_576, 18_432),
        (8_192, 24_576, 6_144),
        (1_366, 24_576, 1_024),
        (1_365, 24_576, None),
        (16, 24_576, None),
        (4_096, 1_023, None),
        (4_096, 32, None),
    ],
)
def test_a_budget_fits_below_the_limit_or_there_is_no_thought(limit: int, budget: int, fitted: int | None) -> None:
    asked = request(max_tokens=limit, extras={"thinking": {"type": "enabled", "budget_tokens": budget}}, sampling=WARM)
    bodies, lines = sent(asked, asked)
    assert [body.get("thinking", {}).get("budget_tokens") for body in bodies] == [fitted, fitted]
    assert all("temperature" not in body for body in bodies)
    assert len(lines) == (fitted != budget)
    if fitted is None:
        assert "there is no thinking where it would get under 1,024 tokens" in lines[0]


# What a server refuses


def test_a_model_without_schemas_is_asked_without_from_then_on() -> None:
    for model in ("no-format", "no-schemas"):
        asked = request(model, schema=NUMBER)
        bodies, lines = sent(asked, asked)
        assert ["output_config" in body for body in bodies] == [True, False, False]
        assert len(lines) == 1


def test_other_refusals_change_only_what_they_name() -> None:
    bodies, _ = sent(request("one-of-two", sampling=WARM))
    assert {"temperature", "top_k"} <= set(bodies[-1])
    assert "top_p" not in bodies[-1]
    bodies, _ = sent(request("small", extras=ENABLED))
    assert [(body["max_tokens"], body["thinking"]["budget_tokens"]) for body in bodies] == [
        (32_768, 24_576),
        (8_192, 6_144),
    ]
    bodies, lines = sent(request("no-budgets", extras=ENABLED))
    assert "thinking" not in bodies[-1]
    assert "Work it out step by step." in bodies[-1]["messages"][-1]["content"]
    assert "--profile" in lines[0]


# Connections, the table, and a whole problem


def test_cancelling_a_generation_closes_its_connection_at_once() -> None:
    async def run() -> None:
        async with engine_on() as (engine, server):
            for model in ("stall", "stall-after-headers", "stall-in-stream"):
                reply = asyncio.create_task(engine.generate(request(model)))
                await until_later(lambda: server.open == 1)
                await asyncio.sleep(0.02)
                reply.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reply
                await until_later(lambda: server.open == 0)

    asyncio.run(run())


def test_connections_are_used_again() -> None:
    async def run(model: str) -> int:
        async with engine_on() as (engine, server):
            for _ in range(3):
                with contextlib.suppress(EngineError):
                    await engine.generate(request(model))
            return len(server.connections)

    for model in ("ok", "no-stop", "whole", "429", "529"):
        assert asyncio.run(run(model)) == 1, model


def test_a_list_of_models_is_read_and_no_other_request_is_sent_untranslated() -> None:
    async def run() -> tuple[Any, int]:
        async with engine_on() as (engine, server):
            listed = await engine.fetch("/models")
            with pytest.raises(Rejected, match="one request has one reply"):
                await engine.fetch("/chat/completions", {"n": 2})
            return listed, len(server.paths)

    listed, asked = asyncio.run(run())
    assert (listed["data"][0]["id"], asked) == ("served", 1)


@pytest.mark.parametrize(
    ("base_url", "row"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://API.anthropic.com:443/v1/", "anthropic"),
        ("https://api.anthropic.com.example/v1", "openai"),
        ("https://example.com/api.anthropic.com/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
        ("http://[", "openai"),
    ],
)
def test_the_host_decides_the_protocol(base_url: str, row: str) -> None:
    spec = ModelSpec(model="claude-opus-4-6", base_url=base_url)
    assert choose_engine(spec) == row
    assert is_on_server(spec)


@pytest.mark.parametrize(
    ("base_url", "kind", "row"),
    [("http://gateway:8080", "anthropic", "anthropic"), ("https://api.anthropic.com", "generic", "openai")],
)
def test_a_kind_that_is_said_decides_before_the_host(base_url: str, kind: str, row: str) -> None:
    assert choose_engine(ModelSpec(model="claude-opus-4-5", base_url=base_url, server=kind)) == row


def test_the_table_opens_the_engine_of_the_protocol() -> None:
    for url, kind in (("https://api.anthropic.com", Anthropic), ("http://127.0.0.1:8000/v1", OpenAI)):
        server = make_server(Connection(model="m", base_url=url, api_key=KEY))
        assert type(server) is kind
        assert server.base_url.endswith("/v1")
    with pytest.raises(ConfigError, match="base URL"):
        Anthropic("api.anthropic.com")


def test_a_problem_is_solved_with_thoughts_for_its_hard_step_only() -> None:
    async def run() -> tuple[Record, list[dict[str, Any]]]:
        async with running(Messages()) as server:
            connection = Connection(model=CLAUDE, base_url=server.base_url, api_key=KEY, server="anthropic")
            async with connect(connection) as endpoints:
                record = await solve("What do 12 groups cost?", Scale(), endpoints=endpoints, answer="12")
            return record, server.bodies

    record, bodies = asyncio.run(run())
    assert record.failure is None
    assert record.solution is not None
    assert record.grade is not None
    assert record.grade.correct
    assert [step.mode for step in record.solution.steps] == [Mode.SYSTEM1, Mode.SYSTEM2]
    assert record.solution.steps[1].reasoning == "Let me think."
    assert not record.solution.unparsed
    thinking = [body for body in bodies if body["thinking"]["type"] == "enabled"]
    assert len(thinking) == 1
    assert all(body["thinking"]["budget_tokens"] < body["max_tokens"] for body in thinking)
    assert all(body["messages"][-1]["role"] == "user" and "system" in body for body in bodies)
    assert record.usage.total.completion_tokens == NEW + BRIEF * (len(bodies) - 1)
    assert record.usage.by_mode[Mode.SYSTEM2].reasoning_tokens == THOUGHT


def test_the_doctor_asks_in_this_protocol_and_no_more_than_that() -> None:
    with serving(Messages()) as server:
        findings = asyncio.run(
            probe(Connection(model=CLAUDE, base_url=server.base_url, api_key=KEY, server="anthropic"))
        )
    assert is_complete(findings)
    found = {finding.name: finding.verdict for finding in findings}
    assert {name for name, verdict in found.items() if verdict == "no"} == {"logprobs", "n", "seed repeatable"}
    assert set(server.paths) == {"/v1/models", "/v1/messages"}
