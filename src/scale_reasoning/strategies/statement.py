"""The problem's facts and its question, as the model splits them: what the paper's authors do before SCALE begins.

One call. question.py has the rule that needs none.
"""

from __future__ import annotations

from scale_reasoning.lm import LM
from scale_reasoning.prompts import load_own
from scale_reasoning.replies import STATEMENT, read_statement
from scale_reasoning.strategies.question import SplitProblem
from scale_reasoning.strategies.scale_context import Structured
from scale_reasoning.types import Message, Stage


async def split_by_model(problem: str, lm: LM, structured: Structured, tries: int) -> SplitProblem | None:
    """The split that the model makes in System 1; None if no reply of `tries` can be read."""
    asked = Message("user", load_own(__file__).fill("split", problem=problem))
    statement = await structured.ask(lm, Stage.DECOMPOSE, (asked,), read_statement, STATEMENT, tries=tries)
    return None if statement is None else SplitProblem(*statement)
