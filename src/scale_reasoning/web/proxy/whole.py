"""`content=all`: the solutions of all steps as content, each under its sub-problem, then the answer.

Decides what belongs to the content. A step's solution is streamed while it is written; a draft that is kept, a round
and a chain of a vote are sent when they are known to be part of the solution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scale_reasoning.events import Event, Location, Routed, Solved
from scale_reasoning.types import Record, Solution, Step
from scale_reasoning.web.proxy.narrate import Narrator, Piece, answer_text

BETWEEN = "\n\n"


class WholeNarrator(Narrator):
    """Turns one attempt's events into pieces, with the whole solution as content. See Narrator."""

    def __init__(self, tell: Callable[[Piece], None], stops: Sequence[str] = ()) -> None:
        self._blocks: list[str] = []
        self._step, self._begun = 0, 0  # the step's number, and how many pieces were sent before its text
        self._due = ""
        super().__init__(tell, stops)

    def hear(self, event: Event) -> None:
        """See Narrator."""
        super().hear(event)
        match event:
            case Routed() if event.location.chain is None and event.step != self._step:
                self._step, self._begun = event.step, len(self._sent)
                self._due = (BETWEEN if self._blocks else "") + write_head(event.step, event.of, event.subproblem)
            case Solved() if event.location.chain is None:
                self._end_step(event)
            case _:
                pass

    def text(self, record: Record) -> str:
        """See Narrator. After the attempt was stopped: the steps that are complete."""
        if record.failure is not None and self._blocks:
            return BETWEEN.join(self._blocks)
        return whole_text(record.solution or Solution(answer=None))

    def _end_step(self, event: Solved) -> None:
        text, sent = event.step.full_text, self._sent_of_step()
        self._send_due()
        self._content(text[len(sent) :] if text.startswith(sent) else f"{BETWEEN}{text}")
        self._blocks.append(_write_block(event.number, event.of, event.step))

    def _rest(self, record: Record) -> str:
        self._due, text, done = "", self.text(record), BETWEEN.join(self._blocks)
        return text[len(done) :] if done and text.startswith(done) else super()._rest(record)

    def _is_content(self, location: Location) -> bool:
        return location.final is not None and not self._is_draft(location)

    def _sent_of_step(self) -> str:
        return "".join(self._sent[self._begun :])

    def _send_due(self) -> None:
        due, self._due = self._due, ""
        if due:
            super()._content(due)
            self._begun = len(self._sent)

    def _content(self, text: str) -> None:
        if text:
            self._send_due()
            super()._content(text)


def whole_text(solution: Solution) -> str:
    """The solutions of all steps, each under its sub-problem, then the answer; of a single step its text alone.

    Of a vote: those of the winning chain, or of the first chain if no chain voted.
    """
    if solution.chains:
        return whole_text(solution.chains[solution.selected or 0])
    steps = solution.steps
    if len(steps) < 2:
        return answer_text(solution)
    answer = [] if solution.answer is None else [f"**Answer:** $\\boxed{{{solution.answer}}}$"]
    return BETWEEN.join([*(_write_block(n, len(steps), step) for n, step in enumerate(steps, 1)), *answer])


def write_head(number: int, of: int, subproblem: str) -> str:
    """The heading of a step; a single one needs none."""
    return f"### Step {number} of {of}: {subproblem}\n\n" if of > 1 else ""


def _write_block(number: int, of: int, step: Step) -> str:
    return write_head(number, of, step.subproblem) + step.full_text
