"""What a recipe means: a TOML file whose lists are multiplied out into the cells of a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded, read_toml, why
from scale_reasoning.runs.like import find_preset
from scale_reasoning.runs.manifest import (
    MOST_BYTES,
    MOST_CELLS,
    CellSpec,
    Manifest,
    decode,
    refuse_unknown,
    require_list,
    require_table,
)
from scale_reasoning.types import JSON

SHARED_KEYS = ("samples", "seed", "grader", "reuse")
KEYS = {*SHARED_KEYS, "like", "data_dir", "count", "datasets", "models", "strategies"}


def read(file: Path) -> Manifest:
    """The manifest in a JSON file, or the one that a TOML recipe resolves to. Raises ConfigError."""
    try:
        if file.suffix == ".toml":
            return resolve(read_toml(file), file.name).normalise()
        return decode(json.loads(read_bounded(file, MOST_BYTES)), file.name).normalise()
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: {why(error)}") from error


def resolve(table: Mapping[str, JSON], where: str) -> Manifest:
    """Every strategy on every dataset with every model of a recipe. Raises ConfigError that begins with `where`.

    `datasets` are names or tables, `models` tables, `strategies` tables with a `name`; an option that is a list makes
    one strategy per value. `like` names a preset (like.py).
    """
    refuse_unknown(where, table, KEYS)
    shared = {key: table[key] for key in ("data_dir", "count") if key in table}
    datasets = [
        {**shared, **({"name": item} if isinstance(item, str) else require_table(f"{where}, datasets", item))}
        for item in require_list(where, table, "datasets")
    ]
    models = require_list(where, {"models": [{}], **table}, "models")
    strategies = [
        strategy
        for item in require_list(where, table, "strategies")
        for strategy in multiply_out(require_table(f"{where}, strategies", item))
    ]
    if len(datasets) * len(models) * len(strategies) > MOST_CELLS:
        raise ConfigError(f"{where}: its lists multiply out to over {MOST_CELLS:,} cells; write several recipes")
    cells = [
        {"dataset": dataset, "model": model, "strategy": strategy}
        for model in models
        for dataset in datasets
        for strategy in strategies
    ]
    manifest = decode({"cells": cells, **{key: table[key] for key in SHARED_KEYS if key in table}}, where)
    return manifest if table.get("like") is None else _liken(manifest, table["like"], where)


def _liken(manifest: Manifest, preset: JSON, where: str) -> Manifest:
    """The manifest with a preset's values where the recipe sets none."""
    cells: list[CellSpec] = []
    for cell in manifest.cells:
        try:
            found = find_preset(str(preset), cell.model)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        name = str(cell.strategy.get("name", "scale"))
        own = {key: value for key, value in cell.strategy.items() if key != "name"}
        strategy = {"name": name, **found.set_options(name, own)}
        cells.append(replace(cell, model=found.set_model(cell.model), strategy=strategy))
    return replace(manifest, cells=tuple(cells))


def multiply_out(strategy: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One strategy for every combination of the options that are lists. Raises ConfigError for too many."""
    combinations: list[dict[str, JSON]] = [{}]
    for key, value in strategy.items():
        values = cast("list[JSON]", value) if isinstance(value, list) else [value]
        if len(combinations) * len(values) > MOST_CELLS:
            raise ConfigError(f"strategies, {key}: the lists multiply out to over {MOST_CELLS:,}; write several")
        combinations = [{**strategy, key: value} for strategy in combinations for value in values]
    return combinations
