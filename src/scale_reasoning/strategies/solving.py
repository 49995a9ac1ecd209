"""One solution, and the second call where it has no result: the limit cut it off, or no answer can be read in it.

Decides when a result is asked for, what enforces a thinking budget, and where a step's answer is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scale_reasoning.answers import final_answer, stated_answer
from scale_reasoning.endpoint import ANSWER_TOKENS, Thinking, hold_back
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts
from scale_reasoning.types import BudgetBy, Completion, Form, Message, Mode, Step, Token

OnLimit: TypeAlias = Literal["cut", "force"]
Answers: TypeAlias = Literal["any", "boxed"]

RESULT_MAX_TOKENS = ANSWER_TOKENS
"""Cap of a result that is asked for."""
TAIL_CHARACTERS = 8_000
"""How much of a thought the second call sees: its end, where the results are."""

OVER_BUDGET = 2
"""How many times its budget a thought must have so that the server is said not to keep it: some let a sentence end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondCalls:
    """The prompts of the second call; None where there is none.

    force: for a System 2 solution that was cut off, by its thinking budget or, if `on_limit` says so, by its limit.
    ask: for a solution that ended without an answer.
    """

    force: str | None = None
    ask: str | None = None
    on_limit: OnLimit = "cut"


def second_calls(prompts: Prompts, on_limit: OnLimit, answers: Answers) -> SecondCalls:
    """The second calls that a strategy's options allow."""
    return SecondCalls(
        force=prompts.fill("force"), ask=prompts.fill("ask") if answers == "any" else None, on_limit=on_limit
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
    thinking: Thinking | None = None,
) -> StepRun:
    """Solves with `lm`, and asks for the result in a second call where `second` has a prompt for the case.

    `final` says whether the text is the answer (see events.Location). At most 2 model calls, 1 without `second`. A
    forced step has the second call's text and finish reason, the usage of both calls, and as reasoning all that the
    first call wrote. A step that was asked for its result keeps its text. `thinking` is for System 2; where no server
    enforces its budget, the first call may have that many new tokens.
    """
    second, thinking = second or SecondCalls(), thinking if mode is Mode.SYSTEM2 else None
    budget = None if thinking is None else thinking.budget
    budget_by: BudgetBy = "" if budget is None else "server" if lm.keeps_budget(mode) else "second call"
    if budget is not None and budget_by == "second call":
        max_tokens = hold_back(budget, max_tokens)
    completion = await lm.chat(
        messages, mode=mode, final=final, max_tokens=max_tokens, logprobs=logprobs, thinking=thinking
    )
    made = _Made(completion, _note_length(completion, budget, budget_by))
    forces = second.on_limit == "force" or budget_by == "second call"
    if completion.cut_off and second.force and forces and mode is Mode.SYSTEM2:
        made = await _force_answer(lm.at("force"), messages, made, second.force, final=final)
    elif not completion.cut_off and second.ask and lm.has(Mode.SYSTEM1) and _read(completion.text) is None:
        made = await _ask_answer(lm.at("ask"), messages, made, second.ask)
    completion = made.completion
    step = Step(
        subproblem=subproblem,
        difficulty=difficulty,
        mode=mode,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        asked=made.asked,
        budget_by=budget_by,
    )
    return StepRun(step, made.note, completion.logprobs)


@dataclass(frozen=True, slots=True)
class _Made:
    """A completion, what happened at its limit, and the reply to a second question."""

    completion: Completion
    note: str | None
    asked: str = ""


def _note_length(completion: Completion, budget: int | None, budget_by: BudgetBy) -> str | None:
    """What the length of a completion says of its limit or its budget."""
    notes: list[str] = []
    thought = completion.count_thought()
    if budget is not None and budget_by == "server" and thought > OVER_BUDGET * budget:
        notes.append(f"the server does not keep the thinking budget: {thought:,} tokens of thought for {budget:,}")
    if completion.cut_off:
        notes.append(f"cut off by the {'thinking budget' if budget_by == 'second call' else 'token limit'}")
    return "; ".join(notes) or None


async def _force_answer(
    lm: LM, messages: tuple[Message, ...], made: _Made, prompt: str, *, final: bool | None
) -> _Made:
    cut = made.completion
    try:
        reply = await _ask_result(lm, messages, cut, prompt, final=final)
    except ContextOverflow:
        return _Made(cut, f"{made.note}, with no room left in the window to ask for the answer")
    completion = Completion(
        text=reply.text,
        reasoning=read_working(cut),
        finish_reason=reply.finish_reason,
        usage=cut.usage + reply.usage,
    )
    note = f"{made.note}: the answer was asked for in a second call"
    return _Made(completion, note + (", which was cut off too" if completion.cut_off else ""))


async def _ask_answer(lm: LM, messages: tuple[Message, ...], made: _Made, prompt: str) -> _Made:
    first = made.completion
    try:
        reply = await _ask_result(lm, messages, first, prompt, final=False)
    except ContextOverflow:
        return _Made(first, "ended without an answer, with no room left in the window to ask for it")
    return _Made(replace(first, usage=first.usage + reply.usage), made.note, reply.text.strip())


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
