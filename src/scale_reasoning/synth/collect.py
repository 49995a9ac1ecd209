"""Every attempt of one or more runs as a candidate for training, and what is said of where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from scale_reasoning.prompts import Prompts
from scale_reasoning.runs.store import Store, reading
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.splits import Evaluation, evaluation, split_of
from scale_reasoning.synth.trace import candidate
from scale_reasoning.types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One run that traces come from. `planned` attempts were asked for; those not made are in no candidate.

    `splits` has the split of each dataset, None where it has none. `evaluation` says in words which of the datasets are
    for evaluation.
    """

    run: str
    planned: int
    made: int
    strategies: tuple[Mapping[str, JSON], ...]
    models: tuple[str, ...]
    seed: int
    datasets: Mapping[str, Mapping[str, JSON]]
    resolved: Mapping[str, JSON]
    splits: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    evaluation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All attempts of the runs, in the order of their datasets; `evaluations` of their problems."""

    origins: tuple[Origin, ...]
    candidates: tuple[Candidate, ...]
    evaluations: tuple[Evaluation, ...] = ()


def collect(folders: Sequence[Path], words: Prompts) -> Collected:
    """The candidates of the runs in `folders`. Raises StoreError for a folder that holds none."""
    origins, candidates, evaluations = list[Origin](), list[Candidate](), list[Evaluation]()
    for folder in folders:
        with reading(folder) as store:
            made = _candidates(store, words)
            found = evaluations_of(store)
            origins.append(_origin(folder, store, made, found))
        candidates += made
        evaluations += found
    return Collected(origins=tuple(origins), candidates=tuple(candidates), evaluations=tuple(evaluations))


def evaluations_of(store: Store) -> list[Evaluation]:
    """What makes datasets of a run ones for evaluation."""
    specs = dict.fromkeys(cell.dataset for cell in store.manifest.cells)
    found = [evaluation(store.manifest, spec, store.problems(spec.name)) for spec in specs]
    return [each for each in found if each is not None]


def _candidates(store: Store, words: Prompts) -> list[Candidate]:
    made: list[Candidate] = []
    for number, spec in enumerate(store.manifest.cells):
        problems = {problem.id: problem for problem in store.problems(spec.dataset.name)}
        made += [
            candidate(spec.dataset.name, problems[record.attempt.problem_id], record, words)
            for record in store.records(number)
        ]
    return made


def _origin(folder: Path, store: Store, made: Sequence[Candidate], found: Sequence[Evaluation]) -> Origin:
    manifest = store.manifest
    sources = manifest.resolved.get("datasets")
    return Origin(
        run=folder.name,
        planned=store.planned,
        made=len(made),
        strategies=tuple(cell.strategy for cell in manifest.cells),
        models=tuple(dict.fromkeys(one.record.model for one in made)),
        seed=manifest.seed,
        datasets=cast("Mapping[str, Mapping[str, JSON]]", sources) if isinstance(sources, Mapping) else {},
        resolved={key: value for key, value in manifest.resolved.items() if key != "datasets"},
        splits={cell.dataset.name: split_of(manifest, cell.dataset) for cell in manifest.cells},
        evaluation=tuple(each.what for each in found),
    )
