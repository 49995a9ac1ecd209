"""Another assessor's difficulty as a probability that System 1 is wrong, by a map fitted on data."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise

from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies.allocation import Assessor
from scale_reasoning.strategies.assessors.drafted import Drafted
from scale_reasoning.strategies.options import check_options, option, part
from scale_reasoning.strategies.pairs import read_pairs
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Another assessor's difficulty as the probability that System 1 is wrong.

    Linear between the points of `map`, and level before the first and after the last one.
    """

    of: Assessor = part(Drafted, "assessor whose difficulty is mapped")
    map: str = option("0:0 1:1", "points DIFFICULTY:PROBABILITY, as `scale report --assessor` fits them")

    def __post_init__(self) -> None:
        check_options(self)
        points = read_pairs("map", self.map, float)
        if any(not 0 <= chance <= 1 for _, chance in points):
            raise ConfigError(f"map = {self.map!r}: the probabilities must be from 0 to 1")
        if any(before[1] > after[1] for before, after in pairwise(points)):
            raise ConfigError(f"map = {self.map!r}: the probabilities must not fall")

    def is_ahead(self) -> bool:
        """See Assessor."""
        return self.of.is_ahead()

    def most_calls(self, tries: int) -> int:
        """See Assessor."""
        return self.of.most_calls(tries)

    def most_drafts(self) -> int:
        """See Assessor."""
        return self.of.most_drafts()

    async def assess(self, subproblem: Subproblem) -> Assessment:
        """See Assessor."""
        found = await subproblem.ask(self.of)
        return replace(found, assessor=f"calibrated {found.assessor}", difficulty=self._map(found.difficulty))

    def _map(self, difficulty: float) -> float:
        points = read_pairs("map", self.map, float)
        after = bisect_right([number for number, _ in points], difficulty)
        if after in (0, len(points)):
            return points[min(after, len(points) - 1)][1]
        (low, left), (high, right) = points[after - 1 : after + 1]
        return left + (right - left) * (difficulty - low) / (high - low)
