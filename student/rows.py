"""The student's training rows: the strategies' prompts with the teacher's replies, and single operations.

Decides what a row is. Problems are from the train split of `arithmetic`'s laptop level; single operations have a train
split, too. Flawed decompositions are left out: they are there to be rejected, not learned.
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
from scale_reasoning.engines import endpoints
from scale_reasoning.engines.catalogue import STUDENT
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.profiles import profile_for
from scale_reasoning.prompts import load_own
from scale_reasoning.replies import parse_outline
from scale_reasoning.strategies import make
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.types import JSON, THINK, Attempt, Completion, Message, Mode, OnDelta, Request

END = "<|im_end|>"
OPENS, CLOSES = THINK
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_STEPS = LAPTOP.steps[1]
MOST_CHAINS = 100_000


@dataclass(frozen=True, slots=True)
class StudentRow:
    """One row: `messages` is the prompt, `begun` the start of the reply, `reply` the rest, which is learned."""

    messages: tuple[Message, ...]
    begun: str
    reply: str


Group = tuple[StudentRow, ...]
"""Rows with the same beginning."""


@dataclass(slots=True)
class RecordingTeacher:
    """The teacher; records its calls."""

    teacher: Teacher
    calls: list[tuple[Request, Completion]] = field(default_factory=list)

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        completion = await self.teacher.generate(request, on_delta)
        self.calls.append((request, completion))
        return completion


def write_reply(completion: Completion) -> str:
    """A reply as the model writes it: its thought in marks, and the end mark unless the token limit cut it off."""
    if completion.cut_off and not completion.text:
        return f"{OPENS}\n{completion.reasoning}"
    thought = f"{OPENS}\n{completion.reasoning}\n{CLOSES}\n\n" if completion.reasoning else ""
    return f"{thought}{completion.text}{'' if completion.cut_off else END}"


def make_rows(truth: Chain, strategies: Sequence[Strategy], stages: Sequence[str], teacher: Teacher) -> Group:
    """Rows for the strategies' calls of some stages on a problem, each once."""
    recording = RecordingTeacher(teacher)
    for strategy in strategies:
        attempt = Attempt(problem_id=truth.problem_id, sample=0)
        asyncio.run(strategy.solve(truth.problem, LM(endpoints(recording, STUDENT), attempt=attempt)))
    rows = {}
    for request, completion in recording.calls:
        stage = request.schema.name if request.schema else "solution"
        flawed = stage == "decomposition" and list(parse_outline(completion.text, MAX_STEPS)) != outline(truth)
        if stage in stages and not flawed:
            rows[request.messages, completion] = StudentRow(request.messages, "", write_reply(completion))
    return tuple(rows.values())


def scale(**options: JSON) -> Strategy:
    """SCALE for these problems, with the prompts of the student's family."""
    return make("scale", {"max_steps": MAX_STEPS, **options})


COT = CoT()
INFTYTHINK = InftyThink(round_max_tokens=60)
BOTH_MODES = (scale(candidates=3, route="system1"), scale(candidates=3, route="system2"))
RATED = (scale(candidates=1, route="system1"), scale(candidates=1, tau=0.2))
SOLVING = ("decomposition", "solution")


def make_messages(mode: Mode) -> tuple[Message, ...]:
    """The messages around a single operation: SCALE's, without the problem.

    Without them, what is learned from single operations is not used in a conversation. In a tree they cost nothing,
    because all such rows begin with them.
    """
    family = profile_for(STUDENT, name=STUDENT)
    prompts, own = load_own(scale_reasoning.strategies.scale.__file__, family.prompts), family.mode(mode)
    suffix = own.suffix if own else ""
    return (Message("system", prompts.fill("system")), Message("user", f"{prompts.fill('solve')}\n\n{suffix}"))


def make_system1_row(turn: Turn) -> StudentRow:
    """System 1's row of a single operation. How a reply ends is learned from other rows."""
    return StudentRow(make_messages(Mode.SYSTEM1), f"{expression(turn)} =", f" \\boxed{{{turn.result}")


def make_system2_row(turn: Turn, names: str) -> StudentRow:
    """System 2's row of a single operation; `names` are the letters before and after."""
    opened = f"{OPENS}\n{names[1]} = {names[0]} {SIGNS[turn.operation]} {turn.right} = {expression(turn)}\n"
    return StudentRow(
        make_messages(Mode.SYSTEM2), opened, "\n".join([*write_working(turn), f"{names[1]} = {turn.result}"])
    )


def make_facts() -> Iterator[StudentRow]:
    """The facts that one column of a working uses, each as a short row, so that none is too rare."""
    sums = {(a, b) for a in range(10) for b in range(10)} | {(n, c) for n in range(82) for c in range(1, 9)}
    differences = {(n, d) for n in range(20) for d in range(11) if 0 <= n - d < 10}
    products = {(a, b) for a in range(10) for b in range(1, 10)}
    stated = [f"{a}+{b}= {a + b}" for a, b in sorted(sums)]
    stated += [f"{a}-{b}= {a - b}" for a, b in sorted(differences)]
    stated += [f"{a}×{b}= {a * b}" for a, b in sorted(products)]
    for fact in stated:
        begun, result = fact.split()
        yield StudentRow(make_messages(Mode.SYSTEM2), f"{OPENS}\nones: {begun}", f"{result},")


def choose_turns(kind: str, count: int, seed: int, level: Level = LAPTOP) -> Iterator[Turn]:
    """Operations of a kind (see kind_of) from chains of the train split; none is in the test split."""
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
