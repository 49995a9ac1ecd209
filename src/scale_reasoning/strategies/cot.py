"""Zero-shot chain-of-thought, the standard baseline: the whole problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scale_reasoning.endpoint import Thinking
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.strategies.options import (
    ANSWERS,
    ON_LIMIT,
    SYSTEM1_LIMIT,
    SYSTEM2_LIMIT,
    THINKING_BUDGET,
    check_options,
    count,
    option,
    prompts_file,
    token_limit,
)
from scale_reasoning.strategies.solving import Answers, OnLimit, read_answer, run_step, second_calls
from scale_reasoning.types import Message, Mode, Problem, Solution, SolveMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class CoT:
    """One call in one mode. Token limits of None are the model family's."""

    mode: Mode = option(Mode.SYSTEM2, "mode of the solution", flag=True)
    system1_max_tokens: int | None = token_limit(None, SYSTEM1_LIMIT, flag=True)
    system2_max_tokens: int | None = token_limit(None, SYSTEM2_LIMIT, flag=True)
    thinking_budget: int | None = count(None, THINKING_BUDGET, flag=True)
    on_limit: OnLimit = option("cut", ON_LIMIT, flag=True)
    answers: Answers = option("any", ANSWERS, flag=True)
    sentence: Literal["family", "none"] = option(
        "family",
        "whether the prompt ends in the family's sentence on how much to write, where it has one in place of a switch",
        flag=True,
    )
    prompts: str = prompts_file()

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        """See Strategy."""
        forces = self.on_limit == "force" or self.thinking_budget is not None
        return 2 if self.answers == "any" or (forces and self.mode is Mode.SYSTEM2) else 1

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        prompts = choose_prompts(self.prompts, load_own(__file__, lm.prompts))
        thinking = Thinking(budget=self.thinking_budget)
        lm.check_thinking(self.mode, thinking)
        chain = await run_step(
            lm.at("solve"),
            question(problem, prompts, self.mode if self.sentence == "family" else None),
            subproblem=problem.text,
            mode=self.mode,
            final=True,
            max_tokens=self.system1_max_tokens if self.mode is Mode.SYSTEM1 else self.system2_max_tokens,
            second=second_calls(prompts, self.on_limit, self.answers),
            thinking=thinking,
        )
        answer = read_answer(chain.step, self.answers)
        notes = (chain.note,) if chain.note else ()
        return Solution(answer=answer.text, form=answer.form, steps=(chain.step,), notes=notes)


def question(problem: Problem, prompts: Prompts, mode: Mode | None = None) -> tuple[Message, ...]:
    """The messages that ask for a chain of thought; without a mode, no family's sentence is added to them."""
    system = prompts.fill("system")
    text = prompts.fill("solve", problem=problem.text)
    asked = Message("user", text) if mode is None else SolveMessage("user", text, mode)
    return (Message("system", system), asked) if system else (asked,)
