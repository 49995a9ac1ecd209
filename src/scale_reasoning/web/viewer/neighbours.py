"""Which attempts come before and after one, in the order of a run's grid: problem by problem, then sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scale_reasoning.web.viewer.cell import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A link to an attempt next to one. rel: prev or next; keys: the key that follows it."""

    words: str
    href: str
    rel: str
    keys: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The links at an attempt, and where its problem is in the grid, from 1."""

    before: Sequence[Neighbour]
    after: Sequence[Neighbour]
    number: int
    of: int


def find_neighbours(
    place: Place, *, problems: int, samples: int, has: Callable[[Place], bool], href: Callable[[Place], str]
) -> Neighbours:
    """Finds the nearest attempts that `has` knows: those of other problems, if possible with the same sample, and
    those of other samples.
    """
    position, sample = place

    def link(found: Place | None, words: str, rel: str, keys: str) -> list[Neighbour]:
        return [] if found is None else [Neighbour(words=words, href=href(found), rel=rel, keys=keys)]

    def find_problem(positions: Iterable[int]) -> Place | None:
        order = [sample, *(each for each in range(samples) if each != sample)]
        return next((each for p in positions for each in ((p, s) for s in order) if has(each)), None)

    def find_attempt(rest: Iterable[int], positions: Iterable[int], order: Sequence[int]) -> Place | None:
        places = [(position, each) for each in rest]
        later = ((p, s) for p in positions for s in order)
        return next((each for part in (places, later) for each in part if has(each)), None)

    up, down = range(position - 1, -1, -1), range(position + 1, problems)
    back, on = range(sample - 1, -1, -1), range(sample + 1, samples)
    before = link(find_problem(up), "Previous problem", "prev", "k")
    after = link(find_problem(down), "Next problem", "next", "j")
    if samples > 1:
        before += link(find_attempt(back, up, range(samples)[::-1]), "Previous attempt", "prev", "Shift+K")
        after += link(find_attempt(on, down, range(samples)), "Next attempt", "next", "Shift+J")
    return Neighbours(before=before, after=after, number=position + 1, of=problems)
