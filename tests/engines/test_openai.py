"""The engine against a real server that misbehaves: what each misbehaviour comes to, and what the server sees."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.engines.asking import complete, fail
from tests.engines.faults import TEXT, USAGE, Faults, FaultServer, running
from tests.patience import until_later

from scale_reasoning.engines.http import Timeouts
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.refusals import error_for
from scale_reasoning.errors import (
    ConfigError,
    ContextOverflow,
    EngineError,
    Malformed,
    Overloaded,
    Rejected,
    ScaleError,
    TimedOut,
    Unreachable,
)
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Delta, Message, Mode, Request, Sampling, Schema, Usage

KEY = "sk-secret-0123456789"
QUICK = Timeouts(connect=5, first_byte=0.3, silence=0.2)
COUNTED = Usage(prompt_tokens=7, completion_tokens=4)
UNKNOWN = Usage()
SCHEMA = Schema(name="difficulty", body={"type": "object", "properties": {"difficulty": {"type": "number"}}})


def request(model: str, **more: Any) -> Request:
    fields = {"messages": (Message("user", "Say hello."),), "mode": Mode.SYSTEM1, "seed": 7, **more}
    return Request(model=model, **fields)


@contextlib.asynccontextmanager
async def engine_on(faults: Faults | None = None, **more: Any) -> AsyncIterator[tuple[OpenAI, FaultServer]]:
    async with running(faults) as server, OpenAI(server.base_url, api_key=KEY, **more) as engine:
        yield engine, server


def completed(model: str, **more: Any) -> tuple[Completion, list[Delta]]:
    return complete(engine_on(), request(model, **more))


def failed(model: str, **more: Any) -> tuple[EngineError, list[Delta]]:
    return fail(engine_on(timeouts=QUICK if model.startswith("stall") else None), request(model, **more))


def sent(asked: Request) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the headers by which it went out."""

    async def run() -> tuple[dict[str, Any], dict[str, str]]:
        async with engine_on() as (engine, server):
            await engine.generate(asked)
            return server.bodies[0], server.headers[0]

    return asyncio.run(run())


def concatenated(deltas: list[Delta]) -> tuple[str, str]:
    """(text, reasoning) of what was told since the last restart."""
    begins = max((i for i, delta in enumerate(deltas) if delta.restarted), default=0)
    return "".join(d.text for d in deltas[begins:]), "".join(d.reasoning for d in deltas[begins:])


# What is answered

REPLIES = {
    "ok": Completion(text=TEXT, finish_reason="stop", usage=COUNTED, model="served"),
    "drip": Completion(text="örld ∑: \\boxed{12}", finish_reason="stop", model="served"),
    "no-last-blank-line": Completion(text=TEXT, finish_reason="stop", model="served"),
    "no-done": Completion(text=TEXT, finish_reason="stop", model="served"),
    "no-finish-reason": Completion(text=TEXT, finish_reason=None, model="served"),
    "crlf": Completion(text=TEXT, finish_reason="stop", model="served"),
    "comments": Completion(text=TEXT, finish_reason="stop", model="served"),
    "late-end": Completion(text=TEXT, finish_reason="stop", model="served"),
    "no-end": Completion(text=TEXT, finish_reason="stop", model="served"),
    "reset-after-done": Completion(text=TEXT, finish_reason="stop", model="served"),
    "null-content": Completion(text="", finish_reason="stop", model="served"),
    "several-choices": Completion(text=TEXT, finish_reason="stop", model="served"),
    "no-stream": Completion(text=TEXT, finish_reason="stop", usage=COUNTED, model="served"),
    "length": Completion(text="Hello", finish_reason="length", usage=COUNTED, model="served"),
    "usage-missing": Completion(text=TEXT, finish_reason="stop", usage=UNKNOWN, model="served"),
    "usage-null": Completion(text=TEXT, finish_reason="stop", usage=UNKNOWN, model="served"),
    "usage-detailed": Completion(
        text=TEXT,
        finish_reason="stop",
        usage=Usage(prompt_tokens=7, completion_tokens=4, reasoning_tokens=3, cached_tokens=5),
        model="served",
    ),
    "usage-sglang": Completion(
        text=TEXT,
        finish_reason="stop",
        usage=Usage(prompt_tokens=7, completion_tokens=4, reasoning_tokens=3),
        model="served",
    ),
    "usage-deepseek": Completion(
        text=TEXT,
        finish_reason="stop",
        usage=Usage(prompt_tokens=7, completion_tokens=4, cached_tokens=5),
        model="served",
    ),
    "reasoning": Completion(text="Four.", reasoning="Let me think.", finish_reason="stop", model="served"),
    "reasoning-content": Completion(text="Four.", reasoning="Let me think.", finish_reason="stop", model="served"),
    "reasoning-and-a-tag": Completion(text="It is </think>.", reasoning="Hm.", finish_reason="stop", model="served"),
    "think-tags": Completion(
        text="Four.", reasoning="Let me think.", finish_reason="stop", usage=COUNTED, model="served"
    ),
    "think-nothing": Completion(text="Four.", finish_reason="stop", usage=COUNTED, model="served"),
    "closing-tag-only": Completion(
        text="Four.", reasoning="Let me think.\n", finish_reason="stop", usage=COUNTED, model="served"
    ),
}


@pytest.mark.parametrize("model", REPLIES)
def test_a_reply_is_read_and_its_deltas_concatenate_to_it(model: str) -> None:
    completion, deltas = completed(model)
    assert completion == REPLIES[model]
    assert concatenated(deltas) == (completion.text, completion.reasoning)
    # only a tag that came too late takes anything back
    assert any(delta.restarted for delta in deltas) == (model == "closing-tag-only")


@pytest.mark.parametrize(
    ("model", "text", "reasoning"),
    [
        ("closing-tag-only", "Four.", "Let me think.\n"),
        ("think-tags", "Four.", "Let me think."),
        ("reasoning-content", "Four.", "Let me think."),
        ("cut-in-thought", "", "Let me think."),
        ("no-thought", "Four.", ""),
    ],
)
def test_a_reply_that_the_template_began_with_a_thought_is_parted(model: str, text: str, reasoning: str) -> None:
    completion, deltas = completed(model, starts_thinking=True)
    assert (completion.text, completion.reasoning) == concatenated(deltas) == (text, reasoning)


def test_pieces_are_told_as_they_come() -> None:
    async def run() -> None:
        deltas = list[Delta]()
        async with engine_on() as (engine, _):
            reply = asyncio.create_task(engine.generate(request("stall-in-stream"), deltas.append))
            await until_later(lambda: len(deltas) == 2)
            assert not reply.done()
            reply.cancel()
            await asyncio.wait([reply])

    asyncio.run(run())


def test_without_a_listener_the_completion_is_the_same() -> None:
    async def run() -> list[Completion]:
        async with engine_on() as (engine, _):
            return await together(engine.generate(request(model)) for model in REPLIES)

    assert asyncio.run(run()) == list(REPLIES.values())


# What fails

FAILURES: dict[str, tuple[type[EngineError], str]] = {
    "429": (Overloaded, "HOST answered 429: slow down"),
    "500": (Overloaded, "HOST answered 500: CUDA out of memory"),
    "500-empty": (Overloaded, "HOST answered 500: (empty body)"),
    "501": (Rejected, "HOST answered 501: This server does not support completions"),
    "502-html": (Overloaded, "HOST answered 502: an HTML page"),
    "400": (Rejected, "HOST answered 400: top_k: must be positive"),
    "401-echoing-the-key": (
        Rejected,
        (
            "HOST answered 401: bad key: Bearer [secret]"
            "; is the API key right? (--api-key-env names the variable that holds it)"
        ),
    ),
    "404": (
        Rejected,
        "HOST answered 404: Not Found; are the base URL (does it end in /v1?) and the model's name right?; "
        "the server has " + ", ".join(f"family-0/model-{n}" for n in range(10)) + ", …",
    ),
    "redirect": (
        Rejected,
        (
            "HOST redirects to http://127.0.0.1:9/v1/chat/completions"
            ": redirects are not followed, name that base URL instead"
        ),
    ),
    "reset": (Unreachable, "HOST broke the connection"),
    "reset-in-stream": (Unreachable, "HOST broke the connection in mid-reply"),
    "closed-in-headers": (Unreachable, "HOST broke the connection"),
    "short-of-its-length": (Unreachable, "HOST broke the connection in mid-reply"),
    "stall": (TimedOut, "HOST sent nothing for 0.3 s"),
    "stall-after-headers": (TimedOut, "HOST sent nothing for 0.3 s"),
    "stall-in-stream": (TimedOut, "HOST fell silent for 0.2 s in mid-reply"),
    "200-html": (Malformed, "HOST answered with no chat completion (text/html)"),
    "malformed-event": (
        Malformed,
        "HOST sent what is not a chat completion: JSON is malformed: object keys must be strings (byte 1)",
    ),
    "deep-event": (
        Malformed,
        "HOST sent what is not a chat completion: maximum recursion depth exceeded while deserializing an object",
    ),
    "wrong-shape": (
        Malformed,
        "HOST sent what is not a chat completion: Expected `array | null`, got `object` - at `$.choices`",
    ),
    "truncated": (Malformed, "HOST ended the reply before it was complete"),
    "truncated-in-event": (Malformed, "HOST sent what is not a chat completion: Input data was truncated"),
    "no-choices": (Malformed, "HOST answered with no chat completion (text/event-stream)"),
    "error-in-stream": (Overloaded, "HOST failed in mid-reply: engine died"),
    "rejected-in-stream": (Rejected, "HOST refused in mid-reply: no such adapter"),
    "error-echoing-the-key": (Overloaded, "HOST failed in mid-reply: bad key: Bearer [secret]"),
    "no-stream-error": (Overloaded, "HOST failed in mid-reply: out of memory"),
    "no-stream-broken": (Malformed, "HOST sent what is not a chat completion: Input data was truncated"),
    "overflow-in-stream": (
        ContextOverflow,
        "HOST: the prompt does not fit the window: the request exceeds the available context size",
    ),
}


@pytest.mark.parametrize("model", FAILURES)
def test_a_failure_is_named_for_what_happened_without_the_key(model: str) -> None:
    kind, message = FAILURES[model]
    error, _ = failed(model)
    assert type(error) is kind
    assert re.sub(r"127\.0\.0\.1:\d+", "HOST", str(error), count=1) == message
    assert KEY not in f"{error} {error!r} {error.args} {getattr(error, '__notes__', '')}"


@pytest.mark.parametrize("model", ["not-http", "500-deep"])
def test_other_nonsense_is_an_engine_error_of_one_short_line(model: str) -> None:
    error, _ = failed(model)
    assert 0 < len(str(error)) < 500
    assert str(error).isprintable()


def test_a_mangled_stream_is_a_completion_or_an_engine_error() -> None:
    async def run() -> list[str]:
        outcomes = list[str]()
        async with engine_on() as (engine, _):
            for _ in range(200):
                try:
                    outcomes.append(type(await engine.generate(request("mangled"))).__name__)
                except EngineError as error:
                    outcomes.append(type(error).__name__)
        return outcomes

    assert {"Completion", "Malformed"} <= set(asyncio.run(run()))


@given(
    st.integers(300, 599), st.binary() | st.text().map(str.encode), st.text("aZ09-_", min_size=8), st.text() | st.none()
)
@example(500, b'{"error":' * 20_000, KEY, None)
@example(429, b"", KEY, "Mon, 01 Jan 0001 00:00:00")
@example(429, b"", KEY, "inf")
def test_a_refusal_of_any_kind_is_an_engine_error_of_one_short_line(
    status: int, content: bytes, said: str, header: str | None
) -> None:
    secret = "sk-" + said
    error = error_for(
        status, content + secret.encode(), where="HOST", retry_after=header, location=header, secrets=(secret,)
    )
    assert str(error).isprintable()
    assert len(str(error)) < 600
    assert secret not in str(error)


@pytest.mark.parametrize(
    ("model", "prompt_tokens", "window"),
    [
        ("overflow-vllm", 4332, 4096),
        ("overflow-vllm-max-tokens", 1000, 4096),
        ("overflow-llama.cpp", 5000, 4096),
        ("overflow-openai", 10020, 8192),
        ("overflow-sglang", 5000, 4096),
        ("overflow-sglang-total", 1000, 4096),
        ("overflow-in-stream", 5000, 4096),
        ("400-in-two-pieces", None, 4096),
    ],
)
def test_an_overflow_is_told_from_other_refusals_with_its_numbers(
    model: str, prompt_tokens: int | None, window: int
) -> None:
    error, _ = failed(model)
    assert isinstance(error, ContextOverflow)
    assert (error.prompt_tokens, error.window) == (prompt_tokens, window)


@pytest.mark.parametrize(
    ("model", "seconds"),
    [("429", None), ("429-for-seconds", 7), ("429-until-a-date", 30), ("429-for-nonsense", None)],
)
def test_a_server_that_says_when_to_come_back_is_heard(model: str, seconds: float | None) -> None:
    error, _ = failed(model)
    assert isinstance(error, Overloaded)
    assert error.retry_after == (None if seconds is None else pytest.approx(seconds, abs=2))
    assert error.status == 429


def test_what_came_before_a_stream_broke_was_told() -> None:
    for model in ("reset-in-stream", "stall-in-stream", "truncated", "error-in-stream"):
        _, deltas = failed(model)
        assert [delta.text for delta in deltas] == ["Hello", ", w"]


def test_a_redirect_is_not_followed() -> None:
    async def run() -> list[str]:
        async with running() as other, engine_on(Faults(elsewhere=other.base_url + "/chat/completions")) as (engine, _):
            with pytest.raises(Rejected) as caught:
                await engine.generate(request("redirect"))
            assert other.base_url in str(caught.value)
            return other.paths

    assert asyncio.run(run()) == []


def test_what_a_listener_raises_is_its_own() -> None:
    errors = [BrokenPipeError("stdout is gone"), ValueError("not mine"), TimeoutError("nor mine"), Unreachable("odd")]

    async def run(error: Exception) -> None:
        def listen(_: Delta) -> None:
            raise error

        async with engine_on() as (engine, _):
            with pytest.raises(type(error)) as caught:
                await engine.generate(request("ok"), listen)
            assert caught.value is error

    for error in errors:
        asyncio.run(run(error))


# Where nobody answers


def unreachable(base_url: str, **more: Any) -> str:
    async def run() -> str:
        async with OpenAI(base_url, api_key=KEY, **more) as engine:
            with pytest.raises(Unreachable) as caught:
                await engine.generate(request("ok"))
            return str(caught.value)

    return asyncio.run(run())


def test_a_port_where_nobody_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert unreachable(f"http://127.0.0.1:{port}/v1").startswith(f"127.0.0.1:{port} cannot be reached: ")


def test_tls_spoken_to_a_server_without_is_named() -> None:
    async def run() -> None:
        async with running() as server, OpenAI(server.base_url.replace("http:", "https:")) as engine:
            with pytest.raises(Unreachable, match=r"^127\.0\.0\.1:\d+ cannot be reached: .*SSL"):
                await engine.generate(request("ok"))

    asyncio.run(run())


def test_a_server_that_accepts_no_connection_is_given_up_after_the_connect_timeout() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # a full backlog answers no further knock
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.getsockname())
        message = unreachable(
            f"http://127.0.0.1:{server.getsockname()[1]}/v1", timeouts=Timeouts(connect=0.2, first_byte=5)
        )
        assert message.endswith(" did not accept a connection in 0.2 s")


@pytest.mark.parametrize(
    ("base_url", "key", "message"),
    [
        ("127.0.0.1:8000/v1", None, "must be like http://"),
        ("ftp://127.0.0.1/v1", None, "must be like http://"),
        ("http:///v1", None, "must be like http://"),
        ("http://127.0.0.1:port/v1", None, "http://127.0.0.1:port/v1"),
        ("http://[::1/v1", None, r"http://\[::1/v1"),
        ("http://127.0.0.1/v1", KEY + "\n", "API key: holds a line break"),
        ("http://me:word@127.0.0.1/v1", KEY, "has a user name while there is an API key"),
    ],
)
def test_what_can_never_work_is_the_users_to_mend(base_url: str, key: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        OpenAI(base_url, api_key=key)
    assert KEY not in str(caught.value)


# What is sent


def test_seed_and_sampling_are_always_sent() -> None:
    sampling = Sampling(temperature=0.0, top_p=0.95, top_k=20, min_p=0.0)
    body, headers = sent(request("ok", sampling=sampling, max_tokens=100))
    assert body == {
        "model": "ok",
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 7,
        "temperature": 0.0,
        "top_p": 0.95,
        "top_k": 20,
        "min_p": 0.0,
        "max_tokens": 100,
    }
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_what_is_none_is_not_sent() -> None:
    body, _ = sent(request("ok"))
    assert body.keys() == {"model", "messages", "stream", "stream_options", "seed"}


def test_extras_are_sent_as_keys_of_the_body() -> None:
    body, _ = sent(request("ok", extras={"chat_template_kwargs": {"enable_thinking": False}, "n": 1}))
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["n"] == 1


def test_a_budget_of_claude_behind_a_proxy_is_below_the_limit_and_others_are_sent_as_they_are() -> None:
    for limit, budget, fitted in ((2048, 24_576, 1536), (16, 24_576, None), (2048, 256, 256)):
        body, _ = sent(request("ok", max_tokens=limit, extras={"thinking": {"budget_tokens": budget}}))
        assert body.get("thinking", {}).get("budget_tokens") == fitted


def test_the_limit_goes_by_the_name_that_the_request_gives_it() -> None:
    body, _ = sent(request("ok", max_tokens=100, limit_key="max_completion_tokens"))
    assert body["max_completion_tokens"] == 100
    assert "max_tokens" not in body


def test_a_schema_is_asked_for_strictly() -> None:
    body, _ = sent(request("ok", schema=SCHEMA))
    schema = {"name": "difficulty", "strict": True, "schema": SCHEMA.body}
    assert body["response_format"] == {"type": "json_schema", "json_schema": schema}


def test_without_a_key_nothing_is_authorised() -> None:
    async def run() -> dict[str, str]:
        async with running() as server, OpenAI(server.base_url + "/") as engine:
            await engine.generate(request("ok"))
            assert server.paths == ["/v1/chat/completions"]
            return server.headers[0]

    assert "Authorization" not in asyncio.run(run())


@pytest.mark.parametrize(("model", "key"), [("no-schema", "response_format"), ("no-stream-options", "stream_options")])
def test_a_key_that_a_server_refuses_is_left_out_from_then_on(model: str, key: str) -> None:
    async def run() -> list[bool]:
        async with engine_on() as (engine, server):
            for _ in range(2):
                completion = await engine.generate(request(model, schema=SCHEMA))
                assert completion.text == TEXT
            return [key in body for body in server.bodies]

    assert asyncio.run(run()) == [True, False, False]


def test_a_refusal_that_blames_what_was_not_sent_is_not_asked_again() -> None:
    async def run() -> list[str]:
        async with engine_on() as (engine, server):
            for model in ("400", "400-blaming-the-schema"):
                with pytest.raises(Rejected):
                    await engine.generate(request(model))
            return [body["model"] for body in server.bodies]

    assert asyncio.run(run()) == ["400", "400-blaming-the-schema"]


# Connections


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


@pytest.mark.slow
def test_a_slow_reply_may_take_longer_than_any_silence_is_stood() -> None:
    async def run() -> tuple[str, float]:
        async with engine_on(timeouts=Timeouts(first_byte=0.5, silence=0.5)) as (engine, _):
            start = time.monotonic()
            completion = await engine.generate(request("slow"))
            return completion.text, time.monotonic() - start

    text, seconds = asyncio.run(run())
    assert text == TEXT
    assert seconds > 0.6


def test_connections_are_used_again() -> None:
    async def run(model: str) -> int:
        async with engine_on() as (engine, server):
            for _ in range(5):
                with contextlib.suppress(EngineError):
                    await engine.generate(request(model))
            return len(server.connections)

    for model in ("ok", "late-end", "no-done", "no-stream", "429", "400", "400-in-two-pieces", "502-html"):
        assert asyncio.run(run(model)) == 1, model


def test_a_kept_connection_that_has_ended_costs_no_reply() -> None:
    async def run() -> None:
        async with engine_on() as (engine, _):
            for _ in range(20):
                replies = await together(engine.generate(request("hangs-up")) for _ in range(4))
                assert {reply.text for reply in replies} == {TEXT}

    asyncio.run(run())


def test_a_connection_that_ends_before_an_answer_is_tried_once_more_and_no_other_failure_is() -> None:
    async def run() -> dict[str, int]:
        async with engine_on() as (engine, server):
            assert (await engine.generate(request("reset-then-ok"))).text == TEXT
            for model in ("reset", "reset-in-stream", "429", "500", "truncated", "short-of-its-length"):
                with pytest.raises(EngineError):
                    await engine.generate(request(model))
            return Counter(body["model"] for body in server.bodies)

    asked = asyncio.run(run())
    assert {model for model, times in asked.items() if times == 2} == {"reset-then-ok", "reset"}
    assert max(asked.values()) == 2


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_five_hundred_requests_are_in_flight_at_once() -> None:
    async def run() -> None:
        everyone = asyncio.Event()
        faults = Faults()

        async def when_all_are_here(ask: Any) -> Any:
            await everyone.wait()
            return await faults.faults["ok"](ask)

        faults.faults["together"] = when_all_are_here
        async with engine_on(faults) as (engine, server):
            async with asyncio.TaskGroup() as group:
                replies = [group.create_task(engine.generate(request("together"))) for _ in range(500)]
                await until_later(lambda: server.open == 500, seconds=10)
                everyone.set()
            assert {reply.result().text for reply in replies} == {TEXT}
            assert server.most_open == 500

    asyncio.run(run())


def test_closing_ends_what_is_in_flight() -> None:
    async def run() -> None:
        async with running() as server:
            engine = OpenAI(server.base_url)
            replies = [asyncio.create_task(engine.generate(request(m))) for m in ("stall", "stall-in-stream")]
            await until_later(lambda: server.open == 2)
            await engine.close()
            for reply in replies:
                with pytest.raises(Unreachable):
                    await asyncio.wait_for(reply, 2)
            with pytest.raises(RuntimeError, match="closed"):
                await engine.generate(request("ok"))

    asyncio.run(run())


def test_a_proxy_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[str]:
        async with running() as proxy:
            monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
            for name in [name for name in os.environ if name.lower() == "no_proxy"]:
                monkeypatch.delenv(name)
            async with OpenAI("http://behind-the-proxy.invalid/v1") as engine:
                await engine.generate(request("ok"))
            return [headers["Host"] for headers in proxy.headers]

    assert asyncio.run(run()) == ["behind-the-proxy.invalid"]


def test_no_proxy_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert completed("ok")[0].text == TEXT


# Probes


def test_a_probe_reads_what_is_below_the_base_url() -> None:
    async def run() -> None:
        async with engine_on() as (engine, server):
            body = {"model": "no-stream", "messages": []}
            assert (await engine.fetch("/chat/completions", body))["usage"] == USAGE
            assert server.headers[0]["Authorization"] == f"Bearer {KEY}"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("model", "kind"),
    [("200-html", Malformed), ("404", Rejected), ("429", Overloaded), ("reset", Unreachable), ("stall", TimedOut)],
)
def test_a_probe_fails_as_a_generation_does(model: str, kind: type[ScaleError]) -> None:
    async def run() -> None:
        async with engine_on(timeouts=QUICK) as (engine, _):
            with pytest.raises(kind, match=r"^127\.0\.0\.1:"):
                await engine.fetch("/chat/completions", {"model": model})

    asyncio.run(run())
