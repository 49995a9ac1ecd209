"""The arithmetic teacher: an engine that solves the `arithmetic` dataset's problems from their text.

Decides what a good reply to each stage of a strategy is; its replies are for training. It sees what any model sees,
messages and a schema's name. It recognises a stage by structure, not by a prompt's words: the problem and the
sub-problem in paragraphs of their own, candidates as numbered lists. Refuses any other problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import eq

from scale_reasoning.arithmetic.chains import Dice, Turn
from scale_reasoning.arithmetic.problems import Truth
from scale_reasoning.arithmetic.reading import find_question_owner, truth_in
from scale_reasoning.arithmetic.working import SIGNS, expression, write_working
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import Completion, Delta, Message, Mode, OnDelta, Request, Usage

TEACHER = "arithmetic-teacher"
"""The teacher's name as a model."""
FLAWED = 4
"""One in this many decompositions is flawed, so that there is something to select."""

DIFFICULTY = {
    "add1": 0.05, "add2": 0.15, "add3": 0.35, "add4": 0.55,
    "sub1": 0.10, "sub2": 0.25, "sub3": 0.60, "sub4": 0.70,
    "mul1": 0.15, "mul2": 0.65, "mul3": 0.80, "mul4": 0.95,
    "div1": 0.20, "div2": 0.45, "div3": 0.75, "div4": 0.90,
}  # fmt: skip
"""The difficulty of a step by its kind: the operation and the digits of its larger operand. At tau 0.5 a sum of four
digits is hard, a difference of three, a product of two, a quotient of three. Estimated by hand."""


def default_difficulty(turn: Turn) -> float:
    """An operation's difficulty by `DIFFICULTY`; a number's last digits are copied, not computed."""
    return 0.1 if turn.operation == "mod" else DIFFICULTY.get(turn.kind, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """Answers correctly, as a pure function of the request. Words count as tokens, in usage and in `max_tokens`.

    `difficulty` gives the difficulty of an operation, in [0, 1].
    """

    difficulty: Callable[[Turn], float] = default_difficulty

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises ConfigError for an unknown problem, sub-problem or stage."""
        reasoning, text = _reply(request, self.difficulty)
        completion = _within(request, reasoning, text)
        if on_delta is not None:
            for delta in (Delta(reasoning=completion.reasoning), Delta(text=completion.text)):
                on_delta(delta)
        return completion


def _reply(request: Request, difficulty: Callable[[Turn], float]) -> tuple[str, str]:
    """Reasoning and text."""
    task = _task(request.messages)
    match request.schema.name if request.schema else None:
        case "decomposition":
            candidate = _candidate(task.truth, Dice(f"{TEACHER}/{request.seed}"))
            return "", json.dumps({"subproblems": candidate}, ensure_ascii=False)
        case "statement":
            return "", json.dumps(_split(task.problem), ensure_ascii=False)
        case "choice":
            return "", json.dumps({"choice": _choice(task)})
        case "difficulty":
            return "", json.dumps({"difficulty": _difficulty(task, difficulty)})
        case None if request.mode is Mode.SYSTEM2:
            return _thought(task), _conclude(task)
        case None:
            return "", _notes(task) if task.takes_notes else _at_once(task)
        case other:
            raise ConfigError(
                f"the arithmetic teacher does not know the schema {other!r}; it knows statement, decomposition, "
                "choice, difficulty"
            )


# The task


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """The quantity of `truth.owners[wanted]` is to be found; that of `owners[known]` is the last known one before it.

    `problem` is its text, `said` the user's last message; `takes_notes` says whether this asks for notes on its work.
    """

    truth: Truth
    wanted: int
    known: int
    problem: str
    said: str
    takes_notes: bool

    @property
    def turns(self) -> Sequence[Turn]:
        """The operations from the known quantity to the wanted one."""
        return [link.turn for link in self.truth.links[self.known : self.wanted]]


def _task(messages: Sequence[Message]) -> _Task:
    asked = [message.content for message in messages if message.role == "user"]
    paragraphs = [paragraph for content in asked for paragraph in _paragraphs(content)]
    at, truth = next(((at, truth) for at, text in enumerate(paragraphs) if (truth := truth_in(text))), (0, None))
    if truth is None:
        told = " ".join(asked)[:100]
        raise ConfigError(
            f"the arithmetic teacher only solves problems of the arithmetic dataset, which this is not: {told!r}"
        )
    questions = [_place(truth, owner) for text in paragraphs[at + 1 :] if (owner := find_question_owner(text))]
    wanted = questions[-1] if questions else len(truth.links)
    said = asked[-1]
    lines = set(said.splitlines())
    noted = [place for place in range(wanted) if _state_value(truth, place) in lines]
    return _Task(
        truth=truth,
        wanted=wanted,
        known=max((place for place in (*questions[:-1], *noted) if place < wanted), default=0),
        problem=paragraphs[at],
        said=said,
        takes_notes=not questions and len(_paragraphs(said)) > 1 and r"\boxed{}" not in said,
    )


def _paragraphs(content: str) -> list[str]:
    """Each paragraph on one line, without a label ("Sub-problem 2: "); the texts of problems have no colon."""
    return [" ".join(text.split()).rpartition(": ")[2] for text in re.split(r"\n\s*\n", content) if text.strip()]


def _place(truth: Truth, owner: str) -> int:
    if owner not in truth.owners:
        raise ConfigError(f"the arithmetic teacher: {owner} is in the sub-problem but not in the problem")
    return truth.owners.index(owner)


# The replies


def _split(problem: str) -> dict[str, str]:
    """The problem's question, which may stand anywhere in it, and its facts: all other sentences."""
    sentences = re.split(r"(?<=[.?]) ", problem)
    question = next((each for each in sentences if find_question_owner(each)), sentences[-1])
    return {"facts": " ".join(each for each in sentences if each is not question), "question": question}


def _candidate(truth: Truth, dice: Dice) -> list[str]:
    """The correct decomposition, sometimes without a step or with two in the wrong order."""
    steps = outline(truth)
    if len(steps) > 1 and dice.below(FLAWED) == 0:
        at = dice.below(len(steps) - 1)
        steps[at : at + 2] = dice.one([[steps[at]], [steps[at + 1]], [steps[at + 1], steps[at]]])
    return steps


def outline(truth: Truth) -> list[str]:
    """The correct decomposition: one sub-problem per step."""
    first, *later = (link.subproblem for link in truth.links)
    return [f"{truth.start} {first}", *later]


def _choice(task: _Task) -> int:
    """The number of the candidate that agrees most with the correct one, the first of equals."""
    versions = list[list[str]]()
    for number, step in _NUMBERED.findall(task.said):
        if number == "1":
            versions.append([])
        if versions:
            versions[-1].append(step)
    if not versions:
        raise ConfigError("the arithmetic teacher selects one of several numbered lists, and the last message has none")
    right = outline(task.truth)
    agreeing = [sum(map(eq, version, right)) for version in versions]
    return agreeing.index(max(agreeing)) + 1


_NUMBERED = re.compile(r"^ *([0-9]{1,3})\. (.*\S)", re.MULTILINE)


def _difficulty(task: _Task, difficulty: Callable[[Turn], float]) -> float:
    """The difficulty of the last operation alone."""
    return difficulty(task.truth.links[task.wanted - 1].turn) if task.wanted else 0.0


def _at_once(task: _Task) -> str:
    """System 1: results without working."""
    lines = [f"{expression(turn)} = {turn.result}" for turn in task.turns[:-1]]
    return "\n".join([*lines, _conclude(task)])


def _box_value(task: _Task) -> str:
    return f"\\boxed{{{_value(task.truth, task.wanted)}}}"


def _thought(task: _Task) -> str:
    """System 2: the known quantity, then every operation with its name, its working and its result."""
    truth = task.truth
    return "\n\n".join(
        [
            _state_value(truth, task.known),
            *(_write_step(truth, place) for place in range(task.known + 1, task.wanted + 1)),
        ]
    )


def _write_step(truth: Truth, place: int) -> str:
    """How the quantity at this place follows from the previous one."""
    turn = truth.links[place - 1].turn
    before = f"{truth.owners[place - 1]} {SIGNS[turn.operation]} {turn.right}"
    opened = f"{_capital(truth.owners[place])} = {before} = {expression(turn)}"
    return "\n".join([opened, *write_working(turn), _state_value(truth, place)])


def _conclude(task: _Task) -> str:
    """The text after a thought: the last operation with its result."""
    left = f"{expression(task.turns[-1])} = " if task.turns else ""
    return f"{left}{_box_value(task)}"


def _notes(task: _Task) -> str:
    """The quantities found so far, in words that a later round recognises."""
    found = [_state_value(task.truth, place) for place in range(task.known + 1)]
    left = ", ".join(task.truth.owners[task.known + 1 :])
    return "\n".join(["Found:", *found, f"Still to find, in this order: {left}"])


def _state_value(truth: Truth, place: int) -> str:
    return f"{_capital(truth.owners[place])} = {_value(truth, place)}"


def _value(truth: Truth, place: int) -> int:
    return truth.links[place - 1].result if place else truth.links[0].turn.left


def _capital(owner: str) -> str:
    return owner[0].upper() + owner[1:]


# Within the limit


def _within(request: Request, reasoning: str, text: str) -> Completion:
    """The reply, or its first `max_tokens` words."""
    thought, said = _WORD.findall(reasoning), _WORD.findall(text)
    limit = len(thought) + len(said) if request.max_tokens is None else request.max_tokens
    kept, spoken = thought[:limit], said[: max(0, limit - len(thought))]
    return Completion(
        text="".join(spoken),
        reasoning="".join(kept),
        finish_reason="length" if len(thought) + len(said) > limit else "stop",
        usage=Usage(
            prompt_tokens=sum(len(message.content.split()) for message in request.messages),
            completion_tokens=len(kept) + len(spoken),
            reasoning_tokens=len(kept),
            cached_tokens=0,
        ),
        model=TEACHER,
    )


_WORD = re.compile(r"\S+\s*")
