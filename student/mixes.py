"""How many rows of each kind the student learns, and which operations it has seen. rows.py decides what a row is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scale_reasoning.arithmetic.chains import Level, Move, Turn
from scale_reasoning.arithmetic.problems import LAPTOP, chain
from scale_reasoning.arithmetic.teacher import Teacher
from scale_reasoning.lm import Strategy
from student.rows import (
    BOTH_MODES,
    COT,
    INFTYTHINK,
    LETTERS,
    RATED,
    SOLVING,
    Group,
    StudentRow,
    choose_turns,
    make_facts,
    make_rows,
    make_system1_row,
    make_system2_row,
    scale,
)

TOGETHER = 6
"""The most operations on the same number that stay together."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How many rows of each kind.

    `at_once` and `written` are single operations by kind, with the result only and written out. `facts` is how often
    each fact of a column is learned. The others count problems: SCALE in both modes, decompositions only, chains of
    thought, InftyThink, SCALE with ratings, ratings only. `first` is the first problem, `seed` is for the operations.
    """

    at_once: Mapping[str, int] = field(default_factory=dict[str, int])
    written: Mapping[str, int] = field(default_factory=dict[str, int])
    scale: int = 0
    decompositions: int = 0
    cot: int = 0
    inftythink: int = 0
    rated: int = 0
    ratings: int = 0
    facts: int = 0
    first: int = 0
    seed: int = 7
    level: Level = LAPTOP


SKILLS = Mix(
    at_once={"add1": 5000, "sub1": 5500, "add2": 1300, "sub2": 1500, "mod4": 600},
    written={"mul1": 1200, "sub1": 600, "sub2": 700, "add1": 350, "add2": 450},
    facts=8,
    scale=400,
    cot=40,
    inftythink=10,
)
"""Everything except ratings, which are measured on a student with these skills. The shipped student saw as much, in
several rounds of training.
"""

RATINGS = Mix(
    at_once={"add1": 2200, "sub1": 2600, "add2": 400, "sub2": 400, "mod4": 300},
    written={"mul1": 120, "mod4": 240, "add2": 30, "sub2": 30},
    facts=2,
    scale=140,
    cot=130,
    inftythink=60,
    rated=90,
    ratings=190,
    first=40_000,
    seed=14,
)
"""Ratings, chains of thought, whole and in rounds, and enough of everything else that it is not forgotten, above all to
stop thinking at the end of a step. Ratings in whole solutions have too little weight to be learned, so there are
ratings alone.
"""

WIDER = Level(
    steps=(2, 6),
    digits=(3, 3),
    moves=(
        Move(operation="add", left=(1, 999), right=(2, 9), result=(1, 999), weight=8),
        Move(operation="sub", left=(1, 999), right=(2, 9), result=(1, 999), weight=8),
        Move(operation="add", left=(1, 999), right=(10, 99), result=(1, 999), weight=2),
        Move(operation="sub", left=(1, 999), right=(10, 99), result=(1, 999), weight=2),
        Move(operation="mul", left=(100, 999), right=(3, 9), result=(1, 9999), weight=5),
        Move(operation="mod", left=(1000, 9999), right=(1000, 1000), result=(1, 999), weight=1),
    ),
)
"""The level of the first rounds of training, with numbers of one and two digits: too few of them to be learned."""

SEEN = (
    Mix(
        at_once={"add1": 4500, "sub1": 4500, "add2": 1300, "sub2": 1300, "mod4": 250, "mul1": 300},
        written={"mul1": 1900, "sub2": 600, "add2": 300, "sub1": 400, "add1": 250},
        scale=820,
        level=WIDER,
    ),
    Mix(
        at_once={"add1": 2500, "sub1": 3500, "add2": 700, "sub2": 900, "mod4": 150, "mul1": 60},
        written={"mul1": 350, "sub1": 500, "sub2": 400, "add1": 350, "add2": 300},
        scale=120,
        first=2000,
        seed=8,
        level=WIDER,
    ),
    Mix(
        at_once={"add1": 2500, "sub1": 3500, "add2": 700, "sub2": 900, "mod4": 200},
        written={"mul1": 500, "sub1": 400, "sub2": 400, "add1": 200, "add2": 250},
        scale=218,
        first=4000,
        seed=10,
        level=WIDER,
    ),
    Mix(
        at_once={"add1": 1500, "sub1": 2200, "add2": 400, "sub2": 500, "mod4": 100},
        written={"mul1": 350, "sub1": 350, "sub2": 300, "add1": 170, "add2": 200},
        scale=108,
        first=6000,
        seed=11,
        level=WIDER,
    ),
    Mix(
        at_once={"add1": 250, "sub1": 300, "add2": 150, "mod4": 150},
        written={"mul1": 20, "sub1": 20, "sub2": 20},
        scale=9,
        first=9000,
        seed=12,
        level=WIDER,
    ),
    Mix(scale=200, first=20_000, level=WIDER),
    Mix(
        at_once={"add1": 3000, "sub1": 3200, "add2": 500, "sub2": 500, "mod4": 500},
        written={"mul1": 150, "sub2": 100, "add2": 60, "sub1": 60, "add1": 40},
        facts=1,
        scale=60,
        cot=40,
        inftythink=10,
        rated=220,
        first=30_000,
        seed=13,
    ),
    Mix(
        at_once={"add1": 150, "sub1": 150, "add2": 200, "sub2": 200},
        scale=70,
        cot=15,
        inftythink=4,
        rated=60,
        first=40_000,
        seed=14,
    ),
    Mix(
        at_once={"add1": 60, "sub1": 60, "add2": 60, "sub2": 60},
        scale=18,
        cot=3,
        rated=16,
        ratings=130,
        first=50_000,
        seed=15,
    ),
    Mix(
        at_once={"add1": 500, "sub1": 900, "add2": 80, "sub2": 80},
        scale=42,
        cot=3,
        rated=20,
        ratings=45,
        first=60_000,
        seed=16,
    ),
    Mix(
        at_once={"add1": 400, "sub1": 600, "add2": 100, "sub2": 100, "mod4": 100},
        written={"mod4": 200},
        scale=45,
        cot=110,
        inftythink=12,
        ratings=45,
        first=70_000,
        seed=17,
    ),
    Mix(
        at_once={"add1": 150, "sub1": 250, "add2": 60, "sub2": 60, "mod4": 60},
        scale=10,
        cot=8,
        inftythink=40,
        ratings=12,
        first=80_000,
        seed=18,
    ),
    Mix(
        at_once={"add1": 1400, "sub1": 1400, "add2": 150, "sub2": 150, "mod4": 150},
        written={"mul1": 120, "mod4": 40, "add2": 30, "sub2": 30},
        facts=2,
        scale=24,
        cot=20,
        inftythink=6,
        ratings=20,
        first=90_000,
        seed=19,
    ),
)
"""The rounds in which the shipped adapter was trained: it has seen no operations outside them."""


def make_groups(mix: Mix, teacher: Teacher) -> Iterator[Group]:
    """The groups of a mix, in no useful order."""
    yield from _group_operations(mix)
    index = mix.first
    tasks: Sequence[tuple[int, Sequence[Strategy], Sequence[str]]] = (
        (mix.scale, BOTH_MODES, (*SOLVING, "choice")),
        (mix.decompositions, (scale(candidates=1, route="system1"),), ("decomposition",)),
        (mix.cot, (COT,), ("solution",)),
        (mix.inftythink, (INFTYTHINK,), ("solution",)),
        (mix.rated, RATED, (*SOLVING, "difficulty")),
        (mix.ratings, RATED, ("difficulty",)),
    )
    for count, strategies, stages in tasks:
        for _ in range(count):
            group = make_rows(chain(index, split="train", level=mix.level), strategies, stages, teacher)
            index += 1
            if group:
                yield group


def _group_operations(mix: Mix) -> Iterator[Group]:
    """Groups of operations without a problem."""
    fast = defaultdict[int, list[StudentRow]](list)
    for kind, count in mix.at_once.items():
        for turn in choose_turns(kind, count, mix.seed, mix.level):
            fast[turn.left].append(make_system1_row(turn))
    for alike in fast.values():
        yield from (tuple(alike[at : at + TOGETHER]) for at in range(0, len(alike), TOGETHER))
    for kind, count in mix.written.items():
        for number, turn in enumerate(choose_turns(kind, count, mix.seed, mix.level)):
            yield (make_system2_row(turn, LETTERS[number % 25 : number % 25 + 2]),)
    for _ in range(mix.facts):
        yield from ((fact,) for fact in make_facts())


def list_turns(mix: Mix) -> frozenset[Turn]:
    """Every operation in a row of a mix."""
    counts = (*mix.at_once.items(), *mix.written.items())
    alone = {turn for kind, count in counts for turn in choose_turns(kind, count, mix.seed, mix.level)}
    tasks = mix.scale + mix.decompositions + mix.cot + mix.inftythink + mix.rated + mix.ratings
    chains = (chain(index, split="train", level=mix.level) for index in range(mix.first, mix.first + tasks))
    return frozenset(alone) | {link.turn for made in chains for link in made.links}
