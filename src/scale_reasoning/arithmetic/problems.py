"""Generated word problems: a chain of dependent steps in varied words, with its exact solution.

Decides levels and ids. An id has level, split, seed and number, and determines its problem, so the chain of a problem
can be found from its id. Needs no file and no network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scale_reasoning.arithmetic.chains import SPLITS, Dice, Level, Move, Operation, Split, Turn, draw
from scale_reasoning.arithmetic.wording import LETTERS, STORIES, write_problem
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import Problem

VERSION = 1
"""Increases when the problem of an id changes, in numbers or words."""

_THREE = (100, 999)
_FOUR = (1000, 9999)
LAPTOP = Level(
    steps=(2, 6),
    digits=(3, 3),
    moves=(
        Move(operation="add", left=_THREE, right=(2, 9), result=_THREE, weight=8),
        Move(operation="sub", left=_THREE, right=(2, 9), result=_THREE, weight=8),
        Move(operation="add", left=_THREE, right=(10, 99), result=_THREE, weight=2),
        Move(operation="sub", left=_THREE, right=(10, 99), result=_THREE, weight=2),
        Move(operation="mul", left=_THREE, right=(3, 9), result=_FOUR, weight=5),
        Move(operation="mod", left=_FOUR, right=(1000, 1000), result=_THREE, weight=1),
    ),
)
"""For a model of 135M parameters: sums, differences and last digits that it can give at once, and products that it must
write out. Every number has three digits, except products, which have four and are cut to three in the next step.
"""

LEVELS: Mapping[str, Level] = {
    "mixed": Level(steps=(1, 8), digits=(1, 4)),
    "easy": Level(steps=(1, 2), digits=(1, 2)),
    "medium": Level(steps=(3, 5), digits=(1, 3)),
    "hard": Level(steps=(5, 8), digits=(2, 4)),
    "laptop": LAPTOP,
}
"""To add a level, add a row. An id names its level, except the first one."""
DEFAULT_LEVEL = "mixed"

_ID = re.compile(
    r"arithmetic-(?:(?P<level>[a-z]+)-|steps(?P<s0>\d)to(?P<s1>\d)-digits(?P<d0>\d)to(?P<d1>\d)-)?"
    r"(?P<split>train|validation|test)-s(?P<seed>0|[1-9]\d{0,18})-(?P<index>\d{6,18})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One correct step. `fact` and `question` are in the text's words; together they are the sub-problem."""

    turn: Turn
    fact: str
    question: str

    @property
    def subproblem(self) -> str:
        """The task of this step, given the previous result."""
        return f"{self.fact} {self.question}"

    @property
    def operation(self) -> Operation:
        """The operation."""
        return self.turn.operation

    @property
    def kind(self) -> str:
        """The operation and the digits of its larger operand: `add2`."""
        return self.turn.kind

    @property
    def result(self) -> int:
        """The result."""
        return self.turn.result


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The solution of a text. `start` is the fact with the first number; each link uses the previous result. `owners`
    are the things with the quantities: the start's, then each link's, so one more than links.
    """

    start: str
    owners: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def answer(self) -> int:
        """The last result."""
        return self.links[-1].result


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Truth):
    """A problem of this dataset with its solution."""

    problem_id: str
    text: str

    @property
    def problem(self) -> Problem:
        """The problem, with its gold answer."""
        return Problem(id=self.problem_id, text=self.text, answer=str(self.answer))


def chain(index: int, *, split: Split = "test", seed: int = 0, level: Level = LEVELS[DEFAULT_LEVEL]) -> Chain:
    """Item `index` of a split: a pure function of the arguments.

    Raises ConfigError for a negative index or seed, and for a level with hardly any chain in this split.
    """
    if index < 0 or seed < 0:
        raise ConfigError(f"arithmetic: index and seed are 0 or more, not {index} and {seed}")
    moves = f"/{level.moves}" if level.moves else ""
    key = f"arithmetic/{VERSION}/{level.steps}/{level.digits}{moves}/{split}/{seed}/{index}"
    turns = draw(level, split, key)
    words = write_problem(turns, Dice(f"{key}/words"), (LETTERS,) if level.moves else STORIES)
    links = zip(turns, words.facts, words.questions, strict=True)
    return Chain(
        problem_id=f"arithmetic-{_level_in_id(level)}{split}-s{seed}-{index:06d}",
        start=words.start,
        owners=words.owners,
        links=tuple(Link(turn=turn, fact=fact, question=question) for turn, fact, question in links),
        text=words.text,
    )


def problem(index: int, *, split: Split = "test", seed: int = 0, level: Level = LEVELS[DEFAULT_LEVEL]) -> Problem:
    """The problem of `chain(index, ...)`."""
    return chain(index, split=split, seed=seed, level=level).problem


def chain_of(problem_id: str) -> Chain:
    """The chain of a problem of this dataset. Raises ConfigError for any other id."""
    match = _ID.fullmatch(problem_id)
    if match is None or (match["level"] and match["level"] not in LEVELS):
        raise ConfigError(f"{problem_id!r} is not the id of an arithmetic problem, such as arithmetic-test-s0-000012")
    if match["s0"]:
        steps, digits = (int(match["s0"]), int(match["s1"])), (int(match["d0"]), int(match["d1"]))
        level = Level(steps=steps, digits=digits)
    else:
        level = LEVELS[match["level"] or DEFAULT_LEVEL]
    found = chain(int(match["index"]), split=split_named(match["split"]), seed=int(match["seed"]), level=level)
    if found.problem_id != problem_id:
        raise ConfigError(f"{problem_id!r} is spelled {found.problem_id!r}")
    return found


def split_named(name: str) -> Split:
    """The split with this name. Raises ConfigError for an unknown one."""
    for split in SPLITS:
        if split == name:
            return split
    raise ConfigError(f"arithmetic has no split {name!r}; it has {', '.join(SPLITS)}")


def _level_in_id(level: Level) -> str:
    """The level's part of an id: nothing for the default, its name, or its ranges."""
    for name, named in LEVELS.items():
        if named == level:
            return "" if name == DEFAULT_LEVEL else f"{name}-"
    (s0, s1), (d0, d1) = level.steps, level.digits
    return f"steps{s0}to{s1}-digits{d0}to{d1}-"
