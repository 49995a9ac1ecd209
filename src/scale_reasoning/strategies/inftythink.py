"""InftyThink (Yan et al. 2025) by prompting alone: think in short rounds, carry notes from each to the next.

For models that were not tuned to it. Decides when a round is the last and what the next one sees. Refuses endpoints
that hide their reasoning: there is nothing to take notes of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scale_reasoning.errors import ConfigError
from scale_reasoning.events import RoundBegan
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.strategies.options import ANSWERS, check_options, count, option, prompts_file, token_limit
from scale_reasoning.strategies.solving import (
    RESULT_MAX_TOKENS,
    Answers,
    StepRun,
    read_answer,
    read_working,
    run_step,
    second_calls,
)
from scale_reasoning.types import Message, Mode, Problem, Solution, SolveMessage, Stage, Step

EMPTY_THOUGHT_TOKENS = 16
"""As few reasoning tokens as this may be the tags around a thought that was never had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InftyThink:
    """Rounds of System 2 with a summary after each: thinking without a limit.

    Every round that does not answer, the last one too, is summarised; the forced answer sees the newest summary only.
    `solve` raises ConfigError when a round that must be summarised hid its thought.
    """

    max_rounds: int = count(10, "System 2 rounds before System 1 is asked for the answer", flag=True, client_most=64)
    round_max_tokens: int = token_limit(4096, "new tokens of a round, reasoning included", flag=True)
    summary_max_tokens: int = token_limit(2048, "new tokens of a summary", flag=True)
    answers: Answers = option("any", ANSWERS, flag=True)
    prompts: str = prompts_file()

    NEEDS_BOTH_MODES: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        """See Strategy. Each round is solved and summarised, and then the answer is forced, and asked for."""
        return 2 * self.max_rounds + (2 if self.answers == "any" else 1)

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        return await _Run(self, problem, lm, choose_prompts(self.prompts, load_own(__file__, lm.prompts))).solve()


class _Run:
    """InftyThink on one problem: the method's state is the newest summary."""

    def __init__(self, options: InftyThink, problem: Problem, lm: LM, prompts: Prompts) -> None:
        self.options, self.problem, self.lm, self.prompts = options, problem, lm, prompts
        self.summary = ""
        self.steps: list[Step] = []
        self.notes: list[str] = []

    async def solve(self) -> Solution:
        for number in range(1, self.options.max_rounds + 1):
            if await self.run_round(f"round{number}"):
                return self.solution()
            await self.summarise(f"round{number}", self.steps[-1])
        self.notes.append(f"no answer after {self.options.max_rounds} rounds: it was forced")
        await self.force()
        return self.solution()

    async def run_round(self, name: str) -> bool:
        """One round; whether it ended by itself with an answer."""
        lm = self.lm.at(name)
        self.lm.tell(RoundBegan(location=lm.location(), number=len(self.steps) + 1, mode=Mode.SYSTEM2))
        made = await run_step(
            lm.at("solve"),
            self.messages("next-round" if self.summary else "round", mode=Mode.SYSTEM2),
            subproblem=f"round {len(self.steps) + 1}",
            mode=Mode.SYSTEM2,
            final=None,
            max_tokens=self.options.round_max_tokens,
        )
        self.add_step(name, made)
        ended = made.note is None
        answered = ended and read_answer(made.step, self.options.answers).text is not None
        if ended and not answered:
            self.notes.append(f"{name}: ended without an answer")
        return answered

    async def summarise(self, name: str, step: Step) -> None:
        """Takes the round into the summary. An empty summary does not replace the earlier one."""
        if _hidden(step):
            raise ConfigError(
                f"{name}: the endpoint hides its reasoning, and inftythink needs it to summarise a round: use a "
                "model or server that returns its reasoning, or another strategy"
            )
        working = read_working(step)
        if not working:
            self.notes.append(f"{name}: has no text: not summarised")
            return
        completion = (
            await self.lm.at(name)
            .at("summarise")
            .chat(
                self.messages("summarise", working),
                mode=Mode.SYSTEM1,
                stage=Stage.SUMMARISE,
                max_tokens=self.options.summary_max_tokens,
            )
        )
        if not completion.text.strip():
            self.notes.append(f"{name}: its summary is empty: the earlier one is kept")
            return
        if completion.cut_off:
            self.notes.append(f"{name}: its summary was cut off by the token limit")
        self.summary = completion.text.strip()

    async def force(self) -> None:
        lm = self.lm.at("forced")
        self.lm.tell(RoundBegan(location=lm.location(), number=None, mode=Mode.SYSTEM1))
        forced = await run_step(
            lm.at("solve"),
            self.messages("force"),
            subproblem="forced answer",
            mode=Mode.SYSTEM1,
            final=None,
            max_tokens=RESULT_MAX_TOKENS,
            second=second_calls(self.prompts, "cut", self.options.answers),
        )
        self.add_step("forced", forced)

    def add_step(self, name: str, made: StepRun) -> None:
        self.steps.append(made.step)
        if made.note:
            self.notes.append(f"{name}: {made.note}")

    def messages(self, instruction: str, working: str = "", mode: Mode | None = None) -> tuple[Message, ...]:
        parts = [self.prompts.fill("problem", problem=self.problem.text)]
        if self.summary:
            parts.append(self.prompts.fill("notes", notes=self.summary))
        if working:
            parts.append(self.prompts.fill("working", working=working))
        text = "\n\n".join((*parts, self.prompts.fill(instruction)))
        return (Message("user", text) if mode is None else SolveMessage("user", text, mode),)

    def solution(self) -> Solution:
        answer = read_answer(self.steps[-1], self.options.answers)
        return Solution(answer=answer.text, form=answer.form, steps=tuple(self.steps), notes=tuple(self.notes))


def _hidden(step: Step) -> bool:
    """Whether thought was paid for and not sent: no reasoning came, though some was counted or nothing else came."""
    if step.reasoning.strip():
        return False
    vanished = not step.text and step.finish_reason == "length" and step.usage.completion_tokens != 0
    return vanished or (step.usage.reasoning_tokens or 0) > EMPTY_THOUGHT_TOKENS
