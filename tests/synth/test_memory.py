"""Parameters are counted exactly, from configurations of public shapes; the rest is checked by its proportions."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from scale_reasoning.synth.extra import quiet
from scale_reasoning.synth.filters import WINDOW
from scale_reasoning.synth.memory import Memory, estimate, measure
from scale_reasoning.synth.sft import recipe
from scale_reasoning.synth.shape import compute

pytestmark = [pytest.mark.sft, pytest.mark.skipif(find_spec("transformers") is None, reason="needs the sft extra")]

GIB = 2**30


def qwen32b() -> Any:
    import transformers

    return transformers.Qwen2Config(
        vocab_size=152064, hidden_size=5120, intermediate_size=27648, num_hidden_layers=64, num_attention_heads=40,
        num_key_value_heads=8, tie_word_embeddings=False,
    )  # fmt: skip


def tiny(**more: Any) -> Any:
    import transformers

    return transformers.LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, **more,
    )  # fmt: skip


def needed(tokens: int = 16384, **more: Any) -> Memory:
    return estimate(measure(qwen32b()), recipe({"model": "x", "rows": "y", **more}, "here"), tokens)


def test_qwen_32b_has_as_many_parameters_as_published():
    shape = measure(qwen32b())
    assert shape.parameters == pytest.approx(32.8e9, rel=0.002)
    assert (shape.layers, shape.queries, shape.keys) == (64, 5120, 1024)
    assert shape.ends == 2 * 152064 * 5120


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_the_real_model(tied: bool):
    from transformers import AutoModelForCausalLM

    config = tiny(tie_word_embeddings=tied)
    model = AutoModelForCausalLM.from_config(config)
    assert measure(config).parameters == model.num_parameters()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("LlamaConfig", {}),
        ("LlamaConfig", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
        ("MistralConfig", {"head_dim": 16}),
        ("Qwen2Config", {"tie_word_embeddings": True}),
        ("Qwen3Config", {"head_dim": 16}),
        ("Qwen3Config", {}),
    ],
)
def test_sizes_are_the_same_without_torch(kind: str, more: dict[str, Any]):
    import transformers

    config = getattr(transformers, kind)(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, **more,
    )  # fmt: skip
    assert compute(config.to_dict()) == measure(config)


def test_an_adapter_has_as_many_parameters_as_peft_makes_it():
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with quiet():
        model = get_peft_model(
            AutoModelForCausalLM.from_config(tiny()),
            LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
    assert measure(tiny()).adapters(4) == model.get_nb_trainable_parameters()[0]


@pytest.mark.parametrize("sharding", ["fsdp2", "zero3"])
def test_full_fine_tuning_takes_16_bytes_a_parameter_shared_out(sharding: str):
    whole, shared = needed(), needed(gpus=8, sharding=sharding)
    kept = [each.weights + each.gradients + each.optimiser for each in (whole, shared)]
    assert kept[0] == 16 * measure(qwen32b()).parameters
    assert kept[1] == kept[0] / 8
    assert (whole.gathered, shared.activations) == (0, whole.activations)
    assert shared.gathered > 0


def test_limos_settings_need_more_than_an_80_gib_gpu_for_32b_on_8_of_them():
    assert 75 < needed(gpus=8).total / GIB < 90


@pytest.mark.parametrize(
    ("vocabulary", "intermediate", "parameters"), [(152064, 29568, 72.7e9), (128256, 28672, 70.6e9)]
)
def test_the_largest_models_of_table_3_fit_two_machines_with_8_gpus_of_141_gib(
    vocabulary: int, intermediate: int, parameters: float
):
    import transformers

    shape = measure(transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=8192, intermediate_size=intermediate, num_hidden_layers=80,
        num_attention_heads=64, num_key_value_heads=8, tie_word_embeddings=False,
    ))  # fmt: skip
    assert shape.parameters == pytest.approx(parameters, rel=0.002)
    one, two = (
        estimate(shape, recipe({"model": "x", "rows": "y", "gpus": 8 * n, "machines": n}, "here"), WINDOW).total / GIB
        for n in (1, 2)
    )
    assert one > 141
    assert two + 4 < 141


def test_an_adapter_takes_two_bytes_a_frozen_parameter():
    lora = needed(method="lora")
    assert lora.weights == pytest.approx(2 * 32.76e9, rel=0.02)
    assert lora.optimiser < needed().optimiser / 100


def test_activations_grow_with_tokens_and_without_checkpointing():
    assert needed(8192).activations == pytest.approx(needed().activations / 2, rel=0.05)
    assert needed(gradient_checkpointing=False).activations > 10 * needed().activations
