"""Finds duplicate problems: equal apart from notation, or almost the same words with the same numbers.

Of each group of duplicates the first problem is kept. The search is exact: it misses no pair.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.words import split_words_and_signs
from scale_reasoning.types import Problem

Key: TypeAlias = tuple[str, str]
"""A problem: its dataset and its id."""

SHINGLE = 5
"""The length of a shingle in words."""
NEAR = (4, 5)
"""Two problems are duplicates from this Jaccard index on (as a fraction): shared over all shingles."""


def drop_duplicates(candidates: Sequence[Candidate]) -> list[str | None]:
    """Drops each candidate whose problem repeats an earlier one with another id."""
    problems = {candidate.key: candidate.problem for candidate in candidates}
    repeats = find_repeats(problems)
    return [_explain(repeats.get(candidate.key)) for candidate in candidates]


def _explain(first: Key | None) -> str | None:
    return None if first is None else f"its problem says the same as {first[1]} of {first[0]}"


def find_repeats(problems: Mapping[Key, Problem]) -> dict[Key, Key]:
    """For each duplicate, the first problem that says the same."""
    first, repeats = dict[tuple[str, ...], Key](), dict[Key, Key]()
    alike: defaultdict[tuple[str, ...], dict[Key, tuple[str, ...]]] = defaultdict(dict)
    for key, problem in problems.items():
        says = tuple(split_words_and_signs(problem.text))
        if says in first:
            repeats[key] = first[says]
        else:
            first[says] = key
            # Problems from one template differ only in their numbers, and are different problems.
            alike[tuple(sorted(filter(str.isdecimal, says)))][key] = says
    for group in alike.values():
        if len(group) > 1:
            repeats |= _find_near(group)
    return {key: repeats.get(first, first) for key, first in repeats.items()}


def _find_near(group: Mapping[Key, tuple[str, ...]]) -> dict[Key, Key]:
    """Near duplicates in a group, by prefix filtering (Bayardo, Ma and Srikant, 2007).

    Two sets that share enough share one of their rarest members, so only such problems are compared.
    """
    shingled = {key: _make_shingles(says) for key, says in group.items()}
    common = Counter(shingle for shingles in shingled.values() for shingle in shingles)
    keys, kept = list(group), defaultdict[tuple[str, ...], list[int]](list)
    repeats: dict[Key, Key] = {}
    for number, key in enumerate(keys):
        own = shingled[key]
        rarest = sorted(own, key=lambda shingle: (common[shingle], shingle))[: _prefix_length(len(own))]
        earlier = sorted({at for shingle in rarest for at in kept[shingle]})
        same = next((keys[at] for at in earlier if _are_near(own, shingled[keys[at]])), None)
        if same is not None:
            repeats[key] = same
            continue
        for shingle in rarest:
            kept[shingle].append(number)
    return repeats


def _make_shingles(says: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {says[at : at + SHINGLE] for at in range(max(1, len(says) - SHINGLE + 1))}


def _prefix_length(size: int) -> int:
    """How many of the rarest members must be compared: all but those that near sets share anyway, plus one."""
    part, whole = NEAR
    return size - -(-part * size // whole) + 1


def _are_near(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> bool:
    part, whole = NEAR
    if part * max(len(one), len(other)) > whole * min(len(one), len(other)):
        return False
    shared = len(one & other)
    return whole * shared >= part * (len(one) + len(other) - shared)
