"""The arithmetic domain as a dataset: so many problems of a split, a seed and a level. Needs no file and no network."""

from __future__ import annotations

from dataclasses import replace

from scale_reasoning.arithmetic.chains import Level
from scale_reasoning.arithmetic.problems import DEFAULT_LEVEL, LEVELS, VERSION, problem, split_named
from scale_reasoning.datasets.dataset import Dataset, Wanted, dataset_of
from scale_reasoning.errors import ConfigError

LICENCE = "Apache-2.0"
DEFAULT_COUNT = 100
MAX_COUNT = 1_000_000


def load(wanted: Wanted) -> Dataset:
    """The first `wanted.count` problems (100) of a split (test), seed and level."""
    wanted.allow("arithmetic", "split", "level", "steps", "digits")
    count = wanted.count or DEFAULT_COUNT
    if count > MAX_COUNT:
        raise ConfigError(f"arithmetic: at most {MAX_COUNT:,} problems at once, not {count:,}")
    split, level = split_named(wanted.split or "test"), _level(wanted)
    problems = tuple(problem(index, split=split, seed=wanted.seed, level=level) for index in range(count))
    facts = {
        "licence": LICENCE,
        "version": VERSION,
        "split": split,
        "seed": wanted.seed,
        "steps": list(level.steps),
        "digits": list(level.digits),
    }
    return dataset_of("arithmetic", problems, origin="generated", facts=facts)


def _level(wanted: Wanted) -> Level:
    name = wanted.level or DEFAULT_LEVEL
    if name not in LEVELS:
        raise ConfigError(f"arithmetic has no level {name!r}; it has {', '.join(LEVELS)}")
    named = LEVELS[name]
    if named.moves and (wanted.steps or wanted.digits):
        raise ConfigError(f"arithmetic: level {name!r} has steps and digits of its own; leave them out")
    return replace(named, steps=wanted.steps or named.steps, digits=wanted.digits or named.digits)
