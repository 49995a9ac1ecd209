"""The proxy with clients that nobody here wrote: the openai SDK, LangChain, and a harness that gets a score."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.patience import until
from tests.servers import ModelServer, reply_to, send, stream
from tests.web.proxies import MODEL, PROBLEM, Proxy, both, command, listing, proxied, serving

from scale_reasoning.web.proxy.gate import Limits

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("default")]  # their warnings are theirs

ASKED: list[Any] = [{"role": "user", "content": PROBLEM}]
SCALE = f"{MODEL}@scale"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with both(listing) as (proxy, _):
        yield proxy


async def endless(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    while True:
        await send(response, {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm. "}}]})
        await asyncio.sleep(0.005)


def openai_client(proxy: Proxy, **more: Any) -> Any:
    return pytest.importorskip("openai").OpenAI(base_url=proxy.base_url, api_key="x", max_retries=0, **more)


def test_the_openai_sdk_gets_an_answer_its_working_its_usage_and_the_record(proxy: Proxy) -> None:
    with openai_client(proxy) as client:
        answer = client.chat.completions.create(
            model=SCALE, messages=ASKED, temperature=0.5, extra_body={"scale": {"tau": 0.3, "record": True}}
        )
    assert answer.choices[0].message.content == "It is \\boxed{12}."
    assert "difficulty 0.90, System 2" in answer.choices[0].message.reasoning_content
    assert answer.usage.completion_tokens_details.reasoning_tokens == 4
    assert answer.usage.prompt_tokens_details.cached_tokens == 390
    assert answer.scale["strategy"]["route"]["tau"] == 0.3


def test_the_openai_sdk_lists_the_models(proxy: Proxy) -> None:
    with openai_client(proxy) as client:
        names = [model.id for model in client.models.list()]
        assert {SCALE, f"{MODEL}@vote", MODEL, "other/model-0"} <= set(names)
        assert client.models.retrieve(SCALE).id == SCALE


def test_the_openai_sdk_streams(proxy: Proxy) -> None:
    with openai_client(proxy) as client:
        stream = client.chat.completions.create(
            model=SCALE, messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "It is \\boxed{12}."
    assert "Let me think." in "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert chunks[-1].usage.total_tokens == 780


def test_the_openai_sdk_reads_the_raw_response(proxy: Proxy) -> None:
    with openai_client(proxy) as client:
        raw = client.chat.completions.with_raw_response.create(model=f"{MODEL}@cot", messages=ASKED, seed=11)
    assert (raw.status_code, raw.headers["x-scale-seed"]) == (200, "11")
    assert raw.parse().choices[0].finish_reason == "stop"


def test_the_openai_sdk_uses_the_model_itself(proxy: Proxy) -> None:
    with openai_client(proxy) as client:
        stream = client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "It is \\boxed{12}."
        )


def test_the_openai_sdk_raises_its_own_errors(proxy: Proxy) -> None:
    openai = pytest.importorskip("openai")
    with openai_client(proxy) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model=SCALE, messages=ASKED, logprobs=True)
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "logprobs")
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=f"{MODEL}@scal", messages=ASKED)
    with both(endless, limits=Limits(token_budget=50)) as (limited, _), openai_client(limited) as client:
        stream = client.chat.completions.create(model=f"{MODEL}@cot", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match="budget"):
            list(stream)
    with proxied("http://127.0.0.1:9/v1", retries=0) as lonely, openai_client(lonely) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            client.chat.completions.create(model=SCALE, messages=ASKED)
        assert failed.value.status_code == 502
    with (
        both(keys=("right",)) as (locked, _),
        openai_client(locked) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_the_async_openai_sdk_answers_streams_and_cancels() -> None:
    openai = pytest.importorskip("openai")

    async def whole_and_stream(base_url: str) -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="x") as client:
            whole = await client.chat.completions.create(model=f"{MODEL}@vote", messages=ASKED)
            stream = await client.chat.completions.create(model=f"{MODEL}@vote", messages=ASKED, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return whole.choices[0].message.content, "".join(pieces)

    async def leave(base_url: str, server: ModelServer) -> None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="x") as client:
            stream = await client.chat.completions.create(model=f"{MODEL}@cot", messages=ASKED, stream=True)
            async for _ in stream:
                break
            assert server.open == 1
            await stream.close()

    with both() as (proxy, _):
        assert asyncio.run(whole_and_stream(proxy.base_url)) == ("It is \\boxed{12}.",) * 2
    with both(endless) as (proxy, server):
        asyncio.run(leave(proxy.base_url, server))
        until(lambda: server.open == 0)


def test_langchain_answers_and_streams(proxy: Proxy) -> None:
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(
        model=SCALE, base_url=proxy.base_url, api_key="x", temperature=0.2, extra_body={"scale": {"candidates": 2}}
    )
    answer = model.invoke([("system", "Answer in dollars."), ("human", PROBLEM)])
    assert answer.content == "It is \\boxed{12}."
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 4
    assert "".join(str(chunk.content) for chunk in model.stream(PROBLEM)) == "It is \\boxed{12}."


ADD: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}


async def all_paths(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A model server with embeddings, completions, responses, and calls of tools."""
    if request.path.endswith("/embeddings"):
        entries = [{"object": "embedding", "index": n, "embedding": [0.5, 0.25]} for n in range(len(body["input"]))]
        return web.json_response({"object": "list", "model": "e", "data": entries, "usage": USED})
    if request.path == "/v1/completions":
        return web.json_response({"id": "c", "object": "text_completion", "created": 1, "model": "m",
                                  "choices": [{"index": 0, "text": "It is 12.", "finish_reason": "stop"}]})  # fmt: skip
    if request.path.endswith("/responses"):
        part = {"type": "output_text", "text": "It is 12.", "annotations": []}
        said = {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [part]}
        whole = {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": "m",
            "output": [said],
        }
        return web.json_response({**whole, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []})
    if "tools" not in body or body.get("stream"):
        return await stream(request, reply_to({"seed": 0, **body}))
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]},
              "finish_reason": "tool_calls"}  # fmt: skip
    return web.json_response({"id": "x", "object": "chat.completion", "created": 1, "model": MODEL,
                              "choices": [choice], "usage": USED})  # fmt: skip


USED = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@pytest.fixture(scope="module")
def lenient() -> Iterator[Proxy]:
    with both(all_paths, lenient=True, server="generic") as (proxy, _):
        yield proxy


def test_the_openai_sdk_uses_embeddings_completions_and_responses_of_the_model_server(lenient: Proxy) -> None:
    with openai_client(lenient) as client:
        vectors = client.embeddings.create(model="e", input=["a", "b"], encoding_format="float")
        assert [entry.embedding for entry in vectors.data] == [[0.5, 0.25]] * 2
        assert client.completions.create(model="m", prompt="x").choices[0].text == "It is 12."
        assert client.responses.create(model="m", input="x").output_text == "It is 12."


def test_the_openai_sdk_gets_the_plain_models_call_of_a_tool_and_reads_why(lenient: Proxy) -> None:
    with openai_client(lenient) as client:
        raw = client.chat.completions.with_raw_response.create(model=SCALE, messages=ASKED, tools=[ADD])
    assert raw.headers["x-scale-lenient"] == "tools"
    assert raw.parse().choices[0].message.tool_calls[0].function.name == "add"


def test_the_openai_sdk_gets_the_whole_solution_and_sets_the_effort(lenient: Proxy) -> None:
    with openai_client(lenient) as client:
        answer = client.chat.completions.create(
            model=f"{SCALE}:effort=high,content=all", messages=ASKED, extra_body={"scale": {"record": True}}
        )
        assert answer.choices[0].message.content.startswith("### Step 1 of 2: How many groups of 3?")
        assert answer.scale["strategy"]["route"]["tau"] == 0.2
        asked = client.chat.completions.create(model=SCALE, messages=ASKED, reasoning_effort="low")
        assert asked.choices[0].message.content == "It is \\boxed{12}."


def test_langchain_calls_tools_and_embeds_where_the_plain_model_stands_in(lenient: Proxy) -> None:
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(model=SCALE, base_url=lenient.base_url, api_key="x", reasoning_effort="high")
    assert model.invoke(PROBLEM).content == "It is \\boxed{12}."
    assert model.bind_tools([ADD]).invoke("1 + 2?").tool_calls[0]["args"] == {"a": 1, "b": 2}
    embeddings = langchain.OpenAIEmbeddings(
        model="e", base_url=lenient.base_url, api_key="x", check_embedding_ctx_length=False
    )
    assert embeddings.embed_documents(["a", "b"]) == [[0.5, 0.25]] * 2


TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def pens():
    samples = [Sample(input="What do 18 pens cost at 3 for 2 dollars?", target="boxed{12}"),
               Sample(input="What do 21 pens cost at 3 for 2 dollars?", target="boxed{14}")]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


def test_inspect_runs_a_task_against_a_strategy_and_gets_a_score(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    (tmp_path / "pens.py").write_text(TASK)
    with serving() as server, command("--base-url", server.base_url, "--model", MODEL) as proxy:
        env = {**os.environ, "SCALE_API_KEY": "x", "SCALE_BASE_URL": proxy.base_url, "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "inspect_ai", "eval", "pens.py", "--model", f"openai-api/scale/{SCALE}",
             "--log-format", "json", "--log-dir", "logs", "--display", "plain", "--max-tokens", "500"],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    log = json.loads(next((tmp_path / "logs").glob("*.json")).read_text())
    assert log["status"] == "success"
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5
