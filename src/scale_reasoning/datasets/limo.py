"""LIMO's two problem sets, which the paper's Setting 2 makes its training traces from.

Decides where they are and whose they are. They are no benchmarks: their rows are not counted, and the answer is the
field `answer`, never the worked solution beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scale_reasoning.datasets import files, hub
from scale_reasoning.datasets.dataset import Dataset, Wanted, dataset_of
from scale_reasoning.datasets.rows import problems_of
from scale_reasoning.types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A problem set on the Hub. `licence` is what its publisher says of it."""

    place: hub.Place
    licence: str | None


# No commit is pinned: a run records the one that the default branch was at, and can be given it as GAIR/LIMO@COMMIT.
SOURCES: Mapping[str, Source] = {
    "limo": Source(place=hub.Place(repo="GAIR/LIMO", split="train"), licence="Apache-2.0"),
    "limo-v2": Source(place=hub.Place(repo="GAIR/LIMO-v2", split="train"), licence=None),
}


def load(name: str, wanted: Wanted) -> Dataset:
    """All problems of a set, or the first `wanted.count`, from DIR/NAME.jsonl where there is a `data_dir`.

    A local row has its problem in `problem` or `question`. Raises `ConfigError` when the rows cannot be had or are
    malformed.
    """
    wanted.allow(name)
    source = SOURCES[name]
    facts: dict[str, JSON] = {"licence": source.licence}
    if wanted.data_dir is None:
        place = hub.pinned(source.place)
        origin, rows = f"hub:{place.repo}", hub.read(place)
        facts |= {"revision": place.revision, "split": place.split}
    else:
        path = wanted.data_dir / f"{name}.jsonl"
        origin, rows = str(path), files.read(path)
    problems = problems_of(rows, origin, answer_field="answer")
    return dataset_of(name, problems, origin=origin, count=wanted.count, facts=facts)
