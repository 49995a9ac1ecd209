"""What a fine-tuning is to do: a recipe, read from TOML, every key known and checked before anything is loaded.

The defaults are LIMO's settings, which the paper reuses: full fine-tuning, learning rate 5e-6, cosine, no warm-up, 15
epochs, 64 rows a step, rows of up to 16384 tokens. Knows nothing of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_toml, why
from scale_reasoning.types import JSON

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
Sharding: TypeAlias = Literal["fsdp2", "zero3", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One fine-tuning. `model` is a folder, a name on the Hub (at `revision`) or smollm2, the model in the box; `rows`
    is a train.jsonl (see synth.rows).

    `global_batch` rows make a step: `device_batch` at a time on each of `gpus`, accumulated. `steps` ends the training
    early or late, whatever `epochs` says. An adapter learns at `lora_learning_rate`, for it starts from nothing.
    `sharding` is how several GPUs share the model. A row of more than `cutoff` tokens is dropped or cut
    (`over_cutoff`). A checkpoint is saved every `save_every` steps, every epoch where that is None, and the last
    `keep_checkpoints` stay.
    """

    model: str
    rows: str
    revision: str | None = None
    method: Literal["full", "lora"] = "full"
    lora_r: Count = 16
    lora_alpha: Count = 32
    learning_rate: Positive = 5e-6
    lora_learning_rate: Positive = 2e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: Whole = 0
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    max_grad_norm: Positive = 1.0
    epochs: Positive = 15.0
    steps: Count | None = None
    cutoff: Count = 16384
    over_cutoff: Literal["drop", "cut"] = "drop"
    packing: bool = False
    global_batch: Count = 64
    device_batch: Count = 1
    gpus: Count = 1
    sharding: Sharding = "fsdp2"
    gradient_checkpointing: bool = True
    attention: Literal["sdpa", "flash_attention_2", "eager"] = "sdpa"
    save_every: Count | None = None
    keep_checkpoints: Count = 2
    log_every: Count = 1
    seed: Whole = 0

    def __post_init__(self) -> None:
        if self.global_batch % (self.device_batch * self.gpus):
            raise ConfigError(
                f"global_batch = {self.global_batch} is no multiple of device_batch = {self.device_batch} x "
                f"gpus = {self.gpus}; what works: {self._what_works()}"
            )

    @property
    def rate(self) -> float:
        """The learning rate of the method."""
        return self.lora_learning_rate if self.method == "lora" else self.learning_rate

    @property
    def accumulation(self) -> int:
        """Batches that a GPU works through for one step."""
        return self.global_batch // (self.device_batch * self.gpus)

    @property
    def shared_by(self) -> Sharding:
        """How the GPUs share the model: one has nothing to share with."""
        return self.sharding if self.gpus > 1 else "none"

    @property
    def checkpointed_by(self) -> Literal["fsdp", "trainer", "nobody"]:
        """Who recomputes activations. FSDP spares a gather, but PEFT does not find its adapters in what FSDP wraps."""
        if not self.gradient_checkpointing:
            return "nobody"
        return "fsdp" if self.shared_by == "fsdp2" and self.method == "full" else "trainer"

    def steps_an_epoch(self, sequences: int) -> int:
        """Steps for one pass over so many sequences: rows, or packs of rows. The last may be smaller."""
        return ceil(ceil(sequences / (self.device_batch * self.gpus)) / self.accumulation)

    def all_steps(self, sequences: int) -> int:
        """Steps of the whole training."""
        return self.steps or ceil(self.epochs * self.steps_an_epoch(sequences))

    def _what_works(self) -> str:
        a_gpu, rest = divmod(self.global_batch, self.gpus)
        if not rest:
            return f"device_batch = {_listed(_divisors(a_gpu))} on {self.gpus} GPUs"
        a_batch, rest = divmod(self.global_batch, self.device_batch)
        counts = _listed(_divisors(self.global_batch if rest else a_batch))
        return f"gpus = {counts} with device_batch = {1 if rest else self.device_batch}"


def read(file: Path, flags: Mapping[str, JSON] | None = None) -> Recipe:
    """The recipe in a TOML file, with what `flags` say instead. Raises `ConfigError` naming the key."""
    try:
        table = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error
    return recipe({**table, **(flags or {})}, str(file))


def recipe(table: Mapping[str, JSON], where: str) -> Recipe:
    """The recipe that a table says. Raises `ConfigError` naming the key."""
    known = {field.name for field in fields(Recipe)}
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(known))}")
    for key in ("model", "rows"):
        if not table.get(key):
            raise ConfigError(f"{where}: {key} is missing: name the {key} in the recipe, or with --{key}")
    try:
        return msgspec.convert(dict(table), Recipe)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _listed(numbers: list[int]) -> str:
    *rest, last = map(str, numbers)
    return f"{', '.join(rest)} or {last}" if rest else last
