"""Zero-shot chain-of-thought, the standard baseline: the whole problem at once."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.answers import final_answer
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts, beside, chosen
from scale_reasoning.strategies.checks import one_of, positive
from scale_reasoning.strategies.force import OnLimit, solved
from scale_reasoning.types import Message, Mode, Problem, Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class CoT:
    """One call in one mode. Token limits of None are the model family's.

    on_limit: a System 2 solution cut off by its limit stands as it is (`cut`), or its answer is asked for (`force`).
    """

    mode: Mode = Mode.SYSTEM2
    system1_max_tokens: int | None = None
    system2_max_tokens: int | None = None
    on_limit: OnLimit = "cut"
    prompts: str = ""

    def __post_init__(self) -> None:
        positive(self, "system1_max_tokens", "system2_max_tokens")
        one_of(self, on_limit=("cut", "force"))

    def most_calls(self) -> int:
        """See Strategy."""
        return 2 if self.on_limit == "force" and self.mode is Mode.SYSTEM2 else 1

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        prompts = chosen(self.prompts, beside(__file__, lm.prompts))
        chain = await solved(
            lm.at("solve"),
            question(problem, prompts),
            subproblem=problem.text,
            mode=self.mode,
            final=True,
            max_tokens=self.system1_max_tokens if self.mode is Mode.SYSTEM1 else self.system2_max_tokens,
            force=prompts.fill("force") if self.on_limit == "force" else None,
        )
        return Solution(
            answer=final_answer(chain.step.text), steps=(chain.step,), notes=(chain.note,) if chain.note else ()
        )


def question(problem: Problem, prompts: Prompts) -> tuple[Message, ...]:
    """The messages that ask for a chain of thought."""
    system = prompts.fill("system")
    asked = Message("user", prompts.fill("solve", problem=problem.text))
    return (Message("system", system), asked) if system else (asked,)
