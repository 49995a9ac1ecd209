"""A model's sizes from its configuration, without torch: for Llama, Mistral, Qwen2 and Qwen3.

The configuration is the model's config.json: in its folder, in the Hub's cache, or here for the recipes' base models
(shapes.toml). Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded, read_toml, why
from scale_reasoning.profiles import Count

MOST_BYTES = 1 << 20
QWEN3_HEAD = 128
"""The width of a head of Qwen3 where config.json does not say it (transformers, Qwen3Config)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A model's sizes: numbers of parameters, and widths in numbers per token.

    `linears` has (inputs, outputs) of every linear layer except the head. Sharding gathers `largest_layer` and `ends`
    (embedding and head) as a whole.
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
        """Parameters of a LoRA of rank r on every linear layer except the head."""
        return sum(r * (inputs + outputs) for inputs, outputs in self.linears)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """What config.json says of the sizes. `attention_bias` counts for Llama, Mistral and Qwen3."""

    model_type: str
    vocab_size: Count
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False


FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


def read_config(model: str, revision: str | None = None) -> Mapping[str, Any]:
    """The configuration of a folder, of a model in the Hub's cache, or of a recipe's base model. Raises ConfigError."""
    file = Path(model) / "config.json" if Path(model).is_dir() else _find_cached(model, revision)
    if file is None:
        known = read_toml(Path(__file__).with_name("shapes.toml"))
        if model in known:
            return known[model]
        raise ConfigError(f"model {model}: its config.json is neither in a folder of this name nor in the Hub's cache; "
                          "a dry run downloads nothing")  # fmt: skip
    try:
        config = json.loads(read_bounded(file, MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"model {model}: config.json cannot be read: {why(error)}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"model {model}: config.json is no object")
    return cast("dict[str, Any]", config)


def _find_cached(model: str, revision: str | None) -> Path | None:
    """The model's config.json in the Hub's cache; None where it is not there, or the Hub's library is not installed."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except HFValidationError:  # no name of the Hub
        return None
    return Path(found) if isinstance(found, str) else None


def compute(config: Mapping[str, Any]) -> Shape:
    """The sizes that a configuration describes. Raises ConfigError for another family or impossible numbers."""
    if (family := config.get("model_type")) not in FAMILIES:
        raise ConfigError(
            f"no sizes are known for {family or 'a model without model_type'}, but for {', '.join(FAMILIES)}"
        )
    try:
        said = msgspec.convert(config, _Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"config.json: {error}") from error
    heads, hidden, inner = said.num_attention_heads, said.hidden_size, said.intermediate_size
    head = said.head_dim or (QWEN3_HEAD if family == "qwen3" else hidden // heads)
    queries, keys = head * heads, head * (said.num_key_value_heads or heads)
    linears = ((hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden),
               (hidden, inner), (hidden, inner), (inner, hidden))  # fmt: skip
    biases = queries + 2 * keys if family == "qwen2" else 0
    if family in ("llama", "qwen3") and said.attention_bias:
        biases = queries + 2 * keys + hidden
    biases += 2 * inner + hidden if family == "llama" and said.mlp_bias else 0
    norms = 2 * hidden + (2 * head if family == "qwen3" else 0)
    layer = sum(inputs * outputs for inputs, outputs in linears) + biases + norms
    ends = said.vocab_size * hidden * (1 if said.tie_word_embeddings else 2)
    return Shape(
        parameters=said.num_hidden_layers * layer + ends + hidden,
        largest_layer=layer,
        ends=ends,
        layers=said.num_hidden_layers,
        hidden=hidden,
        intermediate=inner,
        queries=queries,
        keys=keys,
        linears=linears * said.num_hidden_layers,
    )
