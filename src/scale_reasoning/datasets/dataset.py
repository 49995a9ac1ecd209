"""The shape of a dataset, what may be asked of one, and the hashes by which two are told apart.

Decides what a canonical row and a normalised text are. Reads nothing, and has no opinion on gold answers beyond that
there is one: which grader reads them is the caller's affair.
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
    """Problems with unique ids and gold answers, and where they came from.

    `source` goes into a run's manifest: at least `rows`, `sha256` (hex, of the canonical id, text, answer rows),
    `text_sha256` (of the texts alone, whatever their order and spacing) and `origin`; a Hub dataset's `revision`, a
    generator's settings.
    """

    name: str
    problems: tuple[Problem, ...]
    source: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a dataset; None is the dataset's own default.

    `count` is the most problems wanted, from the first on. `seed` is a generator's, `data_dir` a benchmark's; other
    datasets are the same whatever they say. The rest is refused where a dataset does not have it. `steps` and
    `digits` are inclusive ranges.
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

    def allow(self, dataset: str, *options: str) -> None:
        """Raises `ConfigError` when an option is set that this dataset does not have."""
        for option in ("split", "problem_field", "answer_field", "level", "steps", "digits"):
            if getattr(self, option) is not None and option not in options:
                takes = ", ".join(options) or "none of its kind"
                raise ConfigError(f"{dataset} has no option {option}; it takes {takes}")
        if self.count is not None and self.count < 1:
            raise ConfigError(f"{dataset}: count must be at least 1, not {self.count}")


def dataset_of(
    name: str, problems: tuple[Problem, ...], *, origin: str, count: int | None = None, facts: Mapping[str, JSON]
) -> Dataset:
    """The first `count` problems with their hashes; `facts` is the rest of the source."""
    kept = problems[:count]
    hashes = {"sha256": rows_sha256(kept), "text_sha256": texts_sha256(problem.text for problem in kept)}
    return Dataset(name=name, problems=kept, source={"origin": origin, "rows": len(kept), **hashes, **facts})


def rows_sha256(problems: Iterable[Problem]) -> str:
    """Of the rows as they stand: one JSON list `[id, text, answer]` a line, in order."""
    lines = (json.dumps([row.id, row.text, row.answer], ensure_ascii=False) + "\n" for row in problems)
    return sha256("".join(lines).encode()).hexdigest()


def texts_sha256(texts: Iterable[str]) -> str:
    """Of the normalised texts in sorted order: another order or spacing is the same text, another wording is not."""
    return sha256("\n".join(sorted(map(normalised, texts))).encode()).hexdigest()


def normalised(text: str) -> str:
    """The text in Unicode's composed form, each run of white space one space."""
    return " ".join(composed(text, "NFC").split())


MOST_MARKS = 30
"""Combining marks in a row that are text: as many as Unicode's stream-safe format has (UAX #15)."""
_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MOST_MARKS + 1},}}")


def composed(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a normal form of Unicode, without the marks past MOST_MARKS that are piled on one character.

    To order a pile of marks takes the square of its height.
    """
    return unicodedata.normalize(form, _MARKS.sub(_thinned, text))


def _thinned(run: re.Match[str]) -> str:
    thinned = (mark for at, mark in enumerate(run[0]) if at < MOST_MARKS or not unicodedata.combining(mark))
    return "".join(thinned)
