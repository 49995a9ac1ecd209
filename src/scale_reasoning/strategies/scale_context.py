"""What SCALE sends to the model, and how it reads the structured replies. Decides no step of the method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, TypeVar

from scale_reasoning.ask import ask
from scale_reasoning.errors import ParseError
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts
from scale_reasoning.replies import Read
from scale_reasoning.strategies.question import SplitProblem
from scale_reasoning.strategies.solving import Answers, read_answer
from scale_reasoning.types import Message, Mode, Problem, Schema, SolveMessage, Stage, Step

Outline: TypeAlias = tuple[str, ...]
Carried: TypeAlias = Literal["solutions", "answers"]
Form: TypeAlias = Literal["turns", "one"]
T = TypeVar("T")

STRUCTURED_MAX_TOKENS = 4096
"""Limit of a decomposition, a choice or a rating: far above what they need, so that only an endless reply meets it."""


class Context:
    """The context C_i: the problem, then the solved sub-problems, then one instruction.

    steps: the solved sub-problems, in order. carried: what later steps see of them. split: the problem's facts, which
    the steps see, and its question, which they do not; None: they see the problem. form: a turn per solved sub-problem,
    added at the end only; or all of a request in one user message.
    """

    def __init__(
        self,
        problem: Problem,
        prompts: Prompts,
        carried: Carried,
        answers: Answers = "any",
        split: SplitProblem | None = None,
        form: Form = "turns",
    ) -> None:
        self.problem, self.prompts, self.split = problem, prompts, split
        self.form: Form = form
        self.carried: Carried = carried
        self.answers: Answers = answers
        self.steps: list[Step] = []

    def decompose(self) -> tuple[Message, ...]:
        """Asks for a decomposition."""
        return self._messages(self.prompts.fill("decompose"))

    def select(self, outlines: Sequence[Outline]) -> tuple[Message, ...]:
        """Asks for the number of the best outline."""
        versions = "\n\n".join(
            self.prompts.fill("version", number=str(number), outline=_number_lines(outline))
            for number, outline in enumerate(outlines, 1)
        )
        return self._messages(self.prompts.fill("select", count=str(len(outlines)), versions=versions))

    def assess_by_titles(self, outline: Outline, number: int) -> tuple[Message, ...]:
        """Asks for the difficulty of sub-problem `number` from the texts of the earlier ones."""
        earlier = outline[: number - 1]
        before = [self.prompts.fill("earlier", outline=_number_lines(earlier))] if earlier else []
        titled = self._write_title(number, outline[number - 1])
        return self._step_messages("\n\n".join((*before, titled, self.prompts.fill("assess"))))

    def assess(self, number: int, subproblem: str, instruction: str = "") -> tuple[Message, ...]:
        """Asks for the difficulty of sub-problem `number` after the solved ones; the instruction is SCALE's own by
        default.
        """
        instruction = instruction or self.prompts.fill("assess")
        return self._step_messages(f"{self._write_title(number, subproblem)}\n\n{instruction}", self.steps)

    def solve(self, number: int, subproblem: str, mode: Mode, *, last: bool) -> tuple[Message, ...]:
        """Asks for the solution of sub-problem `number` after the solved ones."""
        instruction = self.prompts.fill("solve-last" if last else "solve")
        return self._step_messages(f"{self._write_title(number, subproblem)}\n\n{instruction}", self.steps, mode)

    def solve_whole(self, mode: Mode) -> tuple[Message, ...]:
        """Asks for the solution of the problem without a decomposition."""
        return self._messages(self.prompts.fill("solve-whole"), mode)

    def _messages(self, instruction: str, mode: Mode | None = None) -> tuple[Message, ...]:
        """The problem and an instruction."""
        if self.split is None:
            return self._step_messages(instruction, mode=mode)
        question = self.prompts.fill("question", question=self.split.question)
        return self._step_messages(f"{question}\n\n{instruction}", mode=mode)

    def _step_messages(
        self, instruction: str, steps: Sequence[Step] = (), mode: Mode | None = None
    ) -> tuple[Message, ...]:
        """What the steps see of the problem, the solved steps, and an instruction."""
        if self.split is None:
            lead = self.prompts.fill("problem", problem=self.problem.text) + "\n\n"
        else:
            lead = self.prompts.fill("facts", facts=self.split.facts) + "\n\n"
        if self.form == "one":
            solved = (
                f"{self._write_title(number, step.subproblem)}\n{self._carry(step)}\n\n"
                for number, step in enumerate(steps, 1)
            )
            return (_write_last("".join((lead, *solved, instruction)), mode),)
        messages: list[Message] = [Message("system", self.prompts.fill("system"))]
        for number, step in enumerate(steps, 1):
            titled = self._write_title(number, step.subproblem)
            # As it was sent, the mode's sentence included, so that each step's prompt extends the one before it.
            messages.append(SolveMessage("user", f"{lead}{titled}\n\n{self.prompts.fill('solve')}", step.mode))
            messages.append(Message("assistant", self._carry(step)))
            lead = ""
        return (*messages, _write_last(lead + instruction, mode))

    def _write_title(self, number: int, subproblem: str) -> str:
        return self.prompts.fill("subproblem", number=str(number), subproblem=subproblem)

    def _carry(self, step: Step) -> str:
        """What later steps see of a solved step: its solution or its answer, never its reasoning."""
        if self.carried == "answers":
            answer = read_answer(step, self.answers).text
            return f"\\boxed{{{answer}}}" if answer else "(no result)"
        return step.full_text.strip() or "(no result)"


class Structured:
    """Asks for structured replies and remembers which of them were repaired."""

    def __init__(self) -> None:
        self._repairs: dict[str, tuple[str, ...]] = {}

    async def ask(
        self,
        lm: LM,
        stage: Stage,
        messages: tuple[Message, ...],
        parse: Callable[[str], Read[T]],
        schema: Schema,
        *,
        tries: int,
        mode: Mode = Mode.SYSTEM1,
        max_tokens: int | None = None,
    ) -> T | None:
        """A reply in the form of the schema; None if no reply of `tries` can be read. `max_tokens` is for System 2."""
        limit = STRUCTURED_MAX_TOKENS if mode is Mode.SYSTEM1 else max_tokens
        try:
            read = await ask(lm, messages, parse, mode=mode, stage=stage, tries=tries, max_tokens=limit, schema=schema)
        except ParseError:
            return None
        self._repairs[lm.path] = read.repairs
        return read.value

    def repair_notes(self, lm: LM) -> list[str]:
        """A note per reply whose JSON was repaired, in the order of the calls' paths."""
        own = f"{lm.path}/" if lm.path else ""
        return [
            f"{call.path.removeprefix(own)}: JSON repaired ({', '.join(repairs)})"
            for call in lm.calls
            if (repairs := self._repairs.get(call.path))
        ]


def _write_last(text: str, mode: Mode | None) -> Message:
    """The message that asks; with a mode, for a solution."""
    return Message("user", text) if mode is None else SolveMessage("user", text, mode)


def _number_lines(outline: Outline) -> str:
    return "\n".join(f"{number}. {subproblem}" for number, subproblem in enumerate(outline, 1))


def drop_repeats(read: Read[Outline]) -> Read[Outline]:
    """The outline with each sub-problem once, at its last place, because the last sub-problem stays the last."""
    return replace(read, value=tuple(reversed(dict.fromkeys(reversed(read.value)))))
