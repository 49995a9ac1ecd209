"""LIMO's two lists of problems: the paper's Setting 2 makes its training traces from them.

Decides where they are and their licences. They are not benchmarks: the number of their rows is not checked. The answer
is the field `answer`, never the worked solution in the same row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scale_reasoning.datasets import files, hub
from scale_reasoning.datasets.dataset import Dataset, DatasetOptions, make_dataset
from scale_reasoning.datasets.rows import make_problems
from scale_reasoning.types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemList:
    """A list of problems on the Hub. `licence` is what its publisher states."""

    source: hub.HubSplit
    licence: str | None


# No commit is fixed: a run records the newest one, which can be used again as GAIR/LIMO@COMMIT.
SOURCES: Mapping[str, ProblemList] = {
    "limo": ProblemList(source=hub.HubSplit(repo="GAIR/LIMO", split="train"), licence="Apache-2.0"),
    "limo-v2": ProblemList(source=hub.HubSplit(repo="GAIR/LIMO-v2", split="train"), licence=None),
}


def load(name: str, options: DatasetOptions) -> Dataset:
    """All problems of a list, or the first `options.count`; from DIR/NAME.jsonl where there is a `data_dir`.

    A local row has its problem in `problem` or `question`. Raises `ConfigError` when the rows cannot be read or are
    malformed.
    """
    options.check(name)
    chosen = SOURCES[name]
    facts: dict[str, JSON] = {"licence": chosen.licence}
    if options.data_dir is None:
        place = hub.pin(chosen.source)
        origin, rows = f"hub:{place.repo}", hub.read(place)
        facts |= {"revision": place.revision, "split": place.split}
    else:
        path = options.data_dir / f"{name}.jsonl"
        origin, rows = str(path), files.read(path)
    problems = make_problems(rows, origin, answer_field="answer")
    return make_dataset(name, problems, origin=origin, count=options.count, facts=facts)
