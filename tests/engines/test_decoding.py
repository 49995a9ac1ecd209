"""Replies decoded together are those that the model makes alone, whatever its attention; tokens are drawn fairly."""

from __future__ import annotations

import math
import random
from collections import Counter
from queue import SimpleQueue
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from scale_reasoning.engines.decoding import Decoder, Output, Row, draw, score  # noqa: E402 torch may be missing
from scale_reasoning.errors import ConfigError, EngineError  # noqa: E402
from scale_reasoning.types import Sampling  # noqa: E402

pytestmark = pytest.mark.sft

SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 0,
}  # fmt: skip
KINDS = {
    "Llama": {},
    "Mistral": {"sliding_window": 7},
    "Qwen2": {},
    "Qwen3": {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    "Gemma3Text": {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]},
}
GREEDY = Sampling(temperature=0.0)


def made(kind: str, **more: Any) -> Any:
    """A model whose weights are random and large, so that context matters to every token."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SMALL, **more)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.3)
    return model.eval()


def alone(model: Any, prompt: list[int], count: int) -> list[int]:
    """Greedy tokens, everything computed anew for each."""
    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            tokens.append(int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


def submitted(decoder: Decoder, prompt: list[int], limit: int, **more: Any) -> SimpleQueue[Output]:
    told: SimpleQueue[Output] = SimpleQueue()
    decoder.submit(
        Row(prompt=prompt, limit=limit, emit=told.put, **{"sampling": GREEDY, "chance": random.Random(0), **more})
    )
    return told


def heard(told: SimpleQueue[Output]) -> tuple[list[int], Output]:
    tokens = list[int]()
    while isinstance(what := told.get(timeout=30), int):
        tokens.append(what)
    return tokens, what


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_come_and_go_get_the_tokens_that_the_model_makes_alone(kind: str) -> None:
    model = made(kind, **KINDS[kind])
    prompts = [[random.Random(n).randrange(97) for _ in range(3 + 5 * n)] for n in range(5)]
    counts = [4, 19, 8, 1, 12]
    expected = [(alone(model, prompt, count), "length") for prompt, count in zip(prompts, counts, strict=True)]
    decoder = Decoder(model, stops=frozenset(), slots=3)
    try:
        told = [submitted(decoder, prompt, count) for prompt, count in zip(prompts, counts, strict=True)]
        assert [heard(one) for one in told] == expected
    finally:
        decoder.close()


def test_a_stop_token_ends_a_reply_and_is_not_told() -> None:
    model = made("Llama")
    expected = alone(model, [5, 6, 7], 20)
    stop = expected[6]
    decoder = Decoder(model, stops=frozenset({stop}), slots=1)
    try:
        assert heard(submitted(decoder, [5, 6, 7], 20)) == (expected[: expected.index(stop)], "stop")
    finally:
        decoder.close()


def test_an_architecture_that_remembers_outside_of_attention_is_refused() -> None:
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}
    shape = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8}
    model = made(
        "Qwen3Next",
        **experts,
        **shape,
        linear_value_head_dim=8,
        shared_expert_intermediate_size=16,
        layer_types=["linear_attention", "full_attention"],
    )
    with pytest.raises(ConfigError, match="more than keys and values"):
        Decoder(model, stops=frozenset(), slots=2)


def test_a_row_that_fails_is_told_and_the_next_is_served() -> None:
    decoder = Decoder(made("Llama"), stops=frozenset(), slots=2)
    try:
        failed = submitted(decoder, [1_000_000], 5)
        served = submitted(decoder, [5, 6, 7], 5)
        assert isinstance(heard(failed)[1], EngineError)
        assert heard(served)[1] == "length"
    finally:
        decoder.close()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.6, top_p=0.95, top_k=20, min_p=0.0),
        Sampling(temperature=0.7, top_p=0.8),
        Sampling(temperature=1.5, min_p=0.1),
        Sampling(top_k=3),
        Sampling(top_k=10_000, top_p=1.0),
    ],
    ids=str,
)
def test_tokens_are_drawn_as_often_as_transformers_says(sampling: Sampling) -> None:
    logits = torch.randn(60, generator=torch.Generator().manual_seed(1)) * 3
    scores = logits[None].double()
    if sampling.temperature:
        scores = transformers.TemperatureLogitsWarper(sampling.temperature)(None, scores)
    if sampling.top_k:
        scores = transformers.TopKLogitsWarper(min(sampling.top_k, 60))(None, scores)
    if sampling.top_p and sampling.top_p < 1:
        scores = transformers.TopPLogitsWarper(sampling.top_p)(None, scores)
    if sampling.min_p:
        scores = transformers.MinPLogitsWarper(sampling.min_p)(None, scores)
    expected = scores[0].softmax(0)
    counts = Counter(draw(logits, sampling, (n + 0.5) / 4000) for n in range(4000))
    for token in range(60):
        assert abs(counts[token] - 4000 * float(expected[token])) <= 1.01, token


def test_temperature_0_is_the_likeliest_token_and_a_tie_falls_to_the_lower_one() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, 2.0, 2.0])
    assert {draw(logits, GREEDY, chance) for chance in (0.0, 0.5, 0.999)} == {1}
    assert {draw(logits.bfloat16(), Sampling(top_k=2), chance) for chance in (0.1, 0.9)} == {1, 3}


def test_the_last_chance_of_all_draws_a_token_that_is_allowed() -> None:
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(2))
    sampling = Sampling(temperature=0.6, top_p=0.9)
    assert logits[draw(logits, sampling, 1 - 2**-53)] > logits.median()
    assert draw(logits, sampling, 0.0) == int(logits.argmax())


def test_a_score_is_before_temperature_and_filters_and_leaves_out_what_cannot_be_drawn() -> None:
    logits = torch.tensor([1.0, 3.0, float("-inf"), 2.0, float("-inf")])
    total = math.log(sum(math.exp(each) for each in (1.0, 3.0, 2.0)))
    scores = score(logits, 3, 20)
    assert scores.logprob == pytest.approx(2.0 - total)
    assert [token for token, _ in scores.top] == [1, 3, 0]
    assert [each for _, each in scores.top] == pytest.approx([3.0 - total, 2.0 - total, 1.0 - total])
    assert score(logits.bfloat16(), 1, 1).top == ((1, score(logits, 1, 0).logprob),)


def test_a_row_has_the_scores_of_its_tokens_only_where_they_are_asked_for() -> None:
    decoder = Decoder(made("Llama"), stops=frozenset(), slots=2)
    rows = [
        Row(prompt=[5, 6, 7], limit=6, sampling=GREEDY, chance=random.Random(0), emit=(told := SimpleQueue()).put,
            logprobs=number)
        for number in (None, 3)
    ]  # fmt: skip
    try:
        for row in rows:
            decoder.submit(row)
        tokens, _ = heard(told)
    finally:
        decoder.close()
    assert rows[0].scores == []
    assert [scores.top[0] for scores in rows[1].scores] == [
        (token, scores.logprob) for token, scores in zip(tokens, rows[1].scores, strict=True)
    ]
