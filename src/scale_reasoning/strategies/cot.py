"""Zero-shot chain-of-thought, the standard baseline: one call, the whole problem."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.answers import final_answer
from scale_reasoning.lm import LM
from scale_reasoning.prompts import beside, chosen
from scale_reasoning.strategies.knobs import positive
from scale_reasoning.types import Message, Mode, Problem, Solution, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class CoT:
    """One call in one mode. At most 1 model call. Token limits of None are the model family's."""

    mode: Mode = Mode.SYSTEM2
    system1_max_tokens: int | None = None
    system2_max_tokens: int | None = None
    prompts: str = ""

    def __post_init__(self) -> None:
        positive(self, "system1_max_tokens", "system2_max_tokens")

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        prompts = chosen(self.prompts, beside(__file__))
        completion = await lm.at("solve").chat(
            (Message("user", prompts.fill("solve", problem=problem.text)),),
            mode=self.mode,
            max_tokens=self.system1_max_tokens if self.mode is Mode.SYSTEM1 else self.system2_max_tokens,
        )
        step = Step(
            subproblem=problem.text,
            difficulty=None,
            mode=self.mode,
            text=completion.text,
            reasoning=completion.reasoning,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
        )
        return Solution(answer=final_answer(step.text), steps=(step,))
