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
from tests.servers import ModelServer, send
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
