"""What a run does, in full: cells (a strategy on a dataset with a model), samples, seed. Recipes resolve to it.

A manifest is JSON; `scale eval` takes it as it takes a recipe (recipe.py). Unknown keys are refused, because a misspelt
option would cost a whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, cast

import msgspec

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.rounds import Tuning
from scale_reasoning.runs.shard import Shard
from scale_reasoning.servers import GENERIC
from scale_reasoning.strategies import describe, make_described
from scale_reasoning.strategies.former import modernise_tree
from scale_reasoning.types import JSON, Mode, Problem

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """Which problems: see datasets.load. `count` takes the first N."""

    name: str
    data_dir: str | None = None
    count: int | None = None
    split: str | None = None
    level: str | None = None
    problem_field: str | None = None
    answer_field: str | None = None


UNNAMED = "smollm2"
"""The model of a run whose manifest names none. Every new manifest names one."""


def name_unnamed(spec: ModelSpec) -> ModelSpec:
    """The model that a stored manifest means: `UNNAMED` where it names neither a model nor a server, and a generic
    server where it names no kind.
    """
    if spec.system1_base_url and spec.system1_server is None:
        spec = replace(spec, system1_server=GENERIC)
    if spec.base_url:
        return spec if spec.server else replace(spec, server=GENERIC)
    return spec if spec.model else replace(spec, model=UNNAMED)


def models_of(spec: ModelSpec) -> dict[Mode, str]:
    """The names of the model that a stored manifest means, by mode."""
    system2 = spec.model or UNNAMED
    return {Mode.SYSTEM2: system2, Mode.SYSTEM1: spec.system1_model or system2}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSpec:
    """A strategy (as `strategies.describe` shows it) on a dataset with a model."""

    dataset: DatasetSpec
    model: ModelSpec
    strategy: Mapping[str, JSON]

    def __post_init__(self) -> None:
        if type(self.model) is not ModelSpec:  # a Connection holds a key, which must never reach a file
            raise TypeError(f"{type(self.model).__name__} in a cell: must be a ModelSpec")

    def make_strategy(self) -> Strategy:
        """The strategy. Raises ConfigError."""
        return make_described({"name": "scale", **self.strategy})


MOST_BYTES = 16 << 20
"""Of a manifest that starts a run."""
MOST_CELLS = 10_000
"""A recipe that multiplies out to more is a mistake."""
MOST_SAMPLES = 100_000
MOST_NAME = 80
"""Characters of a run's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole run, or one `shard` of it.

    `resolved` says what names meant when the manifest was made: it is shown and compared, never obeyed. `synthesis`
    holds the settings of the traces that the run is made for (synth.settings); it is empty for an evaluation.
    `tuning` is what the run decides by if `scale tune` made it. `name` and `created` (ISO 8601, UTC) are for people:
    they make no other run of it.
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
    tuning: Tuning | None = None
    name: str | None = None
    created: str | None = None

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ConfigError(f"manifest format {self.format}: this version reads {FORMAT}")
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise ConfigError(f"samples = {self.samples}: must be from 1 to {MOST_SAMPLES:,}")
        if len(self.cells) > MOST_CELLS:
            raise ConfigError(f"{len(self.cells):,} cells: at most {MOST_CELLS:,}")
        for key, value in (("name", self.name), ("created", self.created)):
            if value is not None and len(value) > MOST_NAME:
                raise ConfigError(f"{key} = {value[:20]!r}…: at most {MOST_NAME} characters")
        if not self.cells:
            raise ConfigError("nothing to run: a run needs a dataset, a model and a strategy")

    def normalise(self) -> Manifest:
        """The manifest with all options of every strategy, each checked. Raises ConfigError."""
        return replace(self, cells=tuple(replace(cell, strategy=describe(cell.make_strategy())) for cell in self.cells))

    def replace_models(self, models: Mapping[ModelSpec, ModelSpec]) -> Manifest:
        """The manifest with each model replaced by the one that `models` has for it."""
        cells = (replace(cell, model=models.get(cell.model, cell.model)) for cell in self.cells)
        return replace(self, cells=tuple(cells))

    def count_units(self, dataset: str, problems: Iterable[Problem]) -> int:
        """The number of units, without listing them."""
        if self.shard is None:
            return sum(self.samples for _ in problems)
        return sum(self.shard.count(dataset, problem.id, self.samples) for problem in problems)

    def require_tuning(self) -> Tuning:
        """What the run decides by. Raises ConfigError if `scale tune` has not made it."""
        if self.tuning is None:
            raise ConfigError("scale tune has not made this run: to resume it, scale eval --resume RUN")
        return self.tuning

    def count_needed(self, cell: int) -> int | None:
        """The attempts that a tuning needs of a cell, as far as that is decided; None where it needs all."""
        planned = () if self.tuning is None else self.tuning.planned
        return planned[cell] if cell < len(planned) else None

    def list_units(self, dataset: str, problems: Iterable[Problem]) -> Iterator[tuple[Problem, int]]:
        """The samples of a dataset's problems that this run makes: (problem, sample), in the order given."""
        for problem in problems:
            for sample in range(self.samples):
                if self.shard is None or self.shard.has(dataset, problem.id, sample):
                    yield problem, sample


Calls = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

RESOLVED: Mapping[str, Any] = {
    "served": list[str],
    "adaptations": dict[str, list[str]],
    "datasets": dict[str, dict[str, Any]],
    "prompts": dict[str, Any],
    "profiles": dict[str, Any],
    "servers": dict[str, str],
    "taken_calls": Calls,
}
"""The shapes of what `resolved` says, where something reads it."""
_LATER_KEYS = ("server", "system1_server")


def decode(value: JSON, where: str) -> Manifest:
    """A manifest from its JSON. Raises ConfigError that begins with `where`."""
    table = require_table(where, value)
    refuse_unknown(where, table, {f.name for f in fields(Manifest)})
    refuse_unknown(f"{where}, shard", table.get("shard") or {}, {f.name for f in fields(Shard)})
    refuse_unknown(f"{where}, tuning", table.get("tuning") or {}, {f.name for f in fields(Tuning)})
    for cell in require_list(where, table, "cells"):
        refuse_unknown(f"{where}, cell", cell, {f.name for f in fields(CellSpec)})
        refuse_unknown(f"{where}, dataset", cell.get("dataset", {}), {f.name for f in fields(DatasetSpec)})
        refuse_unknown(f"{where}, model", cell.get("model", {}), {f.name for f in fields(ModelSpec)})
        if isinstance(strategy := cell.get("strategy"), Mapping):
            cell["strategy"] = modernise_tree(cast("Mapping[str, JSON]", strategy))
    resolved = require_table(f"{where}, resolved", table.get("resolved") or {})
    for key, shape in RESOLVED.items():
        if resolved.get(key) is not None:
            _convert(f"{where}, resolved, {key}", resolved[key], shape)
    return _convert(where, table, Manifest)


def encode(manifest: Manifest) -> bytes:
    """The manifest as indented JSON. Keys that the first manifests did not have are left out where they are None."""
    table = msgspec.to_builtins(manifest)
    for key in ("name", "created"):
        if table[key] is None:
            del table[key]
    for cell in table["cells"]:
        for key in _LATER_KEYS:
            if cell["model"][key] is None:
                del cell["model"][key]
    return msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n"


def list_differences(old: Manifest, new: Manifest) -> list[str]:
    """What makes `new` another run than `old`, one line each. Of `resolved`, prompts and datasets count."""
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


def _convert(where: str, value: JSON, shape: type[Any]) -> Any:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def require_list(where: str, table: Mapping[str, JSON], key: str) -> Sequence[JSON]:
    """The table's list under a key. Raises ConfigError if there is none, or if it is empty."""
    value = table.get(key)
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: {key} must be a list that is not empty")
    return cast("list[JSON]", value)


def require_table(where: str, value: JSON) -> Mapping[str, JSON]:
    """The value, if it is a table. Raises ConfigError."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: must be a table, not {value!r:.40}")
    return cast("Mapping[str, JSON]", value)


def refuse_unknown(where: str, table: JSON, known: set[str]) -> None:
    """Raises ConfigError for what is no table, or has a key that is not known."""
    refuse_unknown_keys(where, require_table(where, table), known)
