"""From the flags of a run to its manifest, and which flags a recipe, a manifest or a stored run does not allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scale_reasoning.cli import chosen
from scale_reasoning.cli.flags import SERVER_KEYS, RunFlags, name_flag, pick_given
from scale_reasoning.cli.reach import locate, move, require_servers, require_system1, runs_here
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.manifest import CellSpec, Manifest, name_unnamed
from scale_reasoning.strategies import describe
from scale_reasoning.types import JSON

SAMPLES = 8
IN_RECIPES = ("split", "level", "problem_field", "answer_field")
"""Keys of a dataset that a recipe or a manifest decides; flags can change the others."""


def make_manifest(flags: RunFlags, datasets: Sequence[str], strategies: Sequence[Strategy]) -> Manifest:
    """The manifest that the flags describe: every strategy on every dataset. Raises ConfigError."""
    require_system1(flags.model.model)
    model = _locate(flags)
    require_servers(model)
    return Manifest(
        cells=tuple(
            CellSpec(dataset=replace(flags.data, name=name), model=model, strategy=describe(strategy))
            for name in datasets
            for strategy in strategies
        ),
        samples=SAMPLES if flags.samples is None else flags.samples,
        seed=flags.seed or 0,
        grader=flags.grader,
        reuse=flags.reuse,
        shard=flags.shard,
    )


def change_manifest(manifest: Manifest, flags: RunFlags, where: str) -> Manifest:
    """The manifest of a recipe, `where`, with what flags change: model, servers, data folder, numbers.

    Of a recipe with several models, `--model` takes the one that it names. Raises ConfigError for flags that change
    what the recipe decides.
    """
    refuse(flags, where, IN_RECIPES)
    manifest = _choose_model(manifest, flags, where)
    default = _locate(flags).base_url
    changes = {key: each for key, each in pick_given(flags.model.model).items() if key not in SERVER_KEYS}
    models = move(flags.model.model, {cell.model: replace(cell.model, **changes) for cell in manifest.cells})
    manifest = manifest.replace_models({old: _fill_server(new, default) for old, new in models.items()})
    cells = tuple(replace(cell, dataset=replace(cell.dataset, **pick_given(flags.data))) for cell in manifest.cells)
    run = {key: value for part, key, value in flags.list_fixed() if part == "run"}
    return replace(manifest, cells=cells, reuse=manifest.reuse and flags.reuse, synthesis={}, tuning=None, **run)


def _choose_model(manifest: Manifest, flags: RunFlags, where: str) -> Manifest:
    """The manifest with the one model of several that `--model` names. Raises ConfigError where none has that name."""
    named = flags.model.model.model
    models = dict.fromkeys(cell.model.model for cell in manifest.cells)
    if named is None or len(models) == 1:
        return manifest
    if named not in models:
        names = ", ".join(name or "one without a name" for name in models)
        raise ConfigError(f"--model {named}: {where} has several models: name one of {names}, or leave the flag out")
    return replace(manifest, cells=tuple(cell for cell in manifest.cells if cell.model.model == named))


def _locate(flags: RunFlags) -> ModelSpec:
    """The flags' model with its servers. Raises ConfigError for a URL that cannot stand in a manifest."""
    model = locate(flags.model.model)
    if any("@" in url for url in (model.base_url, *model.more_base_urls, model.system1_base_url) if url):
        raise ConfigError("a base URL with a user or password would be stored in the manifest; use --api-key-env")
    return model


def _fill_server(model: ModelSpec, base_url: str | None) -> ModelSpec:
    """The model on the server that the environment names, where it needs one and has none."""
    return model if model.base_url or runs_here(model.model) else replace(model, base_url=base_url)


def refuse(flags: RunFlags, where: str, keys: Collection[str]) -> None:
    """Raises ConfigError for flags of strategies and of these keys, which `where` decides."""
    fixed = [name_flag(key) for _, key, _ in flags.list_fixed() if key in keys]
    for flag in (*flags.strategy.list_given(), *fixed):
        raise ConfigError(f"{flag}: {where} decides this; leave the flag out")


def require_unchanged(flags: RunFlags, manifest: Manifest) -> None:
    """Raises ConfigError when a flag changes what a stored run does. Servers, keys, limits and time-outs may change."""
    if flags.strategy.like:  # before the values that it sets, which nobody has typed
        raise ConfigError(f"--like {flags.strategy.like}: --resume keeps the run's settings; leave the flag out")
    changes: list[str] = []
    datasets, models = [cell.dataset for cell in manifest.cells], [name_unnamed(cell.model) for cell in manifest.cells]
    for part, key, value in flags.list_fixed():
        holders = {"run": [manifest], "dataset": datasets, "model": models}[part]
        stored = [getattr(holder, key) for holder in holders]
        if any(each != value for each in stored):
            changes.append(f"{name_flag(key)} {value} (the run has {'none' if stored[0] is None else stored[0]})")
    strategies: list[Mapping[str, JSON]] = []
    for cell in manifest.normalise().cells:
        if cell.strategy not in strategies:
            strategies.append(cell.strategy)
    changes += chosen.list_changes(flags.strategy, strategies)
    if manifest.reuse and not flags.reuse:
        changes.append("--no-reuse")
    if changes:
        raise ConfigError(f"--resume keeps the run's settings; start a new run for {', '.join(changes)}")
