"""Whether a problem is one of a benchmark's, or shares a passage with one.

Decides what counts as shared: the whole text but for notation, or 13 words in a row that are not boilerplate. Ships
hashes of the benchmarks' texts and none of their words (benchmarks/contamination.py builds the file). Only problems are
looked at: a solution repeats its problem's words and the field's phrases, and is about whatever its problem is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import TypeAlias, TypedDict

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.funnel import Candidate, Stage
from scale_reasoning.synth.words import words, words_and_signs
from scale_reasoning.types import Problem

Lists: TypeAlias = Mapping[str, Sequence[Problem]]

RUN = 13
"""Words in a row that two problems share by no accident: GPT-3's choice, and the field's since."""
PHRASE = 8
"""A run with these many words in a row that several problems of the lists share is boilerplate ("where m and n are
relatively prime positive integers"); docs/design/synthesis.md has the figures behind it."""
FILE = "benchmarks.hashes"
FORMAT = 1
_BYTES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Hashes of problem lists: of runs of `RUN` words and of whole texts, each with its list's name, and of the phrases
    that several of the problems share. `sizes` has each list's number of problems.
    """

    sizes: Mapping[str, int]
    runs: Mapping[int, str]
    texts: Mapping[int, str]
    phrases: frozenset[int]


class Listed(TypedDict):
    """One list in the file's header."""

    name: str
    problems: int
    runs: int
    texts: int


class Header(TypedDict):
    """The file's first line. Hashes follow, sorted in each part: list by list runs and texts, and the phrases last."""

    format: int
    run: int
    phrase: int
    bytes: int
    phrases: int
    lists: list[Listed]


def stage(against: Lists, allowed: Collection[str] = ()) -> Stage:
    """Drops every problem that the shipped benchmarks, except those `allowed`, or the lists of `against` know."""
    reason = judge(against, allowed)

    def judged(candidates: Sequence[Candidate]) -> list[str | None]:
        texts = {candidate.problem.text for candidate in candidates}
        reasons = {text: reason(text) for text in texts}
        return [reasons[candidate.problem.text] for candidate in candidates]

    return judged


def judge(against: Lists, allowed: Collection[str] = ()) -> Callable[[str], str | None]:
    """Gives a problem's text the reason why no row may come from it; None where one may."""
    shipped = _without(known(), allowed)
    lists = (shipped, learnt(against, shipped.phrases)) if against else (shipped,)
    return lambda text: next(filter(None, (overlap(text, one) for one in lists)), None)


def listed(text: str) -> str | None:
    """The benchmark that a whole problem is of, but for notation; None for none."""
    return known().texts.get(_whole(text))


def _without(lists: Known, names: Collection[str]) -> Known:
    if not names:
        return lists
    return replace(
        lists,
        runs={run: name for run, name in lists.runs.items() if name not in names},
        texts={text: name for text, name in lists.texts.items() if name not in names},
    )


def overlap(text: str, lists: Known) -> str | None:
    """What a problem's text has in common with the lists, in a sentence; None for nothing."""
    if name := lists.texts.get(_whole(text)):
        return f"it is a problem of {name}, but for spacing, case and notation"
    own = words(text)
    shared = [(at, name) for at, run in _runs(own, RUN) if (name := lists.runs.get(run))]
    if not shared:
        return None
    start, length, name = max(_stretches(shared), key=lambda stretch: stretch[1])
    return f"{length} words in a row in common with {name}: {' '.join(own[start : start + RUN])!r}..."


def _stretches(shared: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Start and length in words of each stretch of runs that follow one another in one list."""
    start, before = shared[0], shared[0]
    for run in shared:
        if run not in (before, (before[0] + 1, before[1])):
            start = run
        yield start[0], run[0] - start[0] + RUN, run[1]
        before = run


def learnt(lists: Lists, phrases: frozenset[int] = frozenset()) -> Known:
    """The hashes of lists of problems; `phrases` are boilerplate beside what they share among themselves.

    A problem that is boilerplate throughout keeps its runs. What two lists have is named after the first.
    """
    texts = {name: list(map(words, dict.fromkeys(problem.text for problem in rows))) for name, rows in lists.items()}
    phrases |= _shared([one for rows in texts.values() for one in rows])
    runs, whole = dict[int, str](), dict[int, str]()
    for name, rows in texts.items():
        for run in (run for one in rows for run in _telling(one, phrases)):
            runs.setdefault(run, name)
        for problem in lists[name]:
            whole.setdefault(_whole(problem.text), name)
    sizes = {name: len(rows) for name, rows in lists.items()}
    return Known(sizes=sizes, runs=runs, texts=whole, phrases=phrases)


def _telling(one: Sequence[str], phrases: frozenset[int]) -> set[int]:
    """The runs of a problem that are no boilerplate."""
    dull = {at for at, phrase in _runs(one, PHRASE) if phrase in phrases}
    every = list(_runs(one, RUN))
    telling = {run for at, run in every if dull.isdisjoint(range(at, at + RUN - PHRASE + 1))}
    return telling or {run for _, run in every}


def _shared(texts: Sequence[Sequence[str]]) -> frozenset[int]:
    """The phrases of more than one problem; problems of the same words are one."""
    owners: defaultdict[int, int] = defaultdict(int)
    for one in dict.fromkeys(map(tuple, texts)):
        for phrase in {phrase for _, phrase in _runs(one, PHRASE)}:
            owners[phrase] += 1
    return frozenset(phrase for phrase, problems in owners.items() if problems > 1)


def _runs(own: Sequence[str], length: int) -> Iterator[tuple[int, int]]:
    """Where each run of so many words begins, and its hash."""
    for at in range(len(own) - length + 1):
        yield at, _hash(own[at : at + length])


def _whole(text: str) -> int:
    return _hash(["", *words_and_signs(text)])


def _hash(parts: Sequence[str]) -> int:
    return int.from_bytes(blake2b(" ".join(parts).encode(), digest_size=_BYTES).digest())


def encoded(lists: Known) -> bytes:
    """The file that `decoded` reads: a line of JSON, then hashes of 6 bytes."""
    listed: list[Listed] = []
    hashes: list[int] = []
    for name, problems in lists.sizes.items():
        runs = sorted(run for run, owner in lists.runs.items() if owner == name)
        texts = sorted(text for text, owner in lists.texts.items() if owner == name)
        listed.append(Listed(name=name, problems=problems, runs=len(runs), texts=len(texts)))
        hashes += runs + texts
    hashes += sorted(lists.phrases)
    header = Header(format=FORMAT, run=RUN, phrase=PHRASE, bytes=_BYTES, phrases=len(lists.phrases), lists=listed)
    return json.dumps(header).encode() + b"\n" + b"".join(each.to_bytes(_BYTES) for each in hashes)


def decoded(data: bytes) -> Known:
    """What `encoded` wrote. Raises `ConfigError` for another format and for a file that is not whole."""
    line, _, body = data.partition(b"\n")
    header: Header = json.loads(line)
    ours = {"format": FORMAT, "run": RUN, "phrase": PHRASE, "bytes": _BYTES}
    sizes = [each[part] for each in header["lists"] for part in ("runs", "texts")] + [header["phrases"]]
    if any(header.get(key) != value for key, value in ours.items()) or sum(sizes) * _BYTES != len(body):
        raise ConfigError(
            f"{FILE} is not whole, or not of format {FORMAT}: build it again (benchmarks/contamination.py)"
        )
    hashes = (int.from_bytes(body[at : at + _BYTES]) for at in range(0, len(body), _BYTES))
    runs, texts = dict[int, str](), dict[int, str]()
    for each in header["lists"]:
        runs |= {next(hashes): each["name"] for _ in range(each["runs"])}
        texts |= {next(hashes): each["name"] for _ in range(each["texts"])}
    return Known(
        sizes={each["name"]: each["problems"] for each in header["lists"]},
        runs=runs,
        texts=texts,
        phrases=frozenset(hashes),
    )


@cache
def known() -> Known:
    """The benchmarks whose hashes ship with the package."""
    return decoded(files(__package__ or "").joinpath(FILE).read_bytes())
