"""Finds problems that are in a benchmark, or share a passage with one.

A match is a whole text, apart from notation, or 13 words in a row that are not boilerplate. The package has only hashes
of the benchmarks' texts, none of their words (benchmarks/contamination.py builds the file). Only problems are compared:
a solution repeats the words of its problem and common phrases.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import TypeAlias

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.funnel import Candidate, Filter
from scale_reasoning.synth.words import split_words, split_words_and_signs
from scale_reasoning.types import JSON, Problem

Lists: TypeAlias = Mapping[str, Sequence[Problem]]

RUN = 13
"""The length of a shared passage in words: GPT-3's choice, and common since."""
PHRASE = 8
"""A passage that contains a phrase of this many words which several problems of the lists share is boilerplate ("where
m and n are relatively prime positive integers"); docs/design/synthesis.md has the figures.
"""
FILE = "benchmarks.hashes"
FORMAT = 1
_BYTES = 6
_SIZES = {"format": FORMAT, "run": RUN, "phrase": PHRASE, "bytes": _BYTES}
"""What the header of the file must say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemHashes:
    """Hashes of lists of problems.

    `runs` are of passages of `RUN` words and `texts` of whole texts, each with its list's name. `phrases` are shared by
    several of the problems. `sizes` has each list's number of problems.
    """

    sizes: Mapping[str, int]
    runs: Mapping[int, str]
    texts: Mapping[int, str]
    phrases: frozenset[int]


def make_filter(against: Lists, allowed: Collection[str] = ()) -> Filter:
    """A filter that drops problems in the shipped benchmarks, except those `allowed`, or in the lists of `against`."""
    reason = make_judge(against, allowed)

    def judge_all(candidates: Sequence[Candidate]) -> list[str | None]:
        texts = {candidate.problem.text for candidate in candidates}
        reasons = {text: reason(text) for text in texts}
        return [reasons[candidate.problem.text] for candidate in candidates]

    return judge_all


def make_judge(against: Lists, allowed: Collection[str] = ()) -> Callable[[str], str | None]:
    """A function from a problem's text to the reason why it must give no row; None where it may."""
    shipped = _remove_lists(load_hashes(), allowed)
    lists = (shipped, hash_lists(against, shipped.phrases)) if against else (shipped,)
    return lambda text: next(filter(None, (describe_overlap(text, one) for one in lists)), None)


def find_benchmark(text: str) -> str | None:
    """The benchmark that has this whole problem, apart from notation; None if none has."""
    return load_hashes().texts.get(_hash_text(text))


def _remove_lists(lists: ProblemHashes, names: Collection[str]) -> ProblemHashes:
    if not names:
        return lists
    return replace(
        lists,
        runs={run: name for run, name in lists.runs.items() if name not in names},
        texts={text: name for text, name in lists.texts.items() if name not in names},
    )


def describe_overlap(text: str, lists: ProblemHashes) -> str | None:
    """What a problem's text shares with the lists, in a sentence; None for nothing."""
    if name := lists.texts.get(_hash_text(text)):
        return f"it is a problem of {name}, apart from spacing, case and notation"
    own = split_words(text)
    shared = [(at, name) for at, run in _list_runs(own, RUN) if (name := lists.runs.get(run))]
    if not shared:
        return None
    start, length, name = max(_find_stretches(shared), key=lambda stretch: stretch[1])
    return f"{length} words in a row in common with {name}: {' '.join(own[start : start + RUN])!r}..."


def _find_stretches(shared: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Start, length in words and list of each stretch of consecutive runs of one list."""
    start, before = shared[0], shared[0]
    for run in shared:
        if run not in (before, (before[0] + 1, before[1])):
            start = run
        yield start[0], run[0] - start[0] + RUN, run[1]
        before = run


def hash_lists(lists: Lists, phrases: frozenset[int] = frozenset()) -> ProblemHashes:
    """The hashes of lists of problems; `phrases` is boilerplate known already.

    A problem that is all boilerplate keeps its runs. What two lists share is named after the first.
    """
    texts = {
        name: list(map(split_words, dict.fromkeys(problem.text for problem in rows))) for name, rows in lists.items()
    }
    phrases |= _find_phrases([one for rows in texts.values() for one in rows])
    runs, whole = dict[int, str](), dict[int, str]()
    for name, rows in texts.items():
        for run in (run for one in rows for run in _choose_runs(one, phrases)):
            runs.setdefault(run, name)
        for problem in lists[name]:
            whole.setdefault(_hash_text(problem.text), name)
    sizes = {name: len(rows) for name, rows in lists.items()}
    return ProblemHashes(sizes=sizes, runs=runs, texts=whole, phrases=phrases)


def _choose_runs(one: Sequence[str], phrases: frozenset[int]) -> set[int]:
    """The runs of a problem that are not boilerplate."""
    dull = {at for at, phrase in _list_runs(one, PHRASE) if phrase in phrases}
    every = list(_list_runs(one, RUN))
    chosen = {run for at, run in every if dull.isdisjoint(range(at, at + RUN - PHRASE + 1))}
    return chosen or {run for _, run in every}


def _find_phrases(texts: Sequence[Sequence[str]]) -> frozenset[int]:
    """The phrases of more than one problem. Problems with the same words count as one."""
    owners: defaultdict[int, int] = defaultdict(int)
    for one in dict.fromkeys(map(tuple, texts)):
        for phrase in {phrase for _, phrase in _list_runs(one, PHRASE)}:
            owners[phrase] += 1
    return frozenset(phrase for phrase, problems in owners.items() if problems > 1)


def _list_runs(own: Sequence[str], length: int) -> Iterator[tuple[int, int]]:
    """The position and the hash of each run of `length` words."""
    for at in range(len(own) - length + 1):
        yield at, _hash(own[at : at + length])


def _hash_text(text: str) -> int:
    return _hash(["", *split_words_and_signs(text)])


def _hash(parts: Sequence[str]) -> int:
    return int.from_bytes(blake2b(" ".join(parts).encode(), digest_size=_BYTES).digest())


def encode(lists: ProblemHashes) -> bytes:
    """The file that `decode` reads: a line of JSON, then hashes: runs and texts of each list, and the phrases."""
    headers: list[dict[str, JSON]] = []
    hashes: list[int] = []
    for name, problems in lists.sizes.items():
        runs = sorted(run for run, owner in lists.runs.items() if owner == name)
        texts = sorted(text for text, owner in lists.texts.items() if owner == name)
        headers.append({"name": name, "problems": problems, "runs": len(runs), "texts": len(texts)})
        hashes += runs + texts
    hashes += sorted(lists.phrases)
    header = {**_SIZES, "phrases": len(lists.phrases), "lists": headers}
    return json.dumps(header).encode() + b"\n" + b"".join(each.to_bytes(_BYTES) for each in hashes)


def decode(data: bytes) -> ProblemHashes:
    """Reads what `encode` wrote. Raises `ConfigError` for another format and for an incomplete file."""
    line, _, body = data.partition(b"\n")
    header: dict[str, JSON] = json.loads(line)
    sizes = [each[part] for each in header["lists"] for part in ("runs", "texts")] + [header["phrases"]]
    if any(header.get(key) != value for key, value in _SIZES.items()) or sum(sizes) * _BYTES != len(body):
        raise ConfigError(
            f"{FILE} is incomplete, or not of format {FORMAT}: build it again (benchmarks/contamination.py)"
        )
    hashes = (int.from_bytes(body[at : at + _BYTES]) for at in range(0, len(body), _BYTES))
    runs, texts = dict[int, str](), dict[int, str]()
    for each in header["lists"]:
        runs |= {next(hashes): each["name"] for _ in range(each["runs"])}
        texts |= {next(hashes): each["name"] for _ in range(each["texts"])}
    return ProblemHashes(
        sizes={each["name"]: each["problems"] for each in header["lists"]},
        runs=runs,
        texts=texts,
        phrases=frozenset(hashes),
    )


@cache
def load_hashes() -> ProblemHashes:
    """The hashes of the benchmarks in the package."""
    return decode(files(__package__ or "").joinpath(FILE).read_bytes())
