"""The recipe of a fine-tuning, read from TOML. Every key is checked before anything is loaded.

The defaults are LIMO's settings, which the paper reuses: full fine-tuning, learning rate 5e-6, cosine, no warm-up, 15
epochs, 64 rows per step, rows of up to 16384 tokens. Does not import torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.files import read_toml, why
from scale_reasoning.types import JSON

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
Sharding: TypeAlias = Literal["fsdp2", "zero3", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One fine-tuning. `model` is a folder, a name on the Hub (at `revision`) or smollm2, the embedded model; `rows` is
    a train.jsonl (see rows.py).

    `global_batch` rows make a step: `device_batch` at a time on each of `gpus`, accumulated. `steps` sets the length of
    the training instead of `epochs`. A LoRA learns at `lora_learning_rate`, which is higher because it starts at zero.
    `sharding` is how several GPUs share the model; `gpus` counts those of all `machines`, which share a disk. A row of
    more than `cutoff` tokens is dropped (`over_cutoff`). A checkpoint is saved every `save_every` steps (None: every
    epoch); the last `keep_checkpoints` are kept.
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
    over_cutoff: Literal["drop"] = "drop"
    packing: bool = False
    global_batch: Count = 64
    device_batch: Count = 1
    gpus: Count = 1
    machines: Count = 1
    sharding: Sharding = "fsdp2"
    gradient_checkpointing: bool = True
    attention: Literal["sdpa", "flash_attention_2", "eager"] = "sdpa"
    save_every: Count | None = None
    keep_checkpoints: Count = 2
    log_every: Count = 1
    seed: Whole = 0

    def __post_init__(self) -> None:
        if self.gpus % self.machines:
            raise ConfigError(f"gpus = {self.gpus} must be a multiple of machines = {self.machines}")
        if self.machines > 1 and self.sharding != "fsdp2":
            raise ConfigError(f'sharding = "{self.sharding}": several machines need "fsdp2"')
        if self.global_batch % (self.device_batch * self.gpus):
            raise ConfigError(
                f"global_batch = {self.global_batch} must be a multiple of device_batch = {self.device_batch} x "
                f"gpus = {self.gpus}; possible: {self._list_choices()}"
            )

    @property
    def rate(self) -> float:
        """The learning rate of the method."""
        return self.lora_learning_rate if self.method == "lora" else self.learning_rate

    @property
    def accumulation(self) -> int:
        """Batches per GPU and step."""
        return self.global_batch // (self.device_batch * self.gpus)

    @property
    def shared_by(self) -> Sharding:
        """How the GPUs share the model; `none` for one GPU."""
        return self.sharding if self.gpus > 1 else "none"

    @property
    def checkpointed_by(self) -> Literal["fsdp", "trainer", "nobody"]:
        """What recomputes activations. FSDP saves a gather, but PEFT does not find its adapters in FSDP's wrappers."""
        if not self.gradient_checkpointing:
            return "nobody"
        return "fsdp" if self.shared_by == "fsdp2" and self.method == "full" else "trainer"

    def steps_per_epoch(self, sequences: int) -> int:
        """Steps of one epoch over sequences: rows, or packs of rows. The last step may be smaller."""
        return ceil(ceil(sequences / (self.device_batch * self.gpus)) / self.accumulation)

    def total_steps(self, sequences: int) -> int:
        """Steps of the whole training."""
        return self.steps or ceil(self.epochs * self.steps_per_epoch(sequences))

    def _list_choices(self) -> str:
        per_gpu, rest = divmod(self.global_batch, self.gpus)
        if not rest:
            return f"device_batch = {_listed(_divisors(per_gpu))} on {self.gpus} GPUs"
        per_batch, rest = divmod(self.global_batch, self.device_batch)
        counts = _listed(_divisors(self.global_batch if rest else per_batch))
        return f"gpus = {counts} with device_batch = {1 if rest else self.device_batch}"


def read(file: Path, flags: Mapping[str, JSON] | None = None) -> Recipe:
    """The recipe in a TOML file; `flags` override it. Raises `ConfigError` that names the key."""
    try:
        table = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error
    return recipe({**table, **(flags or {})}, str(file), flags or ())


def recipe(table: Mapping[str, JSON], where: str, flags: Collection[str] = ()) -> Recipe:
    """The recipe in a table; `flags` are the keys that flags have set. Raises `ConfigError` that names key or flag."""
    refuse_unknown_keys(where, table, {field.name for field in fields(Recipe)})
    for key in ("model", "rows"):
        if not table.get(key):
            raise ConfigError(f"{where}: {key} is missing: name the {key} in the recipe, or with --{key}")
    if table.get("over_cutoff") == "cut":
        raise ConfigError(
            f'{where}: over_cutoff = "cut": a trace that is cut has lost its answer, so no row is cut any more: raise '
            "cutoff above the longest row, or leave the key out, which drops longer rows"
        )
    try:
        return msgspec.convert(dict(table), Recipe)
    except msgspec.ValidationError as error:
        wrong = next((key for key in flags if str(error).endswith(f" - at `$.{key}`")), None)
        if wrong is None:
            raise ConfigError(f"{where}: {error}") from error
        told = str(error).removesuffix(f" - at `$.{wrong}`")
        raise ConfigError(f"--{wrong.replace('_', '-')} {table[wrong]}: {told}") from error


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _listed(numbers: list[int]) -> str:
    *rest, last = map(str, numbers)
    return f"{', '.join(rest)} or {last}" if rest else last
