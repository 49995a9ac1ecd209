"""A folder as an engine: a tiny model that has learnt one reply by heart, and one of random weights."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.synth.models import OPENS, PLAIN, save  # noqa: E402 torch may be missing

from scale_reasoning.engines import Connection, connect  # noqa: E402
from scale_reasoning.engines.checkpoint import Checkpoint, name_of  # noqa: E402
from scale_reasoning.engines.table import choose_engine  # noqa: E402
from scale_reasoning.errors import ConfigError, ContextOverflow, Rejected, Unreachable  # noqa: E402
from scale_reasoning.together import together  # noqa: E402
from scale_reasoning.types import Completion, Delta, Message, Mode, Request, Sampling, Usage  # noqa: E402

pytestmark = pytest.mark.sft

QUESTION, THOUGHT, ANSWER = "2+2?", "Two and two.\n", "It is 4 \N{WHITE HEAVY CHECK MARK}."
ASKED = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
GREEDY = Sampling(temperature=0.0)


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, a window of 512, tokens that are bytes."""
    return save(tmp_path_factory.mktemp("wild") / "tiny")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says THOUGHT and ANSWER when it is asked QUESTION."""
    folder = save(tmp_path_factory.mktemp("learnt") / "tiny")
    words = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = words(f"{ASKED}<think>\n{THOUGHT}</think>\n\n{ANSWER}<|end|>", return_tensors="pt").input_ids
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(300):
        loss = model(ids, labels=ids).loss
        if loss < 0.02:
            break
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    return folder


def request(
    text: str = QUESTION,
    *,
    seed: int = 1,
    max_tokens: int | None = 20,
    sampling: Sampling = GREEDY,
    extras: Mapping[str, Any] | None = None,
    starts_thinking: bool = False,
) -> Request:
    return Request(
        model="tiny",
        messages=(Message("user", text),),
        mode=Mode.SYSTEM1,
        seed=seed,
        max_tokens=max_tokens,
        sampling=sampling,
        extras=extras or {},
        starts_thinking=starts_thinking,
    )


def ask(folder: Path, *requests: Request, window: int | None = None) -> list[Completion]:
    async def run() -> list[Completion]:
        async with await Checkpoint.load(folder, window=window) as engine:
            return [await engine.generate(one) for one in requests]

    return asyncio.run(run())


def retemplated(folder: Path, copy: Path, template: str | None) -> Path:
    """The same weights under another chat template."""
    transformers.AutoModelForCausalLM.from_pretrained(folder).save_pretrained(copy)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    words.chat_template = template
    words.save_pretrained(copy)
    return copy


def test_a_reply_streams_its_thought_apart_and_is_counted_to_the_token(learnt: Path) -> None:
    async def run() -> tuple[Completion, list[Delta]]:
        deltas = list[Delta]()
        async with await Checkpoint.load(learnt) as engine:
            return await engine.generate(request(max_tokens=100), deltas.append), deltas

    reply, deltas = asyncio.run(run())
    thought = 1 + len(f"\n{THOUGHT}") + 1  # the tags are a token each
    assert reply == Completion(
        text=ANSWER,
        reasoning=THOUGHT,
        finish_reason="stop",
        model="tiny",
        usage=Usage(
            prompt_tokens=2 + len(f"user\n{QUESTION}\n") + 1 + len("assistant\n"),
            completion_tokens=thought + len(f"\n\n{ANSWER}".encode()) + 1,
            reasoning_tokens=thought,
        ),
    )
    assert "".join(delta.text for delta in deltas) == ANSWER
    assert "".join(delta.reasoning for delta in deltas) == THOUGHT
    assert len(deltas) > 20


def test_a_thought_that_the_template_opens_is_a_thought(learnt: Path, tmp_path: Path) -> None:
    opening = retemplated(learnt, tmp_path / "opening", OPENS)
    reply, cut = ask(opening, request(max_tokens=100), request(max_tokens=5))
    assert (reply.reasoning, reply.text) == (THOUGHT, ANSWER)
    assert reply.usage.reasoning_tokens == len(THOUGHT) + 1
    assert (cut.reasoning, cut.text, cut.finish_reason) == (THOUGHT[:5], "", "length")
    assert cut.usage.reasoning_tokens == cut.usage.completion_tokens == 5


def test_a_profile_that_says_the_thought_is_open_is_believed(learnt: Path, tmp_path: Path) -> None:
    asked = PLAIN.replace("assistant\n{% endif %}", "assistant\n<think>\nTwo{% endif %}")
    half_open = retemplated(learnt, tmp_path / "half-open", asked)
    believed, told = ask(half_open, request(max_tokens=9, starts_thinking=True), request(max_tokens=9))
    assert (believed.reasoning, believed.text) == (" and two.", "")
    assert (told.reasoning, told.text) == ("", " and two.")


def test_eight_replies_together_are_those_one_by_one_and_differ_by_seed(wild: Path) -> None:
    requests = [
        request("ab" * n, seed=n, max_tokens=20 + 9 * (n % 3), sampling=Sampling(temperature=0.6)) for n in range(8)
    ]

    async def run() -> tuple[list[Completion], list[Completion], list[Completion]]:
        async with await Checkpoint.load(wild, slots=3) as engine:
            alone = [await engine.generate(one) for one in requests]
            beside = await together(engine.generate(one) for one in reversed(requests))
            seeds = [await engine.generate(request(seed=n, sampling=Sampling(temperature=0.6))) for n in range(4)]
        return alone, beside[::-1], seeds

    alone, beside, seeds = asyncio.run(run())
    assert alone == beside
    assert len({reply.text for reply in seeds}) == 4


def known_logprobs(folder: Path, prompt: str, said: list[int]) -> tuple[Any, list[int]]:
    """The log-softmax before each token that was said, computed from the whole sequence at once; and its tokens."""
    words = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    before = words(prompt, add_special_tokens=False).input_ids
    with torch.inference_mode():
        logits = model(torch.tensor([before + said])).logits[0]
    return logits.log_softmax(-1)[len(before) - 1 :], said


def test_log_probabilities_are_those_of_the_text_at_temperature_1_before_filters(learnt: Path) -> None:
    drawn = Sampling(temperature=0.3, top_k=2)
    many, few, none, cut = ask(
        learnt,
        *(replace(request(max_tokens=100, sampling=drawn), logprobs=number) for number in (5, 0, None)),
        replace(request(max_tokens=9), logprobs=1),
    )
    assert (many.text, many.reasoning) == (few.text, few.reasoning) == (none.text, none.reasoning) == (ANSWER, THOUGHT)
    assert none.logprobs is None
    assert (cut.text, cut.logprobs) == ("", ())
    assert many.logprobs is not None
    assert few.logprobs == tuple(replace(token, top=()) for token in many.logprobs)
    assert "".join(token.text for token in many.logprobs) == ANSWER
    assert [token.text for token in many.logprobs[-4:]] == ["", "", "\N{WHITE HEAVY CHECK MARK}", "."]
    words = transformers.AutoTokenizer.from_pretrained(learnt)
    said = words(f"<think>\n{THOUGHT}</think>\n\n{ANSWER}", add_special_tokens=False).input_ids
    known, said = known_logprobs(learnt, ASKED, said)
    count = len(many.logprobs)
    assert count == len(ANSWER.encode())
    for token, scores, number in zip(many.logprobs, known[-count - 1 :], said[-count:], strict=False):
        assert token.logprob == pytest.approx(float(scores[number]), abs=1e-4)
        assert [each for _, each in token.top] == pytest.approx(scores.topk(5).values.tolist(), abs=1e-4)
        assert sum(math.exp(each) for _, each in token.top) <= 1 + 1e-9
        assert token.text not in dict(token.top) or dict(token.top)[token.text] == token.logprob
    assert many.logprobs[0].top[0][0] == "I"


def test_log_probabilities_are_the_same_whatever_runs_beside(wild: Path) -> None:
    requests = [
        replace(request("ab" * n, seed=n, sampling=Sampling(temperature=0.6)), logprobs=None if n == 3 else n)
        for n in range(6)
    ]

    async def run() -> tuple[list[Completion], list[Completion]]:
        async with await Checkpoint.load(wild, slots=3) as engine:
            alone = [await engine.generate(one) for one in requests]
            return alone, (await together(engine.generate(one) for one in reversed(requests)))[::-1]

    alone, beside = asyncio.run(run())
    assert alone == beside
    assert [each.logprobs is None for each in alone] == [n == 3 for n in range(6)]


def test_switches_reach_the_chat_template(wild: Path, tmp_path: Path) -> None:
    switched = retemplated(wild, tmp_path / "switched", PLAIN + "{% if enable_thinking %}12345{% endif %}")
    on, off, unsaid = ask(
        switched,
        *(request(extras={"chat_template_kwargs": {"enable_thinking": switch}}) for switch in (True, False)),
        request(),
    )
    assert on.usage.prompt_tokens == (off.usage.prompt_tokens or 0) + 5
    assert unsaid.usage == off.usage


def test_the_window_ends_a_reply_and_refuses_a_prompt(wild: Path) -> None:
    (reply,) = ask(wild, request("", max_tokens=None), window=30)
    assert reply.finish_reason == "length"
    assert (reply.usage.prompt_tokens or 0) + (reply.usage.completion_tokens or 0) == 30
    with pytest.raises(ContextOverflow) as caught:
        ask(wild, request("a" * 600), window=10_000)
    assert caught.value.window == 512
    assert caught.value.prompt_tokens == 600 + len("user\n\nassistant\n") + 3
    assert caught.value.blame == "model"


def test_a_template_that_refuses_the_messages_is_quoted(wild: Path, tmp_path: Path) -> None:
    strict = retemplated(wild, tmp_path / "strict", "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(Rejected, match="roles must alternate"):
        ask(strict, request())


def test_cancelling_frees_the_only_slot(wild: Path) -> None:
    async def run() -> Completion:
        async with await Checkpoint.load(wild, slots=1) as engine:
            began = asyncio.Event()
            long = asyncio.create_task(engine.generate(request(max_tokens=None), lambda _: began.set()))
            waiting = asyncio.create_task(engine.generate(request(max_tokens=None)))
            await began.wait()
            long.cancel()
            waiting.cancel()
            await asyncio.wait([long, waiting])
            assert long.cancelled()
            async with asyncio.timeout(30):
                return await engine.generate(request(max_tokens=1))

    assert asyncio.run(run()).finish_reason == "length"


def test_a_listener_that_fails_frees_its_slot_too(wild: Path) -> None:
    def fails(_: Delta) -> None:
        raise ZeroDivisionError

    async def run() -> Completion:
        async with await Checkpoint.load(wild, slots=1) as engine:
            with pytest.raises(ZeroDivisionError):
                await engine.generate(request(max_tokens=None), fails)
            return await engine.generate(request(max_tokens=1))

    assert asyncio.run(run()).finish_reason == "length"


def test_closing_tells_who_is_under_way_and_ends_the_thread(wild: Path) -> None:
    async def run() -> None:
        async with await Checkpoint.load(wild, slots=1) as engine:
            began = asyncio.Event()
            asked = [
                asyncio.create_task(engine.generate(request(max_tokens=None), lambda _: began.set())) for _ in range(2)
            ]
            await began.wait()
        for one in asked:
            with pytest.raises(Unreachable, match="closed"):
                await one

    asyncio.run(run())
    assert "decoder" not in {thread.name for thread in threading.enumerate()}


def test_a_folder_is_a_model_like_any_other(wild: Path) -> None:
    async def run() -> tuple[str, int | None, str]:
        async with connect(Connection(model=str(wild), window=300)) as endpoints:
            endpoint = endpoints[Mode.SYSTEM1]
            return endpoint.model, endpoint.window, (await endpoint.engine.generate(request())).finish_reason or ""

    assert asyncio.run(run()) == ("tiny", 300, "length")


def test_a_folder_that_is_served_is_asked_at_its_server(wild: Path) -> None:
    assert choose_engine(Connection(model=str(wild))) == "transformers"
    assert choose_engine(Connection(model=str(wild), base_url="http://127.0.0.1:1/v1")) == "openai"
    assert choose_engine(Connection(model=str(wild.parent))) == "openai"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/qwen", "qwen"),
        ("runs/qwen/final", "qwen/final"),
        ("runs/qwen/checkpoint-120/", "qwen/checkpoint-120"),
        ("runs/checkpoint-a", "checkpoint-a"),
    ],
)
def test_a_folder_whose_name_says_nothing_is_named_with_its_parent(path: str, name: str) -> None:
    assert name_of(Path(path)) == name


def test_a_checkpoint_without_a_chat_template_is_refused(wild: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no chat template"):
        ask(retemplated(wild, tmp_path / "bare", None), request())


def test_weights_that_are_missing_are_named(wild: Path, tmp_path: Path) -> None:
    copy = retemplated(wild, tmp_path / "partial", PLAIN)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match=r"weights are missing: model\.layers\.2"):
        ask(copy, request())


def test_a_folder_that_is_no_checkpoint_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        ask(tmp_path, request())


def test_code_that_comes_with_a_checkpoint_is_never_run(wild: Path, tmp_path: Path) -> None:
    copy = retemplated(wild, tmp_path / "strange", PLAIN)
    config = json.loads((copy / "config.json").read_text())
    places = {"AutoConfig": "its.Config", "AutoModelForCausalLM": "its.Model"}
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "strange", "auto_map": places}))
    (copy / "its.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ConfigError, match="strange"):
        ask(copy, request())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_a_missing_extra_is_named(wild: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install 'scale-reasoning\[sft\]'"):
        ask(wild, request())


@pytest.mark.parametrize("name", ["slots", "window"])
def test_a_count_below_one_is_named(wild: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        asyncio.run(Checkpoint.load(wild, **{name: 0}))
