"""What a request can still be answered with when its token budget ends in the middle of a strategy's work.

Decides which solutions count as complete. Does not know budgets or the protocol.
"""

from __future__ import annotations

from dataclasses import replace

from scale_reasoning.events import Event, Finished
from scale_reasoning.strategies.solving import read_answer
from scale_reasoning.strategies.vote import elect
from scale_reasoning.types import Call, Completion, Solution, Stage, Step

ENDED = "the token budget ended before the work did: this is the last complete solution"


class Kept:
    """The complete solutions of one attempt so far: the newest text, and the answer of each voting chain."""

    def __init__(self) -> None:
        self._newest: Solution | None = None
        self._chains: dict[int, Solution] = {}

    def hear(self, event: Event) -> None:
        """Keeps the solution of a call that ended."""
        match event:
            case Finished(call=Call() as call, completion=Completion() as completion) if call.stage is Stage.SOLVE:
                solution = _make_solution(call, completion)
            case _:
                return
        chain = event.location.chain
        if chain is None:
            self._newest = solution if completion.text.strip() else self._newest
        elif solution.answer is not None and event.location.final is not False:
            self._chains[chain] = solution

    def solution(self) -> Solution | None:
        """The newest solution, or the vote of the chains that have an answer; None if nothing is complete.

        The newest solution may be that of a step, so its answer is not taken as the problem's.
        """
        if self._chains:
            found = elect([self._chains[chain] for chain in sorted(self._chains)])
            return replace(found, notes=(*found.notes, ENDED))
        if self._newest is None:
            return None
        return Solution(answer=None, steps=self._newest.steps, notes=(ENDED,))


def _make_solution(call: Call, completion: Completion) -> Solution:
    step = Step(
        subproblem="",
        difficulty=None,
        mode=call.mode,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
    )
    answer = read_answer(step)
    return Solution(answer=answer.text, form=answer.form, steps=(step,))
