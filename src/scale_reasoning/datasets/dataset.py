"""The type of a dataset, its options, and the hashes that identify its rows and texts.

Decides what a canonical row and a normalised text are. Reads no files.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from scale_reasoning.errors import ConfigError
from scale_reasoning.types import JSON, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Problems with unique ids and gold answers, and their source.

    `source` goes into a run's manifest. It has at least `rows`, `sha256` (hex, of the canonical rows of id, text and
    answer), `text_sha256` (of the texts, in any order and spacing) and `origin`; also a Hub dataset's `revision`, or a
    generator's options.
    """

    name: str
    problems: tuple[Problem, ...]
    source: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOptions:
    """The options of a dataset; None is the dataset's own default.

    `count` is the largest number of problems. Only a generator uses `seed`, only a benchmark uses `data_dir`; other
    datasets ignore them. A dataset refuses any other option that it does not have. `steps` and `digits` are inclusive
    ranges.
    """

    data_dir: Path | None = None
    count: int | None = None
    seed: int = 0
    split: str | None = None
    problem_field: str | None = None
    answer_field: str | None = None
    level: str | None = None
    steps: tuple[int, int] | None = None
    digits: tuple[int, int] | None = None

    def check(self, dataset: str, *options: str) -> None:
        """Raises `ConfigError` for an option that is set but not among the `options` of this dataset."""
        for option in ("split", "problem_field", "answer_field", "level", "steps", "digits"):
            if getattr(self, option) is not None and option not in options:
                takes = ", ".join(options) or "none of its kind"
                raise ConfigError(f"{dataset} has no option {option}; it takes {takes}")
        if self.count is not None and self.count < 1:
            raise ConfigError(f"{dataset}: the number of problems must be at least 1, not {self.count}")


def make_dataset(
    name: str, problems: tuple[Problem, ...], *, origin: str, count: int | None = None, facts: Mapping[str, JSON]
) -> Dataset:
    """The first `count` problems as a dataset; `facts` are added to its source."""
    kept = problems[:count]
    hashes = {"sha256": hash_rows(kept), "text_sha256": hash_texts(problem.text for problem in kept)}
    return Dataset(name=name, problems=kept, source={"origin": origin, "rows": len(kept), **hashes, **facts})


def hash_rows(problems: Iterable[Problem]) -> str:
    """The hash of the rows in order: one JSON list `[id, text, answer]` per line."""
    lines = (json.dumps([row.id, row.text, row.answer], ensure_ascii=False) + "\n" for row in problems)
    return sha256("".join(lines).encode()).hexdigest()


def hash_texts(texts: Iterable[str]) -> str:
    """The hash of the normalised texts. Order and spacing do not change it; wording does."""
    return sha256("\n".join(sorted(map(normalise_text, texts))).encode()).hexdigest()


def normalise_text(text: str) -> str:
    """The text in Unicode's composed form, with one space for each run of white space."""
    return " ".join(compose(text, "NFC").split())


MOST_MARKS = 30
"""The most combining marks in a row that are kept, as in Unicode's stream-safe format (UAX #15)."""
_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MOST_MARKS + 1},}}")


def compose(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a normal form of Unicode, with at most MOST_MARKS marks on one character.

    Without this bound, sorting the marks of a character would take quadratic time.
    """
    return unicodedata.normalize(form, _MARKS.sub(_thin, text))


def _thin(run: re.Match[str]) -> str:
    thinned = (mark for at, mark in enumerate(run[0]) if at < MOST_MARKS or not unicodedata.combining(mark))
    return "".join(thinned)
