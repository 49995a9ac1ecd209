"""The one door to the Hub: rows of a dataset at one commit.

Decides how a name spells configuration and revision, and that a moving revision is resolved to its commit before a
row is read, so that what a run records can be had again. Refuses to run a dataset's own code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from scale_reasoning.datasets.dataset import Dataset, Wanted, dataset_of
from scale_reasoning.datasets.numbers import SHORT_FLOATS, with_short_floats
from scale_reasoning.datasets.rows import Row, problems_of
from scale_reasoning.errors import ConfigError

NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?"
)
COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULT_SPLIT = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A split of a dataset on the Hub. `revision` is a commit, a branch or a tag; None is the default branch."""

    repo: str
    config: str | None = None
    split: str = DEFAULT_SPLIT
    revision: str | None = None

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        return f"{self.repo}{config}@{self.revision or 'newest'} ({self.split})"


def load(name: str, wanted: Wanted) -> Dataset:
    """The problems of `owner/name[:config][@revision]`; the split is `test` unless another is wanted."""
    wanted.allow(name, "split", "problem_field", "answer_field")
    match = NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"{name!r} is no name on the Hub; they read owner/name[:config][@revision]")
    place = pinned(
        Place(
            repo=match["repo"],
            config=match["config"],
            split=wanted.split or DEFAULT_SPLIT,
            revision=match["revision"],
        )
    )
    problems = problems_of(
        read(place), str(place), problem_field=wanted.problem_field, answer_field=wanted.answer_field
    )
    facts = {"revision": place.revision, "config": place.config, "split": place.split}
    return dataset_of(match["repo"], problems, origin=f"hub:{place.repo}", count=wanted.count, facts=facts)


def pinned(place: Place) -> Place:
    """The same place at a commit: a branch, a tag or none at all is asked for what it is now."""
    if place.revision and COMMIT.fullmatch(place.revision):
        return place
    api: Any = _library("huggingface_hub").HfApi()
    try:
        commit = str(api.dataset_info(place.repo, revision=place.revision).sha)
    except Exception as error:  # the library's own kinds, those of its HTTP client, and the system's
        raise _unavailable(place, error) from error
    return Place(repo=place.repo, config=place.config, split=place.split, revision=commit)


def read(place: Place) -> Iterator[Row]:
    """The rows at a place, downloaded or from the Hub's cache. Raises `ConfigError` when they cannot be had."""
    datasets = _library("datasets")
    try:
        table: Any = datasets.load_dataset(place.repo, place.config, split=place.split, revision=place.revision)
    except Exception as error:  # as above
        raise _unavailable(place, error) from error
    columns: dict[str, Any] = getattr(table, "features", None) or {}
    kinds = {name: str(getattr(column, "dtype", "")) for name, column in columns.items()}
    short = {name: SHORT_FLOATS[kind] for name, kind in kinds.items() if kind in SHORT_FLOATS}
    for number, fields in enumerate(table, 1):
        yield Row(where=f"{place}, row {number}", fields=with_short_floats(fields, short))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(
            f"the Hub's datasets need {name}: pip install 'scale-reasoning[data]', or give --data-dir"
        ) from None


def _unavailable(place: Place, error: Exception) -> ConfigError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ConfigError(f"{place} cannot be had from the Hub: {reason}; a local copy will do, see --data-dir")
