"""How well difficulties predict failures of System 1, for a run's page: the table of `scale report --assessor`, and
a diagram per assessor. Decides where the points of a diagram are; report/assessors computes what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scale_reasoning.lm import Strategy
from scale_reasoning.report.assessors.lines import AssessedCell, describe_truth, measure_assessors, read_assessed
from scale_reasoning.report.assessors.measures import compute_risk, count_levels, fill_bins
from scale_reasoning.report.assessors.resampling import AssessedStep
from scale_reasoning.report.assessors.table import LEGEND, list_maps, list_notes, write_line
from scale_reasoning.report.assessors.truths import GOLD, SYSTEM2
from scale_reasoning.report.plots.reliability import COVERAGES, estimate_failures
from scale_reasoning.strategies.scale import Scale

TRUTHS = {SYSTEM2: "Against System 2", GOLD: "Against the right results"}
"""By the truth: the heading of its section."""
MOST_DIAGRAMS = 60
"""Diagrams of one section; the table has every assessor."""
LEFT, TOP, WIDTH, HEIGHT = 34.0, 8.0, 190.0, 140.0
"""Where the frame of a diagram is, in its own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """Steps of about equal difficulty. Shares in [0, 1]; x, y, y_low, y_high are places in the drawing."""

    difficulty: float
    steps: int
    fails: float
    low: float | None
    high: float | None

    @property
    def x(self) -> str:
        """From the left."""
        return _place_x(self.difficulty)

    @property
    def y(self) -> str:
        """From the top."""
        return _place_y(self.fails)

    @property
    def y_low(self) -> str:
        """The lower end of the interval."""
        return _place_y(self.fails if self.low is None else self.low)

    @property
    def y_high(self) -> str:
        """The upper end of the interval."""
        return _place_y(self.fails if self.high is None else self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """One assessor of one row. risk: the corners of the curve of failures by coverage, as SVG has them."""

    name: str
    where: str
    steps: int
    dots: Sequence[Dot]
    risk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilitySection:
    """All assessors against one truth: a row of texts by heading for each, diagrams, and notes."""

    title: str
    truth: str
    rows: Sequence[Mapping[str, str]]
    diagrams: Sequence[Diagram]
    notes: Sequence[str]
    maps: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A run's sections; none if no step has both a draft of System 1 and an assessment."""

    sections: Sequence[ReliabilitySection]
    legend: str = LEGEND


def can_measure(strategy: Strategy) -> bool:
    """Whether a strategy makes drafts in System 1 of steps, which difficulties can be compared with."""
    return isinstance(strategy, Scale) and max(strategy.route.most_drafts(), strategy.assess.most_drafts()) > 0


def compute_reliability(folder: Path) -> Reliability:
    """Measures every assessor of a run. Raises ScaleError."""
    sections = [_measure(title, truth, read_assessed(folder, None, truth)) for truth, title in TRUTHS.items()]
    return Reliability(sections=[section for section in sections if section.rows])


def _measure(title: str, truth: str, cells: Sequence[AssessedCell]) -> ReliabilitySection:
    found = measure_assessors(cells, truth)
    drawn = [
        _draw(assessor, f"{each.cell.dataset}, {each.cell.model}, row {each.row}", steps)
        for each in cells
        for assessor, steps in each.found.assessors.items()
    ]
    notes = list_notes(found)
    if len(drawn) > MOST_DIAGRAMS:
        notes.append(f"Only the first {MOST_DIAGRAMS} of {len(drawn):,} diagrams are drawn; the table has all.")
    return ReliabilitySection(
        title=title,
        truth=describe_truth(truth).partition(" (--truth")[0],
        rows=[write_line(line) for line in found.lines],
        diagrams=drawn[:MOST_DIAGRAMS],
        notes=notes,
        maps=list_maps(found),
    )


def _draw(name: str, where: str, steps: Sequence[AssessedStep]) -> Diagram:
    ordered, dots = sorted(steps, key=lambda step: step.difficulty), list[Dot]()
    levels = count_levels((step.difficulty, step.fails) for step in steps)
    for each in fill_bins(levels):
        filled, ordered = ordered[: each.steps], ordered[each.steps :]
        share = estimate_failures(filled)
        dots.append(
            Dot(difficulty=each.difficulty, steps=each.steps, fails=share.value, low=share.low, high=share.high)
        )
    corners = [(coverage, compute_risk(levels, coverage) or 0.0) for coverage in COVERAGES]
    risk = " ".join(f"{_place_x(coverage)},{_place_y(share)}" for coverage, share in corners)
    return Diagram(name=name, where=where, steps=len(steps), dots=dots, risk=risk)


def _place_x(share: float) -> str:
    return f"{LEFT + WIDTH * min(max(share, 0.0), 1.0):.1f}"


def _place_y(share: float) -> str:
    return f"{TOP + HEIGHT * (1 - min(max(share, 0.0), 1.0)):.1f}"
