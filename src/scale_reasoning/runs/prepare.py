"""From what was asked for to a run that can start: problems loaded, gold answers read, names resolved.

Everything that can be wrong before a token is spent is found here.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import msgspec

from scale_reasoning.datasets import Dataset, load
from scale_reasoning.engines import EMBEDDED, Connection, family_of, system1_connection
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.graders import check_name, grader_for
from scale_reasoning.profiles import Profile
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.strategies import fingerprints
from scale_reasoning.types import JSON, Problem, Solution


async def prepare(manifest: Manifest) -> tuple[Manifest, dict[str, tuple[Problem, ...]]]:
    """The manifest with `resolved` filled, and the problems of each dataset by name. Raises ConfigError."""
    manifest = manifest.normalised()
    if not manifest.resolved:
        manifest = _named(manifest)
    specs: dict[str, DatasetSpec] = {}
    for cell in manifest.cells:
        if specs.setdefault(cell.dataset.name, cell.dataset) != cell.dataset:
            raise ConfigError(f"dataset {cell.dataset.name}: asked for in two ways in one run; make two runs of it")
    datasets = {name: _loaded(spec) for name, spec in specs.items()}
    for dataset in datasets.values():
        await _gold_can_be_read(dataset, manifest.grader)
    resolved: dict[str, JSON] = {
        "package": version("scale-reasoning"),
        "commit": _commit(),
        "prompts": {k: v for cell in manifest.cells for k, v in _prompts(cell).items()},
        "profiles": {
            name: msgspec.to_builtins(profile) for cell in manifest.cells for name, profile in _profiles(cell).items()
        },
        "datasets": {name: msgspec.to_builtins(dataset.source) for name, dataset in datasets.items()},
    }
    return replace(manifest, resolved=resolved), {name: dataset.problems for name, dataset in datasets.items()}


def _named(manifest: Manifest) -> Manifest:
    """A new run's, with the default's name where none was given: it goes on with its model when the default changes."""
    cells = [
        cell if cell.model.model or cell.model.base_url else replace(cell, model=replace(cell.model, model=EMBEDDED))
        for cell in manifest.cells
    ]
    return replace(manifest, cells=tuple(cells))


def _profiles(cell: CellSpec) -> dict[str, Profile]:
    """The families of a cell's models, by model, as the engines resolve them."""
    connection = cell.model.connection(Connection())
    both = (connection, system1_connection(connection))
    return {each.model or EMBEDDED: family_of(each) for each in both if each is not None}


def _prompts(cell: CellSpec) -> dict[str, str]:
    """The fingerprints of what a cell's strategy sends (see LM.prompts)."""
    sets = {profile.prompts for profile in _profiles(cell).values()}
    return fingerprints(cell.made(), sets.pop() if len(sets) == 1 else "")


def _loaded(spec: DatasetSpec) -> Dataset:
    return load(
        spec.name,
        data_dir=Path(spec.data_dir) if spec.data_dir else None,
        count=spec.count,
        split=spec.split,
        level=spec.level,
        problem_field=spec.problem_field,
        answer_field=spec.answer_field,
    )


async def _gold_can_be_read(dataset: Dataset, grader: str | None) -> None:
    """Grades every gold answer against itself."""
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


def _commit() -> str | None:
    """The commit of the checkout that this package runs from, if it does."""
    try:
        done = subprocess.run(  # noqa: S603  fixed words
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],  # noqa: S607  the user's own git
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
