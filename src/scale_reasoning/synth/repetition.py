"""Finds loops in a trace.

Honest mathematics repeats its equations, its problem and "Wait,". So only text that repeats back to back counts, and
the share of text that has appeared several times already. Takes linear time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RUN = 8
"""The length in words of the runs that are compared."""
LOOP_TIMES, LOOP_CHARACTERS = 6, 300
"""Text that repeats this often back to back, with this many characters in total, is a loop anywhere."""
END_TIMES, END_CHARACTERS = 4, 80
"""The same limits at the end of a trace, where an interrupted loop is."""
STALE_AFTER = 3
"""A run is stale when it has appeared this often before: a problem is restated, but not constantly."""
STALE_SHARE, STALE_WORDS = 1 / 2, 100
"""A trace with this share and number of words in stale runs goes in circles. A search through a hundred cases in
similar words does not reach them: most of its words differ.
"""
MAX_WORDLESS = 600
"""The most characters in a row without a letter or digit: more than any matrix, ruler or figure needs."""

# Words are split after 8 characters, so that "hahaha..." is repeated words too, with any period.
_WORD = re.compile(r"\w{1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """A phrase, by its first position, that repeats `times` in a row with so many characters in total."""

    phrase: slice
    times: int
    characters: int

    def reaches(self, times: int, characters: int) -> bool:
        return self.times >= times and self.characters >= characters


def find_repetition(text: str) -> str | None:
    """Why a trace is degenerate, with figures; None for one that is not."""
    wordless = max(map(len, re.split(r"\w+", text)))
    if wordless > MAX_WORDLESS:
        return f"{wordless:,} characters in a row without a letter or a digit"
    found = list(_WORD.finditer(text))
    loop = max(_find_loops(found), key=lambda loop: loop.characters, default=None)
    if loop:
        phrase = text[loop.phrase]
        size = len(phrase.split())
        said = f"the {size} words {_shorten(phrase)} repeat" if size > 1 else f"{_shorten(phrase)} repeats"
        return f"{said} {loop.times:,} times in a row"
    return _find_staleness(text, found)


def _find_loops(found: Sequence[re.Match[str]]) -> Iterator[_Loop]:
    """Every stretch that repeats itself often and long enough.

    In a stretch of period p, every run last appeared p words ago. A stretch ends where that distance changes.
    """
    distances = list(_measure_distances([match.group() for match in found]))
    start = 0
    for at, distance in enumerate(distances):
        if at + 1 < len(distances) and distances[at + 1] == distance:
            continue
        if distance is not None:
            first, last = start - distance, at + RUN - 1
            loop = _Loop(
                phrase=slice(found[first].start(), found[first + distance - 1].end()),
                times=(last + 1 - first) // distance,
                characters=found[last].end() - found[first].start(),
            )
            ends = last == len(found) - 1
            if loop.reaches(LOOP_TIMES, LOOP_CHARACTERS) or (ends and loop.reaches(END_TIMES, END_CHARACTERS)):
                yield loop
        start = at + 1


def _measure_distances(words: Sequence[str]) -> Iterator[int | None]:
    """How many words ago each run last appeared; None for a new one."""
    last: dict[tuple[str, ...], int] = {}
    for at, run in enumerate(_list_runs(words)):
        yield at - last[run] if run in last else None
        last[run] = at


def _list_runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[offset:] for offset in range(RUN)), strict=False)


def _find_staleness(text: str, found: Sequence[re.Match[str]]) -> str | None:
    """Why too much of a trace is stale; None where it is not."""
    seen = defaultdict[tuple[str, ...], int](int)
    stale, until, worst = 0, 0, (0, 0)
    for at, run in enumerate(_list_runs([match.group() for match in found])):
        if seen[run] >= STALE_AFTER:
            stale += at + RUN - max(at, until)
            until = at + RUN
        seen[run] += 1
        worst = max(worst, (seen[run], at))
    if stale < max(STALE_WORDS, STALE_SHARE * len(found)):
        return None
    times, at = worst
    phrase = _shorten(text[found[at].start() : found[at + RUN - 1].end()])
    return f"{stale / len(found):.0%} of it had appeared {STALE_AFTER} times before; {phrase} appears {times:,} times"


def _shorten(phrase: str) -> str:
    short = " ".join(phrase.split())
    return repr(short if len(short) <= 60 else f"{short[:60]}...")
