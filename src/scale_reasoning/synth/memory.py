"""Estimates the GPU memory of a training from the model's sizes.

`measure` finds them for families that shape.py does not know: the model is built on torch's meta device, where it has
shapes and no numbers.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

from scale_reasoning.synth.extra import library
from scale_reasoning.synth.sft import Recipe, Sharding
from scale_reasoning.synth.shape import Shape

BF16, FP32 = 2, 4
"""Bytes per number."""
ADAM = 2 * FP32
"""Bytes of the two moments per trained parameter."""
TILE = 4096, 32768
"""Tokens and vocabulary entries of the piece of logits that TRL computes at a time (trl.kernels.chunked_logprob)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one GPU. CUDA's context and fragmentation need 2 to 4 GiB more."""

    weights: float
    gradients: float
    optimiser: float
    gathered: float
    activations: float

    @property
    def total(self) -> float:
        """The sum."""
        return float(sum(astuple(self)))


def measure(config: Any) -> Shape:
    """The sizes of the model that a transformers configuration describes."""
    torch = library("torch")
    with torch.device("meta"):
        model = library("transformers").AutoModelForCausalLM.from_config(config)
    text, head = config.get_text_config(), model.get_output_embeddings()
    layers = [list(each) for each in model.modules() if isinstance(each, torch.nn.ModuleList)]
    stack = max(layers, key=lambda each: sum(map(_count_parameters, each)))
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    ends = {id(each.weight): int(each.weight.numel()) for each in (model.get_input_embeddings(), head)}
    return Shape(
        parameters=_count_parameters(model),
        largest_layer=max(map(_count_parameters, stack)),
        ends=sum(ends.values()),
        layers=len(stack),
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        queries=width * text.num_attention_heads,
        keys=width * (getattr(text, "num_key_value_heads", None) or text.num_attention_heads),
        linears=tuple(
            (int(each.in_features), int(each.out_features))
            for each in model.modules()
            if isinstance(each, torch.nn.Linear) and each is not head
        ),
    )


def estimate(shape: Shape, recipe: Recipe, tokens: int) -> Memory:
    """The memory of one GPU for a batch of `tokens` tokens, in bfloat16 with float32 master weights.

    Full fine-tuning needs 16 bytes per parameter with any sharding; LoRA needs 2 per frozen parameter. Without sharding
    each GPU has all of them; with sharding an equal part, and whole layers only while they are computed.
    """
    lora = recipe.method == "lora"
    trained = shape.adapters(recipe.lora_r) if lora else shape.parameters
    frozen = shape.parameters if lora else 0
    parts = 1 if recipe.shared_by == "none" else recipe.gpus
    weights, gradients, optimiser = _bytes_per_parameter(recipe.shared_by)
    whole = 2 * shape.largest_layer + shape.ends  # the current layer and the next
    return Memory(
        weights=(trained * weights + frozen * BF16) / parts,
        gradients=trained * gradients / parts,
        optimiser=trained * optimiser / parts,
        gathered=whole * BF16 if parts > 1 else 0,
        activations=_estimate_activations(shape, tokens, checkpointing=recipe.gradient_checkpointing),
    )


def _bytes_per_parameter(sharing: Sharding) -> tuple[int, int, int]:
    """Bytes per trained parameter: weight, gradient, optimiser. ZeRO keeps its float32 weights with the optimiser."""
    return (BF16, BF16, FP32 + ADAM) if sharing == "zero3" else (FP32, FP32, ADAM)


def _estimate_activations(shape: Shape, tokens: int, *, checkpointing: bool) -> float:
    """Bytes that the backward pass needs. With checkpointing: each layer's input, and one layer's inner values.

    The inner values of a layer with a gated feed-forward and attention that stores no scores follow Korthikanti et al.
    (2022, arXiv:2205.05198, section 4): inputs and outputs of its norms (two of them in float32), queries, keys, values
    and their result, and four times the feed-forward's width.
    """
    inside = tokens * BF16 * (7 * shape.hidden + 2 * shape.queries + 2 * shape.keys + 4 * shape.intermediate)
    head = 2 * BF16 * min(tokens, TILE[0]) * TILE[1] + tokens * shape.hidden * (BF16 + FP32)
    kept = inside + shape.layers * tokens * shape.hidden * BF16 if checkpointing else shape.layers * inside
    return float(kept + head)


def _count_parameters(module: Any) -> int:
    return sum(int(each.numel()) for each in module.parameters())
