"""llama.cpp's log-probabilities against those computed by hand, with a model so small that every logit is known."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")

from tests.engines.tiny_gguf import NAMES, log_softmax, write_model

from scale_reasoning.engines.llama import Llama
from scale_reasoning.types import Completion, Message, Mode, Request, Sampling, Schema

WORDS = {name.replace("▁", " "): number for number, name in enumerate(NAMES)}
CHOICE = Schema(name="choice", body={"type": "object", "properties": {"w": {"type": "integer"}}, "required": ["w"]})


def request(logprobs: int | None, *, seed: int = 1, schema: Schema | None = None) -> Request:
    return Request(
        model="tiny",
        messages=(Message("user", " w3"),),
        mode=Mode.SYSTEM1,
        seed=seed,
        max_tokens=24,
        sampling=Sampling(temperature=0.5, top_k=20, top_p=0.9),
        schema=schema,
        logprobs=logprobs,
    )


def ask(file: Path, *requests: Request) -> list[Completion]:
    async def run() -> list[Completion]:
        async with await Llama.start(file, slots=1, window=128, threads=1) as engine:
            return [await engine.generate(each) for each in requests]

    return asyncio.run(run())


def test_each_is_the_log_softmax_of_the_logits_before_temperature_and_filters(tmp_path: Path) -> None:
    logits = write_model(tmp_path / "tiny.gguf")
    unasked, bare, *asked, forced = ask(
        tmp_path / "tiny.gguf",
        request(None),
        request(0),
        *(request(5, seed=seed) for seed in range(1, 6)),
        request(20, schema=CHOICE),
    )
    assert unasked.logprobs is None
    assert bare.text == unasked.text == asked[0].text
    assert bare.logprobs is not None
    assert asked[0].logprobs is not None
    assert [token.logprob for token in bare.logprobs] == pytest.approx([t.logprob for t in asked[0].logprobs], abs=1e-5)
    assert {token.top for token in bare.logprobs} == {()}
    compared = 0
    for reply in asked:
        assert reply.logprobs is not None
        assert "".join(token.text for token in reply.logprobs) == reply.text
        for before, token in zip(reply.logprobs, reply.logprobs[1:], strict=False):
            if before.text not in WORDS or token.text not in WORDS:
                continue
            known = log_softmax(logits[WORDS[before.text]])
            best = np.sort(known)[::-1][:5]
            assert token.logprob == pytest.approx(known[WORDS[token.text]], abs=1e-4)
            assert [each for _, each in token.top] == pytest.approx(best, abs=1e-4)
            assert dict(token.top).get(token.text, token.logprob) == token.logprob
            assert sum(math.exp(each) for _, each in token.top) <= 1 + 1e-9
            compared += 1
    assert compared > 40
    assert forced.logprobs is not None
    assert forced.text.startswith("{")
    assert "".join(token.text for token in forced.logprobs) == forced.text
    assert all(math.isfinite(each) for token in forced.logprobs for _, each in (("", token.logprob), *token.top))
