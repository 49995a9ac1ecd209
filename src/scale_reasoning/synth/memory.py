"""What a training needs of a GPU's memory, from the model's configuration alone: an estimate, its parts named.

The model is built on torch's meta device, where it has shapes and no numbers. Knows nothing of how training is run.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

from scale_reasoning.synth.extra import library
from scale_reasoning.synth.sft import Recipe, Sharding

BF16, FP32 = 2, 4
"""Bytes of a number."""
ADAM = 2 * FP32
"""Bytes of a trained parameter's two moments."""
TILE = 4096, 32768
"""Tokens and words of the piece of logits that TRL has at a time (trl.kernels.chunked_logprob)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A model's sizes: numbers of parameters, and widths in numbers a token.

    `linears` has (inputs, outputs) of every linear layer but the head; `largest_layer` and `ends` (embedding and head)
    are what sharding gathers whole at a time.
    """

    parameters: int
    largest_layer: int
    ends: int
    layers: int
    hidden: int
    intermediate: int
    queries: int
    keys: int
    linears: tuple[tuple[int, int], ...]

    def adapters(self, r: int) -> int:
        """Parameters of a LoRA of rank r on every linear layer but the head."""
        return sum(r * (inputs + outputs) for inputs, outputs in self.linears)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one GPU. CUDA's own context and fragmentation, some 2 to 4 GiB, come on top."""

    weights: float
    gradients: float
    optimiser: float
    gathered: float
    activations: float

    @property
    def total(self) -> float:
        """All of them."""
        return float(sum(astuple(self)))


def shape_of(config: Any) -> Shape:
    """The sizes of the model that a transformers configuration describes."""
    torch = library("torch")
    with torch.device("meta"):
        model = library("transformers").AutoModelForCausalLM.from_config(config)
    text, head = config.get_text_config(), model.get_output_embeddings()
    layers = [list(each) for each in model.modules() if isinstance(each, torch.nn.ModuleList)]
    stack = max(layers, key=lambda each: sum(map(_parameters, each)))
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    ends = {id(each.weight): int(each.weight.numel()) for each in (model.get_input_embeddings(), head)}
    return Shape(
        parameters=_parameters(model),
        largest_layer=max(map(_parameters, stack)),
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
    """What one GPU holds when it works on a batch of `tokens` tokens, in bfloat16 with float32 master weights.

    Full fine-tuning needs 16 bytes a parameter however they are shared out; LoRA 2 for each frozen one. Without
    sharding each GPU has all of them, with it an equal part, and whole layers only while they work.
    """
    lora = recipe.method == "lora"
    trained = shape.adapters(recipe.lora_r) if lora else shape.parameters
    frozen = shape.parameters if lora else 0
    parts = 1 if recipe.shared_by == "none" else recipe.gpus
    weights, gradients, optimiser = _bytes_each(recipe.shared_by)
    whole = 2 * shape.largest_layer + shape.ends  # one layer at work, the next on its way
    return Memory(
        weights=(trained * weights + frozen * BF16) / parts,
        gradients=trained * gradients / parts,
        optimiser=trained * optimiser / parts,
        gathered=whole * BF16 if parts > 1 else 0,
        activations=_activations(shape, tokens, checkpointing=recipe.gradient_checkpointing),
    )


def _bytes_each(sharing: Sharding) -> tuple[int, int, int]:
    """Of a trained parameter: weight, gradient, optimiser states. ZeRO keeps its float32 weights with the last."""
    return (BF16, BF16, FP32 + ADAM) if sharing == "zero3" else (FP32, FP32, ADAM)


def _activations(shape: Shape, tokens: int, *, checkpointing: bool) -> float:
    """What a backward pass is kept for: with checkpointing each layer's input, and one layer's insides at a time.

    Insides of a layer with a gated feed-forward and attention that keeps no scores, after Korthikanti et al. (2022,
    arXiv:2205.05198, section 4): inputs and outputs of its norms (two of them in float32), queries, keys, values and
    what they give, four times the feed-forward's width.
    """
    inside = tokens * BF16 * (7 * shape.hidden + 2 * shape.queries + 2 * shape.keys + 4 * shape.intermediate)
    head = 2 * BF16 * min(tokens, TILE[0]) * TILE[1] + tokens * shape.hidden * (BF16 + FP32)
    kept = inside + shape.layers * tokens * shape.hidden * BF16 if checkpointing else shape.layers * inside
    return float(kept + head)


def _parameters(module: Any) -> int:
    return sum(int(each.numel()) for each in module.parameters())
