"""Finds problems that are for evaluation: a test split, or a benchmark under any name.

Decides by the name, the split, and whether the texts are a benchmark's. A model that is trained on them cannot be
evaluated on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from scale_reasoning.datasets import DATASETS, hub
from scale_reasoning.datasets.benchmarks import BENCHMARKS
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.manifest import DatasetSpec, Manifest
from scale_reasoning.synth.contamination import find_benchmark
from scale_reasoning.types import JSON, Problem

TRAIN = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Problems that are for evaluation: why, in words, and the `benchmarks` that they are from."""

    what: str
    benchmarks: frozenset[str] = frozenset()


def use_train_split(manifest: Manifest) -> Manifest:
    """The manifest with the train split of every dataset that has splits, unless a split is given."""
    specs = {
        cell.dataset: _choose_split(cell.dataset, _read_resolved_split(manifest, cell.dataset))
        for cell in manifest.cells
    }
    return replace(manifest, cells=tuple(replace(cell, dataset=specs[cell.dataset]) for cell in manifest.cells))


def _choose_split(spec: DatasetSpec, resolved: str | None) -> DatasetSpec:
    if spec.split is not None or not _has_splits(spec.name):
        return spec
    return replace(spec, split=resolved or TRAIN)


def _has_splits(name: str) -> bool:
    if name in DATASETS:
        return name == "arithmetic"
    return not Path(name).exists() and not Path(name).suffix and hub.NAME.fullmatch(name) is not None


def find_split(manifest: Manifest, spec: DatasetSpec) -> str | None:
    """The split of a dataset in a run; None where it has none or it is unknown."""
    if spec.name in BENCHMARKS:
        return BENCHMARKS[spec.name].source.split
    return spec.split or _read_resolved_split(manifest, spec)


def _read_resolved_split(manifest: Manifest, spec: DatasetSpec) -> str | None:
    """The split that was read at the start of the run."""
    sources = cast("dict[str, dict[str, JSON]]", manifest.resolved.get("datasets") or {})
    split = sources.get(spec.name, {}).get("split")
    return split if isinstance(split, str) else None


def find_evaluation(manifest: Manifest, spec: DatasetSpec, problems: Sequence[Problem]) -> Evaluation | None:
    """Why a dataset of a run is for evaluation; None where it is not."""
    split = find_split(manifest, spec)
    if name := _find_benchmark_by_name(spec.name, split):
        return Evaluation(what=f"{spec.name} is the benchmark {name}", benchmarks=frozenset({name}))
    if split is not None and split.lower().startswith("test"):
        return Evaluation(what=f"it is the {split} split of {spec.name}", benchmarks=_find_copied(problems))
    if copied := _find_copied(problems):
        return Evaluation(what=f"most problems of {spec.name} are of {', '.join(sorted(copied))}", benchmarks=copied)
    return None


def _find_benchmark_by_name(name: str, split: str | None) -> str | None:
    stem = Path(name).stem if Path(name).suffix else name
    if stem in BENCHMARKS:
        return stem
    match = hub.NAME.fullmatch(name)
    for known, benchmark in BENCHMARKS.items():
        place = benchmark.source
        if match and match["repo"].lower() == place.repo.lower() and (split or hub.DEFAULT_SPLIT) == place.split:
            return known
    return None


def _find_copied(problems: Sequence[Problem]) -> frozenset[str]:
    """The benchmarks that at least half of the problems are from, word for word."""
    found = Counter(filter(None, (find_benchmark(problem.text) for problem in problems)))
    return frozenset(found) if problems and 2 * found.total() >= len(problems) else frozenset()


def require_allowed(found: Iterable[Evaluation], *, allow: bool) -> frozenset[str]:
    """The benchmarks that rows may come from. Raises ConfigError for problems for evaluation, unless `allow`."""
    found = tuple(found)
    if found and not allow:
        raise ConfigError(
            f"{'; '.join(each.what for each in found)}: a model that is trained on these problems cannot be evaluated "
            "on them; use other problems, such as a train split, or add --allow-test-split"
        )
    return frozenset(name for each in found for name in each.benchmarks)
