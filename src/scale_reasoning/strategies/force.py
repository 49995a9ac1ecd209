"""One solution, and what happens where its token limit cuts the thinking off: it is taken as it is, or forced.

Forcing closes the thinking and asks for the answer in a second, short call. Knows nothing of which limit it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from scale_reasoning.errors import ContextOverflow
from scale_reasoning.lm import LM
from scale_reasoning.types import Completion, Message, Mode, Step

OnLimit: TypeAlias = Literal["cut", "force"]

FORCED_MAX_TOKENS = 512
"""Cap of a forced answer: room for a result, not for going on thinking."""
TAIL_CHARACTERS = 8_000
"""How much of a cut-off thought the forced answer sees: its end, where the results are."""


@dataclass(frozen=True, slots=True)
class StepRun:
    """A solved step; `note` says what happened at its limit, None where it ended by itself."""

    step: Step
    note: str | None


async def run_step(
    lm: LM,
    messages: tuple[Message, ...],
    *,
    subproblem: str,
    mode: Mode,
    final: bool | None,
    difficulty: float | None = None,
    max_tokens: int | None = None,
    force: str | None = None,
) -> StepRun:
    """Solves with `lm`; with a prompt `force`, a System 2 solution that is cut off is asked for its result.

    `final` says whether the text is the answer (see events.Location). At most 2 model calls, 1 without `force`. A
    forced step has the second call's text and finish reason, the usage of both calls, and as reasoning all that the
    first call wrote.
    """
    completion = await lm.chat(messages, mode=mode, final=final, max_tokens=max_tokens)
    note = "cut off by the token limit" if completion.cut_off else None
    if force and completion.cut_off and mode is Mode.SYSTEM2:
        try:
            completion = await _force_answer(lm.at("force"), messages, completion, force, final=final)
            note = "cut off by the token limit: the answer was asked for in a second call"
            note += ", which was cut off too" if completion.cut_off else ""
        except ContextOverflow:
            note = "cut off by the token limit, with no room left in the window to ask for the answer"
    step = Step(
        subproblem=subproblem,
        difficulty=difficulty,
        mode=mode,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
    )
    return StepRun(step, note)


async def _force_answer(
    lm: LM, messages: tuple[Message, ...], cut: Completion, prompt: str, *, final: bool | None
) -> Completion:
    thought = read_working(cut)
    turns = (Message("assistant", thought[-TAIL_CHARACTERS:] or "(nothing yet)"), Message("user", prompt))
    reply = await lm.chat((*messages, *turns), mode=Mode.SYSTEM1, final=final, max_tokens=FORCED_MAX_TOKENS)
    return Completion(
        text=reply.text, reasoning=thought, finish_reason=reply.finish_reason, usage=cut.usage + reply.usage
    )


def read_working(reply: Completion | Step) -> str:
    """All that a model wrote: its reasoning, then its text."""
    return "\n\n".join(part.strip() for part in (reply.reasoning, reply.text) if part.strip())
