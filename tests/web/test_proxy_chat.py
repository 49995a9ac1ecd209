"""A request read: every parameter is honoured or refused by its name, and a conversation becomes one problem."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.web.proxy.body import decode_object
from scale_reasoning.web.proxy.chat import Chat, read_chat, read_envelope
from scale_reasoning.web.proxy.conversation import problem_text
from scale_reasoning.web.proxy.names import Name
from scale_reasoning.web.proxy.refusals import Refusal

SCALE = Name("m", "scale")
USER = {"role": "user", "content": "What is 2 + 2?"}


def asked(**more: Any) -> Chat:
    said = decode_object(json.dumps({"model": "m@scale", "messages": [USER], **more}).encode())
    return read_chat(said, SCALE, max_calls=2000)


def refused(**more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        asked(**more)
    return caught.value


def test_sampling_replaces_the_familys_and_what_is_not_said_does_not() -> None:
    assert asked(temperature=0, top_p=0.5, top_k=3, min_p=0.1).sampling == {
        "temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.1,
    }  # fmt: skip
    assert asked(temperature=None).sampling == {}


def test_a_seed_is_the_runs_and_without_one_every_request_has_another() -> None:
    assert asked(seed=7).seed == 7
    assert asked().seed != asked().seed


def test_the_smaller_of_two_limits_caps_every_solution() -> None:
    assert asked(max_tokens=50, max_completion_tokens=40).strategy == Scale(
        system1_max_tokens=40, system2_max_tokens=40
    )


def test_n_stop_and_stream_options_are_read() -> None:
    chat = asked(n=3, stop="END", stream=True, stream_options={"include_usage": True})
    assert (chat.choices, chat.stops, chat.stream, chat.include_usage) == (3, ("END",), True, True)


def test_the_scale_object_holds_options_a_budget_and_the_wish_for_the_record() -> None:
    chat = asked(scale={"tau": 0.3, "token_budget": 1000, "record": True})
    assert (chat.strategy, chat.token_budget, chat.record) == (Scale(route=Threshold(tau=0.3)), 1000, True)


def test_the_content_is_what_the_name_the_body_or_the_server_says() -> None:
    assert asked().shown == "last"
    assert asked(scale={"content": "all"}).shown == "all"
    said = {"model": "m", "messages": [USER]}
    named = Name("m", "scale", (), ("last",))
    assert read_chat(said, named, max_calls=2000, shown="all").shown == "last"
    assert read_chat(said, SCALE, max_calls=2000, shown="all").shown == "all"


@pytest.mark.parametrize(
    ("names", "scale", "param"),
    [(("some",), {}, "model"), (("all", "all"), {}, "model"), (("all",), {"content": "all"}, "scale.content"),
     ((), {"content": "some"}, "scale.content"), ((), {"content": ["all"]}, "scale.content")],
)  # fmt: skip
def test_the_content_is_one_of_two_words_said_once(names: tuple[str, ...], scale: dict[str, Any], param: str) -> None:
    said = {"model": "m", "messages": [USER], "scale": scale}
    with pytest.raises(Refusal, match="content") as caught:
        read_chat(said, Name("m", "scale", (), names), max_calls=2000)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [], "tool_choice": "auto", "functions": None},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False, "logit_bias": {}},
        {"response_format": {"type": "text"}, "modalities": ["text"], "store": False},
        {"user": "u", "metadata": {"a": "b"}, "service_tier": "auto"},
    ],
)
def test_what_asks_for_nothing_is_accepted(more: dict[str, Any]) -> None:
    assert asked(**more).strategy == Scale()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tools", [{"type": "function"}]),
        ("functions", [{"name": "f"}]),
        ("response_format", {"type": "json_schema", "json_schema": {}}),
        ("logprobs", True),
        ("top_logprobs", 5),
        ("audio", {"voice": "x"}),
        ("modalities", ["text", "audio"]),
        ("frequency_penalty", 0.5),
        ("logit_bias", {"1": 5}),
        ("prediction", {"type": "content"}),
        ("something_new", 1),
    ],
)
def test_what_would_change_the_answer_and_cannot_is_refused_by_its_name(key: str, value: Any) -> None:
    refusal = refused(**{key: value})
    assert (refusal.status, refusal.code, refusal.param) == (400, "unsupported_parameter", key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 2.5),
        ("temperature", "warm"),
        ("top_p", 0),
        ("max_tokens", 0),
        ("n", 17),
        ("n", 1.5),
        ("seed", "x"),
        ("stop", [""]),
        ("stop", [str(n) for n in range(17)]),
        ("stream", "yes"),
        ("messages", []),
        ("messages", "hello"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_parameters_name(key: str, value: Any) -> None:
    refusal = refused(**{key: value})
    assert (refusal.status, refusal.param) == (400, key)


def test_the_record_is_of_one_attempt_and_usage_options_are_of_streams() -> None:
    assert refused(n=2, scale={"record": True}).param == "scale.record"
    assert refused(stream_options={"include_usage": True}).param == "stream_options"
    assert refused(stream=True, stream_options={"x": True}).param == "stream_options.x"
    assert refused(scale={"token_budget": 0}).param == "scale.token_budget"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "invalid_json"), (b"{", "invalid_json"), (b"\xff", "invalid_json"), (b"[" * 10**5, "invalid_json"),
     (b"[]", "invalid_value"), (b'{"model": 3}', "invalid_value"), (b"{}", "invalid_value")],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_envelope(decode_object(content), most_messages=1)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(Refusal) as caught:
        read_envelope({"model": "m", "messages": [USER] * 3}, most_messages=2)
    assert (caught.value.status, caught.value.param) == (400, "messages")


def test_one_user_message_is_the_problem_as_it_stands() -> None:
    assert (
        problem_text(
            [{"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "1?"}]}]
        )
        == "What is\n1?"
    )


def test_earlier_turns_are_context_and_the_last_user_message_is_the_problem() -> None:
    text = problem_text(
        [
            {"role": "system", "content": "Answer in metres."},
            {"role": "user", "content": "How far is a mile?"},
            {"role": "assistant", "content": "1609", "reasoning_content": "hidden", "tool_calls": None},
            {"role": "user", "content": "And two?"},
        ]
    )
    assert text == (
        "Answer in metres.\n\nEarlier in this conversation:\n\nUser: How far is a mile?\n\nAssistant: 1609\n\n"
        "Now:\n\nAnd two?"
    )


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "assistant", "content": "so"}], "messages"),
        ([{"role": "user", "content": " "}], "messages"),
        ([{"role": "user", "content": None}], "messages"),
        ([{"role": "tool", "content": "x"}, USER], "messages[0].role"),
        ([{"role": "assistant", "tool_calls": [{}]}, USER], "messages[0].tool_calls"),
        ([USER, {"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "messages[1].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": 3}], "messages[0].content"),
        ([{"role": "user", "content": "x" * 200_001}], "messages"),
    ],
)
def test_what_is_not_text_or_no_question_is_refused_by_its_place(messages: list[dict[str, Any]], param: str) -> None:
    with pytest.raises(Refusal) as caught:
        problem_text(messages)
    assert (caught.value.status, caught.value.param) == (400, param)
