"""Problems that say the same: equal but for notation, or nearly the same words with the same numbers.

Decides how near is near. Of each such group the first problem stays. Exact: no pair is missed, and none is guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.words import words_and_signs
from scale_reasoning.types import Problem

Key: TypeAlias = tuple[str, str]
"""A problem among several datasets: dataset and id."""

SHINGLE = 5
"""Words in a row that are compared as one."""
NEAR = (4, 5)
"""Two problems are the same where they share this part (a fraction) of all their shingles: a Jaccard index of 0.8."""


def stage(candidates: Sequence[Candidate]) -> list[str | None]:
    """Drops every candidate whose problem repeats an earlier one of another id."""
    problems = {_key(candidate): candidate.problem for candidate in candidates}
    repeats = repeated(problems)
    return [_reason(repeats.get(_key(candidate))) for candidate in candidates]


def _key(candidate: Candidate) -> Key:
    return candidate.dataset, candidate.problem.id


def _reason(first: Key | None) -> str | None:
    return None if first is None else f"its problem says the same as {first[1]} of {first[0]}"


def repeated(problems: Mapping[Key, Problem]) -> dict[Key, Key]:
    """Which earlier problem each problem repeats, for those that repeat one; that one itself repeats none."""
    first, repeats = dict[tuple[str, ...], Key](), dict[Key, Key]()
    alike: defaultdict[tuple[str, ...], dict[Key, tuple[str, ...]]] = defaultdict(dict)
    for key, problem in problems.items():
        says = tuple(words_and_signs(problem.text))
        if says in first:
            repeats[key] = first[says]
        else:
            first[says] = key
            # Templates differ in their numbers alone, and are as many problems as they have numbers.
            alike[tuple(sorted(filter(str.isdecimal, says)))][key] = says
    for group in alike.values():
        if len(group) > 1:
            repeats |= _near(group)
    return {key: repeats.get(first, first) for key, first in repeats.items()}


def _near(group: Mapping[Key, tuple[str, ...]]) -> dict[Key, Key]:
    """The near ones of a group, by prefix filtering (Bayardo, Ma and Srikant, 2007).

    Two sets that share enough share one of their rarest members, so only problems with such a one are compared.
    """
    shingled = {key: _shingles(says) for key, says in group.items()}
    common = Counter(shingle for shingles in shingled.values() for shingle in shingles)
    keys, kept = list(group), defaultdict[tuple[str, ...], list[int]](list)
    repeats: dict[Key, Key] = {}
    for number, key in enumerate(keys):
        own = shingled[key]
        rarest = sorted(own, key=lambda shingle: (common[shingle], shingle))[: _prefix(len(own))]
        earlier = sorted({at for shingle in rarest for at in kept[shingle]})
        same = next((keys[at] for at in earlier if _are_near(own, shingled[keys[at]])), None)
        if same is not None:
            repeats[key] = same
            continue
        for shingle in rarest:
            kept[shingle].append(number)
    return repeats


def _shingles(says: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {says[at : at + SHINGLE] for at in range(max(1, len(says) - SHINGLE + 1))}


def _prefix(size: int) -> int:
    """How many of a set's members must be looked up: all but those that two near sets share anyway, and one more."""
    part, whole = NEAR
    return size - -(-part * size // whole) + 1


def _are_near(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    part, whole = NEAR
    if part * max(len(one), len(other)) > whole * min(len(one), len(other)):
        return False
    shared = len(one & other)
    return whole * shared >= part * (len(one) + len(other) - shared)
