"""Reads the rows of a dataset on the Hub at one commit.

Decides how a name gives configuration and revision. A branch or a tag is resolved to its commit before a row is read,
so that a run records what it read. Never runs a dataset's own code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from scale_reasoning.datasets.dataset import Dataset, DatasetOptions, make_dataset
from scale_reasoning.datasets.numbers import SHORT_FLOATS, shorten_floats
from scale_reasoning.datasets.rows import SourceRow, make_problems
from scale_reasoning.errors import ConfigError, first_line

NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?"
)
COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULT_SPLIT = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSplit:
    """A split of a dataset on the Hub. `revision` is a commit, a branch or a tag; None is the default branch."""

    repo: str
    config: str | None = None
    split: str = DEFAULT_SPLIT
    revision: str | None = None

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        return f"{self.repo}{config}@{self.revision or 'newest'} ({self.split})"


def load(name: str, options: DatasetOptions) -> Dataset:
    """The problems of `owner/name[:config][@revision]`; the split is `test` unless `options` name another."""
    options.check(name, "split", "problem_field", "answer_field")
    match = NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"{name!r} is not the name of a dataset on the Hub: write owner/name[:config][@revision]")
    place = pin(
        HubSplit(
            repo=match["repo"],
            config=match["config"],
            split=options.split or DEFAULT_SPLIT,
            revision=match["revision"],
        )
    )
    problems = make_problems(
        read(place), str(place), problem_field=options.problem_field, answer_field=options.answer_field
    )
    facts = {"revision": place.revision, "config": place.config, "split": place.split}
    return make_dataset(match["repo"], problems, origin=f"hub:{place.repo}", count=options.count, facts=facts)


def pin(place: HubSplit) -> HubSplit:
    """The same split with its revision resolved to a commit. Raises `ConfigError`."""
    if place.revision and COMMIT.fullmatch(place.revision):
        return place
    api: Any = _library("huggingface_hub").HfApi()
    try:
        commit = str(api.dataset_info(place.repo, revision=place.revision).sha)
    except Exception as error:  # the library's own kinds, those of its HTTP client, and the system's
        raise _explain(place, error) from error
    return HubSplit(repo=place.repo, config=place.config, split=place.split, revision=commit)


def read(place: HubSplit) -> Iterator[SourceRow]:
    """The rows of a split, downloaded or from the Hub's cache. Raises `ConfigError` when they cannot be read."""
    datasets = _library("datasets")
    try:
        table: Any = datasets.load_dataset(place.repo, place.config, split=place.split, revision=place.revision)
    except Exception as error:  # as above
        raise _explain(place, error) from error
    columns: dict[str, Any] = getattr(table, "features", None) or {}
    kinds = {name: str(getattr(column, "dtype", "")) for name, column in columns.items()}
    short = {name: SHORT_FLOATS[kind] for name, kind in kinds.items() if kind in SHORT_FLOATS}
    for number, fields in enumerate(table, 1):
        yield SourceRow(where=f"{place}, row {number}", fields=shorten_floats(fields, short))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(
            f"the Hub's datasets need {name}: pip install 'scale-reasoning[data]', or give --data-dir"
        ) from None


def _explain(place: HubSplit, error: Exception) -> ConfigError:
    return ConfigError(f"{place} cannot be read from the Hub: {first_line(error)}; or use a local copy: --data-dir")
