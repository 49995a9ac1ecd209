"""From a manifest to a run that can start: loads problems, reads gold answers, resolves names.

Checks everything that can be checked before the first call.
"""

from __future__ import annotations

import subprocess
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import msgspec

from scale_reasoning.datasets import Dataset, load
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import ModelSpec, derive_system1, find_family
from scale_reasoning.engines.identify import find_kinds
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.graders import check_name, grader_for
from scale_reasoning.profiles import Profile
from scale_reasoning.runs.language import require_language_of
from scale_reasoning.runs.manifest import DatasetSpec, Manifest, name_unnamed
from scale_reasoning.strategies import fingerprints
from scale_reasoning.types import JSON, Problem, Solution


async def prepare(manifest: Manifest) -> tuple[Manifest, dict[str, tuple[Problem, ...]]]:
    """The manifest with `resolved` filled, and the problems of each dataset by name. Raises ConfigError."""
    manifest = manifest.normalise()
    if not manifest.resolved:
        manifest = name_default(manifest)
    specs: dict[str, DatasetSpec] = {}
    for cell in manifest.cells:
        if specs.setdefault(cell.dataset.name, cell.dataset) != cell.dataset:
            raise ConfigError(f"dataset {cell.dataset.name}: a run can take it in one way only; make two runs")
    datasets = {name: _load(spec) for name, spec in specs.items()}
    for dataset in datasets.values():
        await _check_gold(dataset, manifest.grader)
    for name, model in dict.fromkeys((cell.dataset.name, cell.model) for cell in manifest.cells):
        require_language_of(name_unnamed(model), datasets[name].problems)
    prompts: dict[str, str] = {}
    profiles: dict[str, JSON] = {}
    for cell in manifest.cells:
        families = _find_families(cell.model)
        sets = {family.prompts for family in families.values()}
        prompts |= fingerprints(cell.make_strategy(), sets.pop() if len(sets) == 1 else "")
        profiles |= {model: msgspec.to_builtins(family) for model, family in families.items()}
    resolved: dict[str, JSON] = {
        "package": version("scale-reasoning"),
        "commit": _find_commit(),
        "prompts": prompts,
        "profiles": profiles,
        "servers": find_kinds(each for cell in manifest.cells for each in _list_specs(cell.model)),
        "datasets": {name: msgspec.to_builtins(dataset.source) for name, dataset in datasets.items()},
    }
    return replace(manifest, resolved=resolved), {name: dataset.problems for name, dataset in datasets.items()}


def name_default(manifest: Manifest) -> Manifest:
    """The manifest of a new run with the default model named, so that a resume keeps it when the default changes."""
    unnamed = (cell.model for cell in manifest.cells if not (cell.model.model or cell.model.base_url))
    return manifest.replace_models({spec: replace(spec, model=DEFAULT_MODEL) for spec in unnamed})


def _find_families(model: ModelSpec) -> dict[str, Profile]:
    """The families of a cell's models, by model, as the engines resolve them."""
    return {each.model or DEFAULT_MODEL: find_family(each) for each in _list_specs(model)}


def _list_specs(model: ModelSpec) -> list[ModelSpec]:
    """The specs of a cell's modes: one, or two where System 1 is elsewhere."""
    spec = name_unnamed(model)
    return [each for each in (spec, derive_system1(spec)) if each is not None]


def _load(spec: DatasetSpec) -> Dataset:
    options = asdict(spec)
    options["data_dir"] = Path(spec.data_dir) if spec.data_dir else None
    return load(options.pop("name"), **options)


async def _check_gold(dataset: Dataset, grader: str | None) -> None:
    """Grades every gold answer against itself. Raises ConfigError for one that is not right."""
    check_name(grader)
    for problem in dataset.problems:
        gold = problem.answer or ""
        judge = grader_for(gold, grader)
        try:
            grade = await judge.grade(problem, Solution(answer=gold))
        except GradeError as error:
            raise ConfigError(f"dataset {dataset.name}: {error}") from error
        if not grade.correct:
            raise ConfigError(
                f"dataset {dataset.name}, problem {problem.id}: the gold answer {gold!r} is not equal to itself "
                f"({grade.reason or grade.grader})"
            )


def _find_commit() -> str | None:
    """The commit of the checkout that this package runs from; None where there is none."""
    try:
        done = subprocess.run(  # noqa: S603  fixed words
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],  # noqa: S607  the user's own git
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
