from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from tests.patience import TOO_LONG
from tests.speed import mark_slow

from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.fetching import find
from scale_reasoning.engines.listing import read_list
from scale_reasoning.engines.llama import Llama
from scale_reasoning.errors import ConfigError, ContextOverflow, Unreachable
from scale_reasoning.types import JSON, Completion, Delta, Message, Mode, Request, Sampling, Schema

needs_model = pytest.mark.llama


@pytest.fixture(scope="module")
def model() -> Path:
    found = find(SMOLLM2)
    return found or pytest.skip("the packaged model is not here")


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(model: Path, runner: asyncio.Runner) -> Iterator[Llama]:
    """An engine with one slot, in the runner's loop, for all tests that leave it as it is."""
    engine = runner.run(Llama.start(model, slots=1))
    yield engine
    runner.run(engine.close())


def request(
    *texts: str, seed: int = 1, max_tokens: int = 40, temperature: float = 0.8, schema: Mapping[str, JSON] | None = None
) -> Request:
    """Turns of user and assistant, after a system prompt that all share."""
    turns = [Message("system", "You solve problems step by step. " * 6)]
    turns += [Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]
    return Request(
        model="smollm2",
        messages=tuple(turns),
        mode=Mode.SYSTEM1,
        seed=seed,
        max_tokens=max_tokens,
        sampling=Sampling(temperature=temperature, top_p=0.95, top_k=50, min_p=0.0),
        schema=None if schema is None else Schema(name="reply", body=schema),
    )


def gone(pid: int, seconds: float = TOO_LONG) -> bool:
    """Whether the process ends (or waits only to be collected) in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.gguf"):
        asyncio.run(Llama.start(tmp_path / "nowhere.gguf"))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    (tmp_path / "a.gguf").touch()
    with pytest.raises(ConfigError, match=r"pip install 'scale-reasoning\[local\]'"):
        asyncio.run(Llama.start(tmp_path / "a.gguf"))


@needs_model
@pytest.mark.parametrize("name", ["slots", "window", "threads"])
def test_a_count_below_one_is_named(model: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        asyncio.run(Llama.start(model, **{name: 0}))


@needs_model
def test_a_file_that_is_no_gguf_is_refused_with_llama_cpps_words(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("these are notes")
    with pytest.raises(ConfigError, match=r"(?s)notes\.gguf.*expected 'GGUF'"):
        asyncio.run(Llama.start(tmp_path / "notes.gguf"))


@needs_model
def test_a_model_that_takes_too_long_to_load_is_given_up(model: Path) -> None:
    with pytest.raises(Unreachable, match=r"within 0\.05 s"):
        asyncio.run(Llama.start(model, seconds=0.05))


@needs_model
def test_a_request_is_answered_as_it_streams(model: Path, runner: asyncio.Runner, engine: Llama) -> None:
    deltas = list[Delta]()
    reply = runner.run(engine.generate(request("What is 2 + 2?"), deltas.append))
    assert engine.window == 4096
    assert reply.text == "".join(delta.text for delta in deltas) != ""
    assert reply.model == model.stem
    assert reply.usage.completion_tokens is not None
    assert 1 < len(deltas) <= reply.usage.completion_tokens + 1


@needs_model
def test_the_window_is_never_above_the_trained_one(model: Path) -> None:
    async def run() -> int:
        async with await Llama.start(model, slots=1, window=10_000) as engine:
            return engine.window

    assert asyncio.run(run()) == 8192


@needs_model
def test_the_model_is_listed_and_answers_under_its_alias(model: Path) -> None:
    async def run() -> tuple[set[str], str | None]:
        async with await Llama.start(model, alias="mine", slots=1, window=512) as engine:
            return set(read_list(await engine.fetch("/models")) or ()), (await engine.generate(request("Hi."))).model

    assert asyncio.run(run()) == ({"mine"}, "mine")


@needs_model
def test_a_prompt_above_the_window_overflows(model: Path) -> None:
    async def run() -> None:
        async with await Llama.start(model, slots=1, window=512) as engine:
            await engine.generate(request("and so on " * 300))

    with pytest.raises(ContextOverflow) as caught:
        asyncio.run(run())
    assert caught.value.window == 512


async def chain(engine: Llama, number: int) -> list[Completion]:
    """Three steps, each prompt extending the last, and a constrained side question after each."""
    rating = {"type": "object", "properties": {"difficulty": {"type": "number"}}, "required": ["difficulty"]}
    turns, replies = [f"Problem: what is {number} * {number + 3}?"], list[Completion]()
    for step in range(3):
        side = await engine.generate(
            request(*turns[:-1], turns[-1] + " Rate it.", seed=step, max_tokens=12, schema=rating)
        )
        reply = await engine.generate(request(*turns, seed=10 * number + step, max_tokens=20))
        replies += [side, reply]
        turns += [reply.text, f"Step {step}."]
    return replies


@pytest.mark.slow
@needs_model
def test_one_seed_gives_one_reply_whatever_runs_beside_it_and_whatever_is_cached(model: Path) -> None:
    async def run() -> tuple[list[str], list[str], list[str]]:
        async with await Llama.start(model, slots=2) as engine, asyncio.TaskGroup() as group:
            alone = [await chain(engine, number) for number in range(3)]
            beside = {number: group.create_task(chain(engine, number)) for number in (2, 0, 1)}
            together = [await beside[number] for number in range(3)]
        async with await Llama.start(model, slots=4) as engine:
            fresh = [await chain(engine, number) for number in (2, 1, 0)][::-1]
        assert sum(reply.usage.cached_tokens or 0 for replies in together for reply in replies) > 1000
        words = [[reply.text for replies in replies_of for reply in replies] for replies_of in (alone, together, fresh)]
        return words[0], words[1], words[2]

    alone, together, fresh = asyncio.run(run())
    assert alone == together
    assert alone == fresh


@needs_model
def test_another_seed_gives_another_reply(runner: asyncio.Runner, engine: Llama) -> None:
    asked = [request("Tell me a story.", seed=seed, max_tokens=12) for seed in range(4)]
    assert len({runner.run(engine.generate(each)).text for each in asked}) > 1


@needs_model
@pytest.mark.parametrize("seed", [0, *mark_slow(1, 2, 3)])
def test_a_schema_is_kept_to(seed: int, runner: asyncio.Runner, engine: Llama) -> None:
    steps = {"type": "array", "items": {"type": "string", "maxLength": 40}, "minItems": 1, "maxItems": 3}
    choice = {
        "type": "object",
        "properties": {"choice": {"type": "integer", "enum": [1, 2, 3]}},
        "required": ["choice"],
        "additionalProperties": False,
    }

    reply = runner.run(engine.generate(request("Steps, please.", seed=seed, max_tokens=200, schema=steps)))
    assert 1 <= len(json.loads(reply.text)) <= 3
    reply = runner.run(engine.generate(request("Which one?", seed=seed, schema=choice)))
    assert json.loads(reply.text)["choice"] in (1, 2, 3)


@needs_model
def test_cancelling_frees_the_only_slot_at_once(runner: asyncio.Runner, engine: Llama) -> None:
    endless = {"type": "string", "minLength": 100_000}

    async def run() -> float:
        began = asyncio.Event()
        long = asyncio.create_task(
            engine.generate(request("Count.", max_tokens=3500, schema=endless), lambda _: began.set())
        )
        await began.wait()
        long.cancel()
        start = time.monotonic()
        await engine.generate(request("Count.", max_tokens=1))
        return time.monotonic() - start

    assert runner.run(run()) < TOO_LONG


@needs_model
def test_closing_ends_the_child_in_the_middle_of_a_reply(model: Path) -> None:
    async def run() -> int:
        async with await Llama.start(model, slots=1) as engine:
            began = asyncio.Event()
            task = asyncio.create_task(
                engine.generate(request("Tell me a story.", max_tokens=2000), lambda _: began.set())
            )
            await began.wait()
        with pytest.raises(Unreachable):
            await task
        return engine.pid

    assert gone(asyncio.run(run()))


@needs_model
def test_a_child_that_dies_is_named(model: Path) -> None:
    async def run() -> None:
        async with await Llama.start(model, slots=1) as engine:
            began = asyncio.Event()
            task = asyncio.create_task(
                engine.generate(request("Tell me a story.", max_tokens=2000), lambda _: began.set())
            )
            await began.wait()
            os.kill(engine.pid, signal.SIGTERM)
            for again in (task, asyncio.create_task(engine.generate(request("Hello?")))):
                with pytest.raises(Unreachable, match=r"llama\.cpp, serving .*\.gguf, was killed by signal 15"):
                    await again

    asyncio.run(run())


@needs_model
def test_a_parent_that_is_killed_leaves_no_child(model: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from scale_reasoning.engines.llama import Llama\n"
        "async def main():\n"
        "    engine = await Llama.start(pathlib.Path(sys.argv[1]), slots=1)\n"
        "    print(engine.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(model)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


@needs_model
@pytest.mark.parametrize("seconds", [0.3, *mark_slow(0.8)])
def test_a_parent_that_is_killed_while_the_model_loads_leaves_no_child(seconds: float, model: Path) -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "from scale_reasoning.engines import llama\n"
        "spawn = llama._spawn\n"
        "async def told(log):\n"
        "    process = await spawn(log)\n"
        "    print(process.pid, flush=True)\n"
        "    return process\n"
        "llama._spawn = told\n"
        "asyncio.run(llama.Llama.start(pathlib.Path(sys.argv[1]), slots=1))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(model)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(seconds)
        parent.kill()
    assert gone(child)


@needs_model
def test_nobody_without_the_key_is_served(runner: asyncio.Runner, engine: Llama) -> None:
    async def run() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{engine.base_url}/chat/completions", json={"messages": []}) as response,
        ):
            return response.status

    assert runner.run(run()) == 401
