"""What the student learns: prompts as the strategies really send them with the teacher's replies, and bare operations.

Decides how much of what. Problems are of the train split of `arithmetic`'s laptop level, and an operation that is alone
has a train split, too. Only sound replies are kept: a flawed decomposition is there to be chosen against, not learned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import scale_reasoning.strategies.scale
from scale_reasoning.datasets.arithmetic import LAPTOP, Chain, chain
from scale_reasoning.datasets.chains import Turn, split_of
from scale_reasoning.engines import endpoints
from scale_reasoning.engines.teacher import Teacher, outline
from scale_reasoning.engines.working import SIGNS, expression, working
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.profiles import profile_for
from scale_reasoning.prompts import beside
from scale_reasoning.replies import parse_outline
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.types import Attempt, Completion, Message, Mode, OnDelta, Request

STUDENT = "student"
END = "<|im_end|>"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_STEPS = LAPTOP.steps[1]


@dataclass(frozen=True, slots=True)
class Row:
    """`messages` are asked, `begun` is said, `reply` is learned."""

    messages: tuple[Message, ...]
    begun: str
    reply: str


Group = tuple[Row, ...]
"""Rows that begin alike."""


@dataclass(slots=True)
class Overheard:
    """The teacher, and what was asked of it."""

    teacher: Teacher
    heard: list[tuple[Request, Completion]] = field(default_factory=list)

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        completion = await self.teacher.generate(request, on_delta)
        self.heard.append((request, completion))
        return completion


def said(completion: Completion) -> str:
    """A reply as the model writes it: its thought in tags."""
    thought = f"<think>\n{completion.reasoning}\n</think>\n\n" if completion.reasoning else ""
    return f"{thought}{completion.text}{END}"


def taught(truth: Chain, strategies: Sequence[Strategy], stages: Sequence[str], teacher: Teacher) -> Group:
    """The calls of these stages that the strategies make on a problem, each once."""
    overheard = Overheard(teacher)
    for strategy in strategies:
        attempt = Attempt(problem_id=truth.problem_id, sample=0)
        asyncio.run(strategy.solve(truth.problem, LM(endpoints(overheard, STUDENT), attempt=attempt)))
    rows = {}
    for request, completion in overheard.heard:
        stage = request.schema.name if request.schema else "solution"
        flawed = stage == "decomposition" and list(parse_outline(completion.text, MAX_STEPS)) != outline(truth)
        if stage in stages and not flawed and not completion.cut_off:
            rows[request.messages, completion] = Row(request.messages, "", said(completion))
    return tuple(rows.values())


def scale(**knobs: object) -> Scale:
    """SCALE on these problems; its prompts are those of the student's family."""
    return Scale(max_steps=MAX_STEPS, **knobs)  # type: ignore[arg-type]


COT = CoT()
INFTYTHINK = InftyThink(round_max_tokens=40)
BOTH_MODES = (scale(candidates=3, route="system1"), scale(candidates=3, route="system2"))
SOLVING = ("decomposition", "solution")


def framed(mode: Mode) -> tuple[Message, ...]:
    """The messages around an operation alone: SCALE's, but for the problem. Every such row begins with them, so in a
    tree they cost nothing; without them what is learned alone is not known in a conversation.
    """
    family = profile_for(STUDENT)
    prompts, own = beside(scale_reasoning.strategies.scale.__file__, family.prompts), family.mode(mode)
    suffix = own.suffix if own else ""
    return (Message("system", prompts.fill("system")), Message("user", f"{prompts.fill('solve')}\n\n{suffix}"))


def at_once(turn: Turn) -> Row:
    """System 1 on an operation alone."""
    return Row(framed(Mode.SYSTEM1), f"{expression(turn)} =", f" \\boxed{{{turn.result}}}{END}")


def written_out(turn: Turn, names: str) -> Row:
    """System 2's working of an operation alone; `names` are the letters before and after."""
    opened = f"<think>\n{names[1]} = {names[0]} {SIGNS[turn.operation]} {turn.right} = {expression(turn)}\n"
    return Row(framed(Mode.SYSTEM2), opened, "\n".join([*working(turn), f"{names[1]} = {turn.result}"]))


def facts() -> Iterator[Row]:
    """What a column of a working takes for granted, each fact alone: a few tokens, and none is met too seldom."""
    sums = {(a, b) for a in range(10) for b in range(10)} | {(n, c) for n in range(82) for c in range(1, 9)}
    differences = {(n, d) for n in range(20) for d in range(11) if 0 <= n - d < 10}
    products = {(a, b) for a in range(10) for b in range(1, 10)}
    stated = [f"{a}+{b}= {a + b}" for a, b in sorted(sums)]
    stated += [f"{a}-{b}= {a - b}" for a, b in sorted(differences)]
    stated += [f"{a}×{b}= {a * b}" for a, b in sorted(products)]
    for fact in stated:
        begun, result = fact.split()
        yield Row(framed(Mode.SYSTEM2), f"<think>\nones: {begun}", f"{result},")


def turns(kind: str, count: int, seed: int) -> Iterator[Turn]:
    """Operations of a kind (see kind_of) from chains of the train split, none of whose own split is test."""
    index, found = 0, set()
    while len(found) < count:
        for link in chain(index, split="train", seed=seed, level=LAPTOP).links:
            turn = link.turn
            if kind_of(turn) == kind and turn not in found and split_of((turn,)) != "test" and len(found) < count:
                found.add(turn)
                yield turn
        index += 1


def kind_of(turn: Turn) -> str:
    """The operation and the digits of its given number: `add1`, `sub2`, `mul1`, `mod4`."""
    return f"{turn.operation}{len(str(turn.right))}"


# How much of what


@dataclass(frozen=True, slots=True)
class Mix:
    """How many of each: operations given at once and written out, by kind; the facts of columns, each so many times;
    and by problems, SCALE in both modes, decompositions alone, chains of thought, InftyThink, ratings. `first` is the
    first problem, `seed` that of the operations.
    """

    at_once: Mapping[str, int] = field(default_factory=dict[str, int])
    written: Mapping[str, int] = field(default_factory=dict[str, int])
    scale: int = 0
    decompositions: int = 0
    cot: int = 0
    inftythink: int = 0
    rated: int = 0
    facts: int = 0
    first: int = 0
    seed: int = 7


SKILLS = Mix(
    at_once={"add1": 3500, "sub1": 5000, "add2": 1000, "sub2": 1200, "mod4": 250},
    written={"mul1": 900, "sub1": 800, "sub2": 700, "add1": 400, "add2": 450},
    facts=8,
    scale=180,
    decompositions=30,
    cot=40,
    inftythink=12,
)
"""All but how hard a step is, which is measured of a student that has these."""

SEEN = (
    Mix(
        at_once={"add1": 4500, "sub1": 4500, "add2": 1300, "sub2": 1300, "mod4": 250, "mul1": 300},
        written={"mul1": 1900, "sub2": 600, "add2": 300, "sub1": 400, "add1": 250},
        scale=820,
    ),
    Mix(
        at_once={"add1": 2500, "sub1": 3500, "add2": 700, "sub2": 900, "mod4": 150, "mul1": 60},
        written={"mul1": 350, "sub1": 500, "sub2": 400, "add1": 350, "add2": 300},
        scale=120,
        first=2000,
        seed=8,
    ),
    Mix(
        at_once={"add1": 2500, "sub1": 3500, "add2": 700, "sub2": 900, "mod4": 200},
        written={"mul1": 500, "sub1": 400, "sub2": 400, "add1": 200, "add2": 250},
        scale=218,
        first=4000,
        seed=10,
    ),
    Mix(
        at_once={"add1": 1500, "sub1": 2200, "add2": 400, "sub2": 500, "mod4": 100},
        written={"mul1": 350, "sub1": 350, "sub2": 300, "add1": 170, "add2": 200},
        scale=108,
        first=6000,
        seed=11,
    ),
    Mix(
        at_once={"add1": 250, "sub1": 300, "add2": 150, "mod4": 150},
        written={"mul1": 20, "sub1": 20, "sub2": 20},
        scale=9,
        first=9000,
        seed=12,
    ),
    Mix(scale=200, first=20_000),
)
"""Whose operations student/skills has seen, at the most: the goes in which it was trained."""

RATINGS = Mix(
    at_once={"add1": 300, "sub1": 300, "add2": 200, "sub2": 200, "mul1": 20},
    written={"mul1": 80, "sub2": 40},
    scale=15,
    decompositions=20,
    cot=8,
    inftythink=4,
    rated=80,
    first=10_000,
)
"""How hard a step is, and enough of all else that it is not forgotten."""


def rows(mix: Mix, teacher: Teacher) -> Iterator[Group]:
    """The groups of a mix, in no useful order."""
    for kind, count in mix.at_once.items():
        for turn in turns(kind, count, mix.seed):
            yield (at_once(turn),)
    for kind, count in mix.written.items():
        for number, turn in enumerate(turns(kind, count, mix.seed)):
            yield (written_out(turn, LETTERS[number % 25 : number % 25 + 2]),)
    for _ in range(mix.facts):
        for fact in facts():
            yield (fact,)
    index = mix.first
    told: Sequence[tuple[int, Sequence[Strategy], Sequence[str]]] = (
        (mix.scale, BOTH_MODES, (*SOLVING, "choice")),
        (mix.decompositions, (scale(candidates=1, route="system1"),), ("decomposition",)),
        (mix.cot, (COT,), ("solution",)),
        (mix.inftythink, (INFTYTHINK,), ("solution",)),
        (mix.rated, (scale(candidates=1, tau=0.5),), ("difficulty",)),
    )
    for count, strategies, stages in told:
        for _ in range(count):
            group = taught(chain(index, split="train", level=LAPTOP), strategies, stages, teacher)
            index += 1
            if group:
                yield group


def learned(mix: Mix) -> frozenset[Turn]:
    """Every operation that a mix has a row of."""
    counts = (*mix.at_once.items(), *mix.written.items())
    alone = {turn for kind, count in counts for turn in turns(kind, count, mix.seed)}
    told = mix.scale + mix.decompositions + mix.cot + mix.inftythink + mix.rated
    chains = (chain(index, split="train", level=LAPTOP) for index in range(mix.first, mix.first + told))
    return frozenset(alone) | {link.turn for made in chains for link in made.links}
