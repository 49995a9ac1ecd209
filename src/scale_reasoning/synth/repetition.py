"""Whether a trace has run into a loop.

Decides how much repetition is too much. Honest mathematics repeats its equations, its problem and "Wait,": what counts
is text said back to back, and how much of a trace is text that has stood there several times already. Linear in length.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RUN = 8
"""Words in a row that are recognised when they come again."""
LOOP_TIMES, LOOP_CHARACTERS = 6, 300
"""Text said this often back to back, and this long in all, is a loop wherever it stands."""
END_TIMES, END_CHARACTERS = 4, 80
"""The same at the very end of a trace, where a loop that was stopped stands."""
STALE_AFTER = 3
"""A run of words is stale when it has stood there this often before: a problem is restated, but not in every breath."""
STALE_SHARE, STALE_WORDS = 1 / 2, 100
"""A trace with this part of its words in stale runs, and this many of them, goes round in circles. A search through a
hundred cases in the same few words does not: what differs is most of it."""
MAX_WORDLESS = 600
"""Characters in a row without a letter or a digit: more than any matrix, ruler or figure needs."""

# A word is cut after 8 characters, so that "hahaha..." is repeated words too, whatever its period.
_WORD = re.compile(r"\w{1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """A phrase, by where it stands first, that is said `times` in a row, which takes so many characters in all."""

    phrase: slice
    times: int
    characters: int

    def reaches(self, times: int, characters: int) -> bool:
        return self.times >= times and self.characters >= characters


def reason(text: str) -> str | None:
    """Why a trace is degenerate, with the figures; None for one that is not."""
    wordless = max(map(len, re.split(r"\w+", text)))
    if wordless > MAX_WORDLESS:
        return f"{wordless:,} characters in a row without a letter or a digit"
    found = list(_WORD.finditer(text))
    loop = max(_loops(found), key=lambda loop: loop.characters, default=None)
    if loop:
        phrase = text[loop.phrase]
        size = len(phrase.split())
        said = f"the {size} words {_shown(phrase)} repeat" if size > 1 else f"{_shown(phrase)} repeats"
        return f"{said} {loop.times:,} times in a row"
    return _stale(text, found)


def _loops(found: Sequence[re.Match[str]]) -> Iterator[_Loop]:
    """Every stretch that is long enough and repeats itself often enough, as far as it goes.

    In a stretch of period p every run of words was last seen p words ago; a stretch ends where that distance changes.
    """
    distances = list(_distances([match.group() for match in found]))
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


def _distances(words: Sequence[str]) -> Iterator[int | None]:
    """How many words ago each run was last seen, None for a new one."""
    last: dict[tuple[str, ...], int] = {}
    for at, run in enumerate(_runs(words)):
        yield at - last[run] if run in last else None
        last[run] = at


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[offset:] for offset in range(RUN)), strict=False)


def _stale(text: str, found: Sequence[re.Match[str]]) -> str | None:
    """Why too much of a trace has stood there before, None where it has not."""
    seen = defaultdict[tuple[str, ...], int](int)
    stale, until, worst = 0, 0, (0, 0)
    for at, run in enumerate(_runs([match.group() for match in found])):
        if seen[run] >= STALE_AFTER:
            stale += at + RUN - max(at, until)
            until = at + RUN
        seen[run] += 1
        worst = max(worst, (seen[run], at))
    if stale < max(STALE_WORDS, STALE_SHARE * len(found)):
        return None
    times, at = worst
    phrase = _shown(text[found[at].start() : found[at + RUN - 1].end()])
    return f"{stale / len(found):.0%} of it had stood there {STALE_AFTER} times before; {phrase} comes {times:,} times"


def _shown(phrase: str) -> str:
    short = " ".join(phrase.split())
    return repr(short if len(short) <= 60 else f"{short[:60]}...")
