"""The table of datasets, and `load`: from a name or a path to problems with gold answers.

To add a dataset, write a file here with one function of `DatasetOptions`, and add a row to `DATASETS`. Does not check
whether a grader can read the gold answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from scale_reasoning.datasets import arithmetic, benchmarks, everyday, files, hub, limo
from scale_reasoning.datasets.dataset import Dataset, DatasetOptions
from scale_reasoning.errors import ConfigError
from scale_reasoning.suggest import suggest

__all__ = ["ABOUT", "DATASETS", "Dataset", "DatasetOptions", "Loader", "find_loader", "load"]

Loader = Callable[[DatasetOptions], Dataset]

DATASETS: Mapping[str, Loader] = {
    "aime24": partial(benchmarks.load, "aime24"),
    "aime25": partial(benchmarks.load, "aime25"),
    "amc23": partial(benchmarks.load, "amc23"),
    "math500": partial(benchmarks.load, "math500"),
    "gsm8k": partial(benchmarks.load, "gsm8k"),
    "limo": partial(limo.load, "limo"),
    "limo-v2": partial(limo.load, "limo-v2"),
    "arithmetic": arithmetic.load,
    "everyday": everyday.load,
}
ABOUT: Mapping[str, str] = {
    "aime24": "30 problems of AIME 2024; answers from 0 to 999",
    "aime25": "30 problems of AIME 2025",
    "amc23": "40 problems of AMC 2023",
    "math500": "500 problems of MATH",
    "gsm8k": "1,319 word problems of primary school",
    "limo": "817 problems to make traces from (the paper's second setting)",
    "limo-v2": "800 problems to make traces from",
    "arithmetic": "chains of arithmetic, generated: as many as you want, no download; --level",
    "everyday": "30 word problems of ours, no download",
}
"""What each dataset is, in a line."""


def load(
    name_or_path: str,
    *,
    data_dir: Path | None = None,
    count: int | None = None,
    seed: int = 0,
    problem_field: str | None = None,
    answer_field: str | None = None,
    split: str | None = None,
    level: str | None = None,
    steps: tuple[int, int] | None = None,
    digits: tuple[int, int] | None = None,
) -> Dataset:
    """A dataset by its name in `DATASETS`, else by the path of a file, else by its name on the Hub.

    `DatasetOptions` explains the options. Ids are unique, texts and gold answers are not empty. A larger `count` begins
    with the same problems as a smaller one. Raises `ConfigError` for an unknown name, a wrong option or a bad row.
    """
    options = DatasetOptions(
        data_dir=data_dir,
        count=count,
        seed=seed,
        split=split,
        problem_field=problem_field,
        answer_field=answer_field,
        level=level,
        steps=steps,
        digits=digits,
    )
    if (loader := find_loader(name_or_path)) is not None:
        return loader(options)
    near = suggest(name_or_path, DATASETS)
    raise ConfigError(
        f"no dataset {name_or_path!r}{near}; there are {', '.join(DATASETS)}, files ({', '.join(files.FORMATS)}) "
        f"and owner/name on the Hub"
    )


def find_loader(name_or_path: str) -> Loader | None:
    """What loads a dataset; None for what is neither a name in `DATASETS`, a file nor a name on the Hub."""
    path = Path(name_or_path)
    if name_or_path in DATASETS:
        return DATASETS[name_or_path]
    if path.suffix in files.FORMATS or path.exists():
        return partial(files.load, path)
    return partial(hub.load, name_or_path) if hub.NAME.fullmatch(name_or_path) else None
