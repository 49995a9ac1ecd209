"""Reads all attempts of one or more runs as candidates for training, and describes the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from scale_reasoning.prompts import Prompts
from scale_reasoning.runs.store import Store, reading
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.splits import Evaluation, find_evaluation, find_split
from scale_reasoning.synth.trace import make_candidate
from scale_reasoning.types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One run that traces come from, with `planned` and `made` attempts. Only those made are candidates. The seed of
    published traces is unknown.

    `splits` has the split of each dataset, None where it has none. `evaluation` says in words which of the datasets are
    for evaluation.
    """

    run: str
    planned: int
    made: int
    strategies: tuple[Mapping[str, JSON], ...]
    models: tuple[str, ...]
    seed: int | None
    datasets: Mapping[str, Mapping[str, JSON]]
    resolved: Mapping[str, JSON]
    splits: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    evaluation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """All attempts of the runs in the order of their datasets, and which datasets are for evaluation."""

    origins: tuple[Origin, ...]
    candidates: tuple[Candidate, ...]
    evaluations: tuple[Evaluation, ...] = ()


def collect(folders: Sequence[Path], words: Prompts) -> Collection:
    """Reads the runs in `folders`. Raises StoreError for a folder without a run."""
    origins, candidates, evaluations = list[Origin](), list[Candidate](), list[Evaluation]()
    for folder in folders:
        with reading(folder) as store:
            made = _make_candidates(store, words)
            found = find_evaluations(store)
            origins.append(_describe_run(folder, store, made, found))
        candidates += made
        evaluations += found
    return Collection(origins=tuple(origins), candidates=tuple(candidates), evaluations=tuple(evaluations))


def find_evaluations(store: Store) -> list[Evaluation]:
    """The datasets of a run that are for evaluation."""
    specs = dict.fromkeys(cell.dataset for cell in store.manifest.cells)
    found = [find_evaluation(store.manifest, spec, store.problems(spec.name)) for spec in specs]
    return [each for each in found if each is not None]


def _make_candidates(store: Store, words: Prompts) -> list[Candidate]:
    made: list[Candidate] = []
    for number, spec in enumerate(store.manifest.cells):
        problems = {problem.id: problem for problem in store.problems(spec.dataset.name)}
        made += [
            make_candidate(spec.dataset.name, problems[record.attempt.problem_id], record, words)
            for record in store.records(number)
            if record.failure is None or record.failure.blame != "world"  # pending: not made yet
        ]
    return made


def _describe_run(folder: Path, store: Store, made: Sequence[Candidate], found: Sequence[Evaluation]) -> Origin:
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
        splits={cell.dataset.name: find_split(manifest, cell.dataset) for cell in manifest.cells},
        evaluation=tuple(each.what for each in found),
    )
