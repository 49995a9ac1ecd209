"""One solution, and the second call where it has no result: the limit cut it off, or no answer can be read in it.

Decides when a result is asked for, and where a step's answer is read. Knows nothing of which limit it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scale_reasoning.answers import final_answer, stated_answer
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts
from scale_reasoning.types import Completion, Form, Message, Mode, Step, Token

OnLimit: TypeAlias = Literal["cut", "force"]
Answers: TypeAlias = Literal["any", "boxed"]

RESULT_MAX_TOKENS = 512
"""Cap of a result that is asked for: room for a result, not for going on thinking."""
TAIL_CHARACTERS = 8_000
"""How much of a thought the second call sees: its end, where the results are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCalls:
    """The prompts of the second call; None where there is none.

    force: for a System 2 solution that its limit cut off. ask: for a solution that ended without an answer.
    """

    force: str | None = None
    ask: str | None = None


def second_calls(prompts: Prompts, on_limit: OnLimit, answers: Answers) -> SecondCalls:
    """The second calls that a strategy's options allow."""
    return SecondCalls(
        force=prompts.fill("force") if on_limit == "force" else None,
        ask=prompts.fill("ask") if answers == "any" else None,
    )


@dataclass(frozen=True, slots=True)
class StepRun:
    """A solved step; `note` says what happened at its limit, None where it ended by itself. `logprobs` are those of its
    text, if they were asked for and the server gave them.
    """

    step: Step
    note: str | None
    logprobs: tuple[Token, ...] | None = None


async def run_step(
    lm: LM,
    messages: tuple[Message, ...],
    *,
    subproblem: str,
    mode: Mode,
    final: bool | None,
    difficulty: float | None = None,
    max_tokens: int | None = None,
    second: SecondCalls | None = None,
    logprobs: int | None = None,
) -> StepRun:
    """Solves with `lm`, and asks for the result in a second call where `second` has a prompt for the case.

    `final` says whether the text is the answer (see events.Location). At most 2 model calls, 1 without `second`. A
    forced step has the second call's text and finish reason, the usage of both calls, and as reasoning all that the
    first call wrote. A step that was asked for its result keeps its text.
    """
    second = second or SecondCalls()
    completion = await lm.chat(messages, mode=mode, final=final, max_tokens=max_tokens, logprobs=logprobs)
    asked = ""
    note = "cut off by the token limit" if completion.cut_off else None
    if completion.cut_off and second.force and mode is Mode.SYSTEM2:
        try:
            completion = await _force_answer(lm.at("force"), messages, completion, second.force, final=final)
            note = "cut off by the token limit: the answer was asked for in a second call"
            note += ", which was cut off too" if completion.cut_off else ""
        except ContextOverflow:
            note = "cut off by the token limit, with no room left in the window to ask for the answer"
    elif not completion.cut_off and second.ask and lm.has(Mode.SYSTEM1) and _read(completion.text) is None:
        try:
            reply = await _ask_result(lm.at("ask"), messages, completion, second.ask, final=False)
            completion, asked = replace(completion, usage=completion.usage + reply.usage), reply.text.strip()
        except ContextOverflow:
            note = "ended without an answer, with no room left in the window to ask for it"
    step = Step(
        subproblem=subproblem,
        difficulty=difficulty,
        mode=mode,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        asked=asked,
    )
    return StepRun(step, note, completion.logprobs)


async def _force_answer(
    lm: LM, messages: tuple[Message, ...], cut: Completion, prompt: str, *, final: bool | None
) -> Completion:
    reply = await _ask_result(lm, messages, cut, prompt, final=final)
    return Completion(
        text=reply.text,
        reasoning=read_working(cut),
        finish_reason=reply.finish_reason,
        usage=cut.usage + reply.usage,
    )


async def _ask_result(
    lm: LM, messages: tuple[Message, ...], first: Completion, prompt: str, *, final: bool | None
) -> Completion:
    working = read_working(first) if first.cut_off or not first.text.strip() else first.text.strip()
    turns = (Message("assistant", working[-TAIL_CHARACTERS:] or "(nothing yet)"), Message("user", prompt))
    return await lm.chat((*messages, *turns), mode=Mode.SYSTEM1, final=final, max_tokens=RESULT_MAX_TOKENS)


def read_working(reply: Completion | Step) -> str:
    """All that a model wrote: its reasoning, then its text."""
    return "\n\n".join(part.strip() for part in (reply.reasoning, reply.text) if part.strip())


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a step, and where it was read; both None where there is none."""

    text: str | None = None
    form: Form | None = None


def read_answer(step: Step, answers: Answers = "any") -> Answer:
    """The answer in a step's box; else, with "any", the one that its text states, or its reply to the second question.

    A text that was cut off states nothing, because its end is missing. Reasoning is never read.
    """
    if (boxed := final_answer(step.text)) is not None:
        return Answer(boxed, "boxed")
    if answers == "boxed" or step.finish_reason == "length":
        return Answer()
    if (stated := stated_answer(step.text)) is not None:
        return Answer(stated, "stated")
    return Answer(asked, "asked") if (asked := _read(step.asked)) is not None else Answer()


def _read(text: str) -> str | None:
    return final_answer(text) or stated_answer(text)
