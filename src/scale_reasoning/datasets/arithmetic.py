"""The arithmetic domain as a dataset: problems of a split, a seed and a level. Needs no file and no network."""

from __future__ import annotations

from dataclasses import replace

from scale_reasoning.arithmetic.chains import Level
from scale_reasoning.arithmetic.problems import DEFAULT_LEVEL, LEVELS, VERSION, problem, split_named
from scale_reasoning.datasets.dataset import Dataset, DatasetOptions, make_dataset
from scale_reasoning.errors import ConfigError

LICENCE = "Apache-2.0"
DEFAULT_COUNT = 100
MAX_COUNT = 1_000_000


def load(options: DatasetOptions) -> Dataset:
    """The first `wanted.count` problems (100) of a split (test), seed and level."""
    options.check("arithmetic", "split", "level", "steps", "digits")
    count = options.count or DEFAULT_COUNT
    if count > MAX_COUNT:
        raise ConfigError(f"arithmetic: at most {MAX_COUNT:,} problems at once, not {count:,}")
    split, level = split_named(options.split or "test"), _choose_level(options)
    problems = tuple(problem(index, split=split, seed=options.seed, level=level) for index in range(count))
    facts = {
        "licence": LICENCE,
        "version": VERSION,
        "split": split,
        "seed": options.seed,
        "steps": list(level.steps),
        "digits": list(level.digits),
    }
    return make_dataset("arithmetic", problems, origin="generated", facts=facts)


def _choose_level(options: DatasetOptions) -> Level:
    name = options.level or DEFAULT_LEVEL
    if name not in LEVELS:
        raise ConfigError(f"arithmetic has no level {name!r}; it has {', '.join(LEVELS)}")
    named = LEVELS[name]
    if named.moves and (options.steps or options.digits):
        raise ConfigError(f"arithmetic: level {name!r} has its own steps and digits: leave these options out")
    return replace(named, steps=options.steps or named.steps, digits=options.digits or named.digits)
