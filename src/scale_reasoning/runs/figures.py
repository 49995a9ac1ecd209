"""The replies to small questions in both modes, and the numbers that rules look at (advice.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median
from typing import NamedTuple

from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.types import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one reply was: its new tokens (None: not counted), and whether it was right, in a box, or cut off."""

    tokens: int | None
    right: bool
    boxed: bool
    cut_off: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question that was answered in both modes. `several`: it takes several operations. `difficulty`: as the model
    rates it, None if that could not be read.
    """

    several: bool
    replies: Mapping[Mode, Reply]
    difficulty: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The questions that were answered; how many were `late`; the errors of others; the time; each mode's limit."""

    asked: tuple[Asked, ...]
    late: int
    failures: tuple[str, ...]
    seconds: float
    limits: Mapping[Mode, int]


class ByKind(NamedTuple):
    """A number for the questions of one operation, and one for those of several."""

    one: int
    several: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Measured in numbers: questions by kind, then by mode and kind the right replies and the median tokens (None where
    a reply was not counted), by mode the replies without a box that were not cut off, those cut off and the limit, and
    by kind the ratings that could be read.
    """

    of: ByKind
    right: Mapping[Mode, ByKind]
    tokens: Mapping[Mode, ByKind | None]
    lost: Mapping[Mode, int]
    cut: Mapping[Mode, int]
    limits: Mapping[Mode, int]
    easy_ratings: tuple[float, ...]
    hard_ratings: tuple[float, ...]
    tau: float = field(default_factory=lambda: Threshold().tau)

    @property
    def questions(self) -> int:
        """All questions."""
        return sum(self.of)

    @property
    def ratings(self) -> tuple[float, ...]:
        """All ratings."""
        return self.easy_ratings + self.hard_ratings

    @property
    def share(self) -> float | None:
        """System 1's tokens as a share of System 2's, both kinds alike; None where they were not counted."""
        one, two = self.tokens[Mode.SYSTEM1], self.tokens[Mode.SYSTEM2]
        return None if one is None or two is None or not sum(two) else sum(one) / sum(two)

    @property
    def ordered(self) -> float:
        """Pairs of an easy and a hard question in which the hard one is rated higher; an equal pair is a half."""
        pairs = product(self.easy_ratings, self.hard_ratings)
        return sum(1.0 if easy < hard else 0.5 if easy == hard else 0.0 for easy, hard in pairs)

    @property
    def pairs(self) -> int:
        """Pairs of an easy and a hard question with ratings."""
        return len(self.easy_ratings) * len(self.hard_ratings)


def count_replies(measured: Measured) -> Figures:
    """The replies in numbers."""
    kinds = [[each for each in measured.asked if each.several is several] for several in (False, True)]
    everything = {mode: [each.replies[mode] for each in measured.asked] for mode in Mode}
    easy, hard = (tuple(each.difficulty for each in kind if each.difficulty is not None) for kind in kinds)
    return Figures(
        of=ByKind(*map(len, kinds)),
        right={mode: ByKind(*(sum(each.replies[mode].right for each in kind) for kind in kinds)) for mode in Mode},
        tokens={mode: _find_medians([[each.replies[mode].tokens for each in kind] for kind in kinds]) for mode in Mode},
        lost={mode: sum(not each.boxed and not each.cut_off for each in everything[mode]) for mode in Mode},
        cut={mode: sum(each.cut_off for each in everything[mode]) for mode in Mode},
        limits=measured.limits,
        easy_ratings=easy,
        hard_ratings=hard,
    )


def _find_medians(tokens: Sequence[Sequence[int | None]]) -> ByKind | None:
    counted = [[each for each in kind if each is not None] for kind in tokens]
    if any(not kind or len(kind) < len(whole) for kind, whole in zip(counted, tokens, strict=True)):
        return None
    return ByKind(*(round(median(kind)) for kind in counted))
