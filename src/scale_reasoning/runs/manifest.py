"""What a run is to do, in full: cells (a strategy on a dataset with a model), samples, seed. Recipes resolve to it.

A manifest is JSON, a recipe TOML with lists that are multiplied out; either is a valid input of `scale eval`. Unknown
keys are refused, for a misspelt option would cost a whole run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import msgspec

from scale_reasoning.engines import Connection
from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.files import read_bounded, read_toml, why
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.shard import Shard
from scale_reasoning.strategies import describe, make
from scale_reasoning.types import JSON, Problem

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """Which problems: see datasets.load. `count` takes the first so many."""

    name: str
    data_dir: str | None = None
    count: int | None = None
    split: str | None = None
    level: str | None = None
    problem_field: str | None = None
    answer_field: str | None = None


UNNAMED = "smollm2"
"""The model of a run whose manifest names none; since the student is the default, every new manifest names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which model: what of engines.Connection changes what is asked. Never a key, only its variable's name."""

    model: str | None = None
    base_url: str | None = None
    more_base_urls: tuple[str, ...] = ()
    system1_model: str | None = None
    system1_base_url: str | None = None
    api_key_env: str | None = None
    profile: str | None = None
    profiles: str | None = None
    window: int | None = None
    temperature: float | None = None
    top_p: float | None = None

    def connection(self, base: Connection) -> Connection:
        """The model, with the limits, time-outs and key of `base`."""
        spec = self if self.model or self.base_url else replace(self, model=UNNAMED)
        own = {f.name: getattr(spec, f.name) for f in fields(self) if f.name not in ("api_key_env", "profiles")}
        return replace(base, **own, profiles=Path(self.profiles) if self.profiles else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSpec:
    """One row of a report to be: a strategy (as `strategies.describe` shows it) on a dataset with a model."""

    dataset: DatasetSpec
    model: ModelSpec
    strategy: Mapping[str, JSON]

    def made(self) -> Strategy:
        """The strategy. Raises ConfigError."""
        settings = dict(self.strategy)
        return make(str(settings.pop("name", "scale")), settings)


MOST_BYTES = 16 << 20
"""Of a manifest that a run is begun from."""
MOST_CELLS = 10_000
"""A recipe that multiplies out to more is a slip."""
MOST_SAMPLES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole run, or one `shard` of it.

    `resolved` says what names stood for when it was made: it is shown and compared, never obeyed. `synthesis` is what
    the traces that a run is made for are to be like (synth.settings), empty for an evaluation.
    """

    cells: tuple[CellSpec, ...]
    samples: int = 8
    seed: int = 0
    grader: str | None = None
    reuse: bool = True
    shard: Shard | None = None
    format: int = FORMAT
    resolved: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    synthesis: Mapping[str, JSON] = field(default_factory=dict[str, JSON])

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ConfigError(f"manifest format {self.format}: this version reads {FORMAT}")
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise ConfigError(f"samples = {self.samples}: must be from 1 to {MOST_SAMPLES:,}")
        if len(self.cells) > MOST_CELLS:
            raise ConfigError(f"{len(self.cells):,} cells: at most {MOST_CELLS:,}")
        if not self.cells:
            raise ConfigError("nothing to run: a run needs a dataset, a model and a strategy")

    def normalised(self) -> Manifest:
        """With every strategy spelled out in full, each checked. Raises ConfigError."""
        return replace(self, cells=tuple(replace(cell, strategy=describe(cell.made())) for cell in self.cells))

    def planned(self, dataset: str, problems: Iterable[Problem]) -> int:
        """How many units there are, counted without listing them."""
        if self.shard is None:
            return sum(self.samples for _ in problems)
        return sum(self.shard.count(dataset, problem.id, self.samples) for problem in problems)

    def units(self, dataset: str, problems: Iterable[Problem]) -> Iterator[tuple[Problem, int]]:
        """The samples of a dataset's problems that are this run's to make: (problem, sample), in the order given."""
        for problem in problems:
            for sample in range(self.samples):
                if self.shard is None or self.shard.has(dataset, problem.id, sample):
                    yield problem, sample


RESOLVED: Mapping[str, Any] = {
    "served": list[str],
    "adaptations": dict[str, list[str]],
    "datasets": dict[str, dict[str, Any]],
    "prompts": dict[str, Any],
    "profiles": dict[str, Any],
}
"""The shapes of what `resolved` says, where something reads it."""
_SHARED_KEYS = ("samples", "seed", "grader", "reuse")
RECIPE_KEYS = {*_SHARED_KEYS, "data_dir", "count", "datasets", "models", "strategies"}


def read(file: Path) -> Manifest:
    """The manifest in a JSON file, or the one that a TOML recipe resolves to. Raises ConfigError naming the place."""
    try:
        if file.suffix == ".toml":
            return recipe(read_toml(file), file.name).normalised()
        return decode(json.loads(read_bounded(file, MOST_BYTES)), file.name).normalised()
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error


def recipe(table: Mapping[str, JSON], where: str) -> Manifest:
    """Every strategy on every dataset with every model of a recipe.

    `datasets` are names or tables, `models` tables, `strategies` tables with a `name`; a strategy's setting that is a
    list stands for as many strategies.
    """
    _refuse_unknown(where, table, RECIPE_KEYS)
    shared = {key: table[key] for key in ("data_dir", "count") if key in table}
    datasets = [
        {**shared, **({"name": item} if isinstance(item, str) else _table(f"{where}, datasets", item))}
        for item in _listed(where, table, "datasets")
    ]
    models = _listed(where, {"models": [{}], **table}, "models")
    strategies = [
        one for item in _listed(where, table, "strategies") for one in multiplied(_table(f"{where}, strategies", item))
    ]
    if len(datasets) * len(models) * len(strategies) > MOST_CELLS:
        raise ConfigError(f"{where}: its lists multiply out to over {MOST_CELLS:,} cells; make several recipes of it")
    cells = [
        {"dataset": dataset, "model": model, "strategy": strategy}
        for model in models
        for dataset in datasets
        for strategy in strategies
    ]
    return decode({"cells": cells, **{key: table[key] for key in _SHARED_KEYS if key in table}}, where)


def multiplied(strategy: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One strategy for every combination of the settings that are lists. Raises ConfigError for too many."""
    combinations: list[dict[str, JSON]] = [{}]
    for key, value in strategy.items():
        values = cast("list[JSON]", value) if isinstance(value, list) else [value]
        if len(combinations) * len(values) > MOST_CELLS:
            raise ConfigError(f"strategies, {key}: the lists multiply out to over {MOST_CELLS:,}; make several of it")
        combinations = [{**one, key: each} for one in combinations for each in values]
    return combinations


def decode(value: JSON, where: str) -> Manifest:
    """A manifest from its JSON. Raises ConfigError."""
    table = _table(where, value)
    _refuse_unknown(where, table, {f.name for f in fields(Manifest)})
    _refuse_unknown(f"{where}, shard", table.get("shard") or {}, {f.name for f in fields(Shard)})
    for cell in _listed(where, table, "cells"):
        _refuse_unknown(f"{where}, cell", cell, {f.name for f in fields(CellSpec)})
        _refuse_unknown(f"{where}, dataset", cell.get("dataset", {}), {f.name for f in fields(DatasetSpec)})
        _refuse_unknown(f"{where}, model", cell.get("model", {}), {f.name for f in fields(ModelSpec)})
    resolved = _table(f"{where}, resolved", table.get("resolved") or {})
    for key, shape in RESOLVED.items():
        if resolved.get(key) is not None:
            _convert(f"{where}, resolved, {key}", resolved[key], shape)
    return _convert(where, table, Manifest)


def encode(manifest: Manifest) -> bytes:
    """The manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def differences(old: Manifest, new: Manifest) -> list[str]:
    """What would make `new` another run than `old`, a line each; `resolved` counts where it names code and data."""
    lines = [
        f"{name}: was {getattr(old, name)}, is {getattr(new, name)}"
        for name in ("samples", "seed", "grader", "reuse", "shard")
        if getattr(old, name) != getattr(new, name)
    ]
    if len(old.cells) != len(new.cells):
        return [*lines, f"cells: were {len(old.cells)}, are {len(new.cells)}"]
    lines += [
        f"cell {number}, {part}: was {getattr(was, part)}, is {getattr(now, part)}"
        for number, (was, now) in enumerate(zip(old.cells, new.cells, strict=True), 1)
        for part in ("dataset", "model", "strategy")
        if getattr(was, part) != getattr(now, part)
    ]
    lines += [
        f"{key}: were {old.resolved[key]}, are {new.resolved[key]}"
        for key in ("prompts", "datasets")
        if key in old.resolved and key in new.resolved and old.resolved[key] != new.resolved[key]
    ]
    return lines


def _listed(where: str, table: Mapping[str, JSON], key: str) -> Sequence[JSON]:
    value = table.get(key)
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: {key} must be a list with something in it")
    return cast("list[JSON]", value)


def _convert(where: str, value: JSON, shape: type[Any]) -> Any:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _table(where: str, value: JSON) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: must be a table, not {value!r:.40}")
    return cast("Mapping[str, JSON]", value)


def _refuse_unknown(where: str, found: JSON, known: set[str]) -> None:
    refuse_unknown_keys(where, _table(where, found), known)
