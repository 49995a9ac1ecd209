"""Bytes, numbers and messages that clients send, by mistake or not: answered with 400 in OpenAI's shape, or taken."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.patience import ends_in_time
from tests.servers import ModelServer
from tests.web.proxies import MODEL, PROBLEM, Proxy, both

from scale_reasoning.web.proxy.body import decode_object
from scale_reasoning.web.proxy.chat import read_chat
from scale_reasoning.web.proxy.conversation import problem_text
from scale_reasoning.web.proxy.names import Name
from scale_reasoning.web.proxy.refusals import Refusal

COT = f"{MODEL}@cot"
HEAD = f'{{"model": "{COT}", "messages": [{{"role": "user", "content": "2 + 2?"}}], '
DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Proxy, ModelServer]]:
    with both() as made:
        yield made


@pytest.fixture(scope="module")
def keyed() -> Iterator[Proxy]:
    with both(keys=("right",)) as (proxy, _):
        yield proxy


BAD = [
    HEAD.encode() + b'"temperature": 1e999}',
    HEAD.encode() + b'"temperature": -1e999}',
    HEAD.encode() + b'"temperature": NaN}',
    HEAD.encode() + b'"temperature": Infinity}',
    HEAD.encode() + f'"n": {DIGITS}}}'.encode(),
    HEAD.encode() + f'"seed": {DIGITS}}}'.encode(),
    HEAD.encode() + f'"seed": {2**63}}}'.encode(),
    HEAD.encode() + f'"seed": -{DIGITS}}}'.encode(),
    HEAD.encode() + b'"max_tokens": 99999999999999999999}',
    HEAD.encode() + b'"top_k": 99999999999999999999}',
    HEAD.encode() + f'"scale": {{"samples": {DIGITS}}}}}'.encode(),
    HEAD.encode() + f'"scale": {{"system2_max_tokens": "{DIGITS}"}}}}'.encode(),
    HEAD.encode() + b'"scale": {"token_budget": 1e999}}',
    HEAD.encode() + b'"scale": {"tau": "nan"}}',
    HEAD.encode() + b'"n": 2, "n": 3}',
    HEAD.encode() + b'"scale": {"mode": "system1", "mode": "system2"}}',
    HEAD.encode() + b'"model": "other"}',
    HEAD.encode() + b'"stop": "\xff"}',
    HEAD.encode() + b'"stop": "\\ud800"}',
    HEAD.encode() + b'"stop": "\\udc00x"}',
    HEAD.encode() + b'"x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    HEAD.encode() + b'"x": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    HEAD.encode() + b'"stop": [["a"]]}',
    HEAD.encode() + b'"stream": 1}',
    HEAD.encode() + b'"stream_options": [1]}',
    HEAD.encode() + b'"reasoning_effort": ["low"]}',
    HEAD.encode() + b'"scale": [1]}',
    HEAD.encode() + b'"scale": {"mode": {"a": [1]}}}',
    HEAD.encode() + b'"logit_bias": NaN}',
    b"\xef\xbb\xbf" + HEAD.encode() + b'"n": 1}',
    (HEAD + '"n": 1}').encode("utf-16"),
    HEAD.encode() + b'"stop": "\x01"}',
    HEAD.encode() + b'"n": 1} trailing',
    b'{"model": ["a"], "messages": []}',
    b'{"model": null, "messages": []}',
    b"null",
    b'"text"',
    b"1e999",
    b"",
    b"\xff\xfe",
    *(
        f'{{"model": "{COT}", "messages": {messages}}}'.encode()
        for messages in (
            '[{"role": ["user"], "content": "x"}]', '[{"role": {"a": 1}, "content": "x"}]', '[["user", "x"]]', "[null]",
            '[{"role": "user", "content": {"a": 1}}]', '[{"role": "user", "content": [["text"]]}]',
            '[{"content": "x"}]',
            '[{"role": "user", "content": [{"type": ["text"], "text": "x"}]}]', '{"role": "user"}', "[]", "3",
            '[{"role": "user", "content": [{"type": "text", "text": 3}]}]', '[{"role": "user", "role": "user"}]',
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("content", BAD)
def test_what_cannot_be_read_is_a_400_with_or_without_keys(
    pair: tuple[Proxy, ModelServer], keyed: Proxy, content: bytes
) -> None:
    for proxy, headers in ((pair[0], {}), (keyed, {"authorization": "Bearer right"})):
        answer = proxy.send(content, headers=headers)
        assert answer.status == 400, answer.content[:300]
        assert set(answer.json["error"]) == {"message", "type", "param", "code"}
        assert len(answer.content) < 3000


@pytest.mark.parametrize(
    "content",
    [b'{"model": "other", "n": 1e999}', b'{"model": "other", "x": "\xff"}', b'{"model": "o", "a": 1, "a": 2}'],
)
def test_what_cannot_be_read_is_not_passed_through_either(pair: tuple[Proxy, ModelServer], content: bytes) -> None:
    proxy, server = pair
    asked = len(server.bodies)
    assert proxy.send(content).json["error"]["code"] == "invalid_json"
    assert len(server.bodies) == asked


def spoken(proxy: Proxy, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    body = json.dumps({"model": COT, "messages": [{"role": "user", "content": PROBLEM}]}).encode()
    head = (b"POST /v1/chat/completions " + version, b"content-type: application/json", *lines)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        client.sendall(b"".join(line + b"\r\n" for line in head) + length + body)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_bytes_that_are_no_text_in_a_header_are_a_wrong_key_or_no_matter(
    pair: tuple[Proxy, ModelServer], keyed: Proxy
) -> None:
    host = b"host: localhost"
    assert b" 401 " in spoken(keyed, host, b"authorization: Bearer \xff\xfe").splitlines()[0]
    assert b" 200 " in spoken(pair[0], host, b"authorization: Bearer \xff").splitlines()[0]
    assert b" 200 " in spoken(pair[0], host, b"user-agent: \xff", b"x-request-id: \xff").splitlines()[0]
    assert b" 403 " in spoken(pair[0], b"host: \xff\xff").splitlines()[0]


def test_bytes_that_are_no_text_in_a_header_do_not_end_a_pass_through(pair: tuple[Proxy, ModelServer]) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}).encode()
    with socket.create_connection(("127.0.0.1", pair[0].port), timeout=5) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nuser-agent: \xff\r\nconnection: close\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        assert b" 200 " in client.recv(1000).splitlines()[0]


@pytest.mark.parametrize(
    "sent",
    [b"hello\r\n\r\n",
     b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
     b"GET / HTTP/1.0\r\nx y\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_refused_in_the_same_shape(pair: tuple[Proxy, ModelServer], sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", pair[0].port), timeout=5) as client:
        client.sendall(sent)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


def test_http_1_0_is_answered_in_the_same_shape(pair: tuple[Proxy, ModelServer]) -> None:
    assert b" 200 " in spoken(pair[0], b"host: localhost", version=b"HTTP/1.0").splitlines()[0]
    refused = spoken(pair[0], version=b"HTTP/1.0")
    assert b" 403 " in refused.splitlines()[0]
    assert b"host_not_allowed" in refused


ASSISTANT = [
    {"provider_specific_fields": {"a": 1}, "reasoning_details": [{"type": "reasoning.text", "text": "t"}]},
    {"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}], "id": "msg_1", "name": "solver"},
    {"annotations": [{"type": "url_citation"}], "audio": None, "function_call": None, "tool_calls": None},
    {"tool_calls": [], "refusal": None, "reasoning": "r", "reasoning_content": "r"},
    {"created": 1, "model": "m", "usage": {"a": 1}, "finish_reason": "stop", "index": 0, "images": []},
]


@pytest.mark.parametrize("more", ASSISTANT)
def test_what_an_earlier_reply_holds_may_be_sent_back(more: dict[str, Any]) -> None:
    earlier = {"role": "assistant", "content": "It is 4.", **more}
    text = problem_text([{"role": "user", "content": "2 + 2?"}, earlier, {"role": "user", "content": "And 3 + 3?"}])
    assert "Assistant: It is 4." in text
    assert "solver" not in text


def test_the_proxys_own_reply_may_be_sent_back(pair: tuple[Proxy, ModelServer]) -> None:
    first = {"role": "user", "content": PROBLEM}
    said = pair[0].ask(f"{MODEL}@scale").json["choices"][0]["message"]
    answer = pair[0].ask(COT, messages=[first, said, {"role": "user", "content": "And twice that?"}])
    assert answer.status == 200


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([{"type": "refusal", "refusal": "I will not."}], "I will not."),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "4"}], "4"),
        ([{"type": "reasoning", "summary": []}, {"type": "output_text", "text": "4", "annotations": []}], "4"),
        ([{"type": "text", "text": "4", "cache_control": {"type": "ephemeral"}}], "4"),
    ],
)
def test_parts_of_an_earlier_reply_are_its_text_without_its_thoughts(parts: list[Any], text: str) -> None:
    turns = [
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": parts},
        {"role": "user", "content": "?"},
    ]
    assert f"Assistant: {text}\n" in problem_text(turns)


@pytest.mark.parametrize(
    "message", [{"tool_calls": [{"id": "1"}]}, {"function_call": {"name": "f"}}, {"audio": {"id": "a"}}]
)
def test_what_a_problem_cannot_carry_is_refused_in_an_earlier_reply_too(message: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        problem_text([{"role": "assistant", "content": "", **message}, {"role": "user", "content": "?"}])


NEUTRAL: dict[str, Any] = {
    "repetition_penalty": 1.0, "presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}, "tools": [],
    "chat_template_kwargs": {}, "response_format": {"type": "text"}, "logprobs": False, "top_logprobs": 0,
    "store": True,
    "user": "u", "metadata": {"a": "b"}, "service_tier": "auto", "stream_options": {"include_usage": False}, "n": 1,
    "parallel_tool_calls": True, "tool_choice": "none", "best_of": 1, "min_tokens": 0, "ignore_eos": False,
    "echo": False,
    "stop": None, "seed": None, "audio": None, "prediction": None, "length_penalty": 1.0, "skip_special_tokens": True,
    "add_generation_prompt": True, "stop_token_ids": [], "top_k": -1, "min_p": 0, "verbosity": "medium",
}  # fmt: skip


@pytest.mark.parametrize("key", NEUTRAL)
def test_a_value_that_asks_for_nothing_is_accepted(key: str) -> None:
    said = {"model": "m@cot", "messages": [{"role": "user", "content": "2 + 2?"}], key: NEUTRAL[key]}
    assert read_chat(decode_object(json.dumps(said).encode()), Name("m", "cot"), max_calls=10).choices == 1


@pytest.mark.parametrize("filler", ["{},", "[],", "1,", '"",', '{"a":1},'])
def test_a_body_of_millions_of_values_is_refused_before_it_is_read(filler: str) -> None:
    content = HEAD.encode() + b'"x": [' + filler.encode() * (4_000_000 // len(filler)) + b"1]}"
    with ends_in_time(), pytest.raises(Refusal, match="50,000 values"):
        decode_object(content)


def test_commas_and_brackets_in_texts_are_no_values() -> None:
    text = 'a, [b], {c} \\ "quoted" \\\\' * 50_000
    content = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    assert decode_object(content)["messages"][0]["content"] == text


def test_a_text_without_an_end_is_refused_in_time_in_proportion_to_it() -> None:
    with ends_in_time(), pytest.raises(Refusal):
        decode_object(b'{"a":[' + b"," * 60_000 + b'"' + b'\\"' * 500_000)
