"""What the student learns: prompts as the strategies really send them with the teacher's replies, and bare operations.

Decides what a row is. Problems are of the train split of `arithmetic`'s laptop level, and an operation that is alone
has a train split, too. Only sound replies are kept: a flawed decomposition is there to be chosen against, not learned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import scale_reasoning.strategies.scale
from scale_reasoning.arithmetic.chains import Level, Turn, split_of
from scale_reasoning.arithmetic.problems import LAPTOP, Chain, chain
from scale_reasoning.arithmetic.teacher import Teacher, outline
from scale_reasoning.arithmetic.working import SIGNS, expression, write_working
from scale_reasoning.engines import EMBEDDED, endpoints
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.profiles import profile_for
from scale_reasoning.prompts import beside
from scale_reasoning.replies import parse_outline
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.types import Attempt, Completion, Message, Mode, OnDelta, Request

END = "<|im_end|>"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_STEPS = LAPTOP.steps[1]
MOST_CHAINS = 100_000


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
    """A reply as the model writes it: its thought in tags, and its end, where the token limit did not cut it off."""
    if completion.cut_off and not completion.text:
        return f"<think>\n{completion.reasoning}"
    thought = f"<think>\n{completion.reasoning}\n</think>\n\n" if completion.reasoning else ""
    return f"{thought}{completion.text}{'' if completion.cut_off else END}"


def taught(truth: Chain, strategies: Sequence[Strategy], stages: Sequence[str], teacher: Teacher) -> Group:
    """The calls of these stages that the strategies make on a problem, each once."""
    overheard = Overheard(teacher)
    for strategy in strategies:
        attempt = Attempt(problem_id=truth.problem_id, sample=0)
        asyncio.run(strategy.solve(truth.problem, LM(endpoints(overheard, EMBEDDED), attempt=attempt)))
    rows = {}
    for request, completion in overheard.heard:
        stage = request.schema.name if request.schema else "solution"
        flawed = stage == "decomposition" and list(parse_outline(completion.text, MAX_STEPS)) != outline(truth)
        if stage in stages and not flawed:
            rows[request.messages, completion] = Row(request.messages, "", said(completion))
    return tuple(rows.values())


def scale(**options: object) -> Scale:
    """SCALE on these problems; its prompts are those of the student's family."""
    return Scale(max_steps=MAX_STEPS, **options)  # type: ignore[arg-type]


COT = CoT()
INFTYTHINK = InftyThink(round_max_tokens=60)
BOTH_MODES = (scale(candidates=3, route="system1"), scale(candidates=3, route="system2"))
RATED = (scale(candidates=1, route="system1"), scale(candidates=1, tau=0.2))
SOLVING = ("decomposition", "solution")


def framed(mode: Mode) -> tuple[Message, ...]:
    """The messages around an operation alone: SCALE's, but for the problem. Every such row begins with them, so in a
    tree they cost nothing; without them what is learned alone is not known in a conversation.
    """
    family = profile_for(EMBEDDED)
    prompts, own = beside(scale_reasoning.strategies.scale.__file__, family.prompts), family.mode(mode)
    suffix = own.suffix if own else ""
    return (Message("system", prompts.fill("system")), Message("user", f"{prompts.fill('solve')}\n\n{suffix}"))


def at_once(turn: Turn) -> Row:
    """System 1 on an operation alone; how a reply ends is learned elsewhere."""
    return Row(framed(Mode.SYSTEM1), f"{expression(turn)} =", f" \\boxed{{{turn.result}")


def written_out(turn: Turn, names: str) -> Row:
    """System 2's working of an operation alone; `names` are the letters before and after."""
    opened = f"<think>\n{names[1]} = {names[0]} {SIGNS[turn.operation]} {turn.right} = {expression(turn)}\n"
    return Row(framed(Mode.SYSTEM2), opened, "\n".join([*write_working(turn), f"{names[1]} = {turn.result}"]))


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


def turns(kind: str, count: int, seed: int, level: Level = LAPTOP) -> Iterator[Turn]:
    """Operations of a kind (see kind_of) from chains of the train split, none of whose own split is test."""
    index, found = 0, set[Turn]()
    while len(found) < count:
        if index > MOST_CHAINS:
            raise ConfigError(f"{kind}: no {count} operations in the first {MOST_CHAINS:,} chains, only {len(found)}")
        for link in chain(index, split="train", seed=seed, level=level).links:
            turn = link.turn
            if kind_of(turn) == kind and turn not in found and split_of((turn,)) != "test" and len(found) < count:
                found.add(turn)
                yield turn
        index += 1


def kind_of(turn: Turn) -> str:
    """The operation and the digits of its given number: `add1`, `sub2`, `mul1`, `mod4`."""
    return f"{turn.operation}{len(str(turn.right))}"
