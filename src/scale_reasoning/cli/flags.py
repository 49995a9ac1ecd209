"""The flags that several verbs share, as frozen values. Each verb reads its command line once (options.py) into these.

None, or an empty value, means that the flag was not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_reasoning.engines.connection import Access, ModelSpec
from scale_reasoning.runs.like import Preset
from scale_reasoning.runs.manifest import DatasetSpec
from scale_reasoning.runs.shard import Shard
from scale_reasoning.types import JSON

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SERVER_KEYS = ("base_url", "more_base_urls", "system1_base_url")
"""Where a model's servers are. It may change between two parts of a run, as the variable of the key may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFlags:
    """Which strategies, as spelled, and their options: `options` with flags of their own, `settings` from --set.

    effort_settings: the options that the word of effort stands for in the model's family. preset: what --like names,
    for the model's family.
    """

    strategies: tuple[str, ...] = ()
    effort: str | None = None
    like: str | None = None
    preset: Preset | None = None
    policy: Path | None = None
    effort_settings: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    options: Mapping[str, str]
    settings: tuple[str, ...] = ()

    def list_given(self) -> list[str]:
        """The flags that were given, as messages name them."""
        named = {"--strategy": self.strategies, "--effort": self.effort, "--like": self.like, "--policy": self.policy}
        flags = [flag for flag, value in named.items() if value]
        return [*flags, *map(name_flag, self.options), *(f"--set {each}" for each in self.settings)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFlags:
    """Which model, without what the environment adds, and how it is reached, without a key."""

    model: ModelSpec
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """What a run does, in part or in full, and how. `data` is without a name."""

    strategy: StrategyFlags
    model: ModelFlags
    data: DatasetSpec
    samples: int | None
    seed: int | None
    grader: str | None
    shard: Shard | None
    reuse: bool
    out: Path | None
    attempts_in_flight: int | None
    ray: str | None
    ray_workers: int
    dry_run: bool
    trust_manifest: bool
    max_tokens_total: int | None = None
    max_cost: float | None = None
    prices: str | None = None
    name: str | None = None

    def list_fixed(self) -> list[tuple[str, str, Any]]:
        """The given values that a resume cannot change: part of the manifest (run, dataset, model), key, value."""
        run = {key: getattr(self, key) for key in ("samples", "seed", "grader", "shard")}
        parts = {"run": run, "dataset": pick_given(self.data), "model": pick_given(self.model.model)}
        values = [(part, key, value) for part, of in parts.items() for key, value in of.items()]
        return [each for each in values if each[2] is not None and each[1] not in (*SERVER_KEYS, "api_key_env")]


def pick_given(value: DataclassInstance) -> dict[str, Any]:
    """The fields of a dataclass that hold something."""
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    return {key: each for key, each in found.items() if each not in (None, (), "")}


def name_flag(key: str) -> str:
    """The flag that sets a key of a manifest."""
    return "--limit" if key == "count" else f"--{key.replace('_', '-')}"
