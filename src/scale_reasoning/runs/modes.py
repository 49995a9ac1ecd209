"""Asks ten small questions in both modes, and how difficult each is: what the two modes of a model do with them.

Decides the questions, their limits and how long all of it may take. What follows from the replies is advice.py's.
Questions and ratings are asked as SCALE asks them, through the same endpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from scale_reasoning.answers import final_answer, stated_answer
from scale_reasoning.arithmetic.teacher import TEACHER
from scale_reasoning.ask import ask
from scale_reasoning.endpoint import Endpoint, Endpoints
from scale_reasoning.engines import connect
from scale_reasoning.engines.catalogue import STUDENT
from scale_reasoning.engines.connection import Connection, derive_system1, find_family
from scale_reasoning.engines.findings import Finding, unknown
from scale_reasoning.engines.refusals import quote
from scale_reasoning.engines.values import value_at
from scale_reasoning.errors import EngineError, ParseError
from scale_reasoning.graders.integer import Integer
from scale_reasoning.lm import LM
from scale_reasoning.replies import NUMBER, parse_number
from scale_reasoning.runs.advice import MEASURED, judge
from scale_reasoning.runs.figures import Asked, Measured, Reply
from scale_reasoning.strategies import prompts_of
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.scale_context import Context
from scale_reasoning.types import Attempt, Mode, Problem, Solution, Stage

GRADER = Integer()
IN_FLIGHT = 4
"""Questions at a time, each with one request: as many as the embedded model has slots."""
DEADLINE = 300.0
"""Seconds for all questions; those not ended by then are left out."""
BRIEF, WORKED, THOUGHT = 256, 1024, 4096
"""New tokens of a reply in System 1, in System 2 (and of a rating), and in the System 2 of a family that thinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with an integer answer; `several` says whether it takes several operations or one."""

    text: str
    answer: int
    several: bool

    def problem(self, number: int) -> Problem:
        """The question as a problem."""
        return Problem(id=f"doctor-{number}", text=self.text, answer=str(self.answer))


# The kinds take turns, so that both are there when time runs out.
QUESTIONS = (
    Question(text="What is 17 + 25?", answer=42, several=False),
    Question(
        text="A baker makes 4 trays with 18 rolls each. She sells 47 of the rolls and gives 5 to a neighbour. "
        "How many rolls are left?",
        answer=20,
        several=True,
    ),
    Question(text="A box holds 6 eggs. How many eggs are in 7 boxes?", answer=42, several=False),
    Question(
        text="A family of 2 adults and 3 children visits a museum. A ticket costs 14 euros for an adult and half of "
        "that for a child. They pay with a 100 euro note. How many euros do they get back?",
        answer=51,
        several=True,
    ),
    Question(text="A train has 63 passengers, and 28 get off. How many stay on?", answer=35, several=False),
    Question(
        text="Nina reads 12 pages on each of 5 days, and twice as many pages on each of the next 2 days. Her book has "
        "250 pages. How many pages are left to read?",
        answer=142,
        several=True,
    ),
    Question(text="72 chairs stand in 8 equal rows. How many chairs are in one row?", answer=9, several=False),
    Question(
        text="A tank holds 180 litres and is a third full. A pump adds 8 litres a minute for 12 minutes, and then 21 "
        "litres are taken out. How many litres are in the tank?",
        answer=135,
        several=True,
    ),
    Question(
        text="A pen costs 9 euros and a bag costs 34 euros. How many euros do both cost?", answer=43, several=False
    ),
    Question(
        text="A school has 7 classes with 24 pupils each. A quarter of all pupils walk, 58 come by bike, and the rest "
        "take the bus. A bus has 17 seats. How many buses are needed?",
        answer=4,
        several=True,
    ),
)


async def examine_modes(connection: Connection, say: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """What the two modes of a named model are worth, as findings; [] where a mode has no endpoint.

    `say` is called before each question. Raises ConfigError for what cannot be opened; an EngineError becomes a
    finding.
    """
    if finding := _explain_skip(connection):
        return [replace(finding, name=MEASURED)]
    # The checks before this one have said what there is to say.
    connection = replace(connection, say=_say_nothing, more_base_urls=())
    try:
        async with connect(connection) as endpoints:
            if len(endpoints) < len(Mode):
                return []
            findings = judge(await measure_modes(endpoints, say))
    except EngineError as error:  # a model on this machine could not be started again
        findings = [replace(unknown(str(error)), name=MEASURED)]
    secrets = (connection.api_key,) if connection.api_key else ()
    return [replace(finding, found=quote(finding.found, secrets)) for finding in findings]


def _say_nothing(_: str) -> None:
    pass


def _explain_skip(connection: Connection) -> Finding | None:
    """Why a model is not asked: it was trained for another language, or is not a model."""
    families = {find_family(each).name for each in (connection, derive_system1(connection)) if each is not None}
    if TEACHER in families:
        return unknown("not asked: the arithmetic teacher is not a model, and reads problems of `arithmetic` only")
    if STUDENT in families:
        return unknown(
            "not asked: the student is trained for `arithmetic` in prompts of its own, not for questions like these",
            "scale eval arithmetic measures it",
        )
    return None


async def measure_modes(
    endpoints: Endpoints, say: Callable[[str], None] = lambda _: None, *, seconds: float = DEADLINE
) -> Measured:
    """The replies to all questions in both modes, at most IN_FLIGHT at a time, as far as they come in `seconds`.

    A question with a reply that failed or came too late is left out, in both modes. `say` is called before each.
    """
    now = asyncio.get_running_loop().time
    began = now()
    places = asyncio.Semaphore(IN_FLIGHT)

    async def ask_in_turn(number: int, question: Question) -> Asked:
        async with places:
            say(f"question {number} of {len(QUESTIONS)}, in both modes")
            return await _ask_question(endpoints, number, question)

    tasks = [asyncio.create_task(ask_in_turn(n, question)) for n, question in enumerate(QUESTIONS, 1)]
    try:
        await asyncio.wait(tasks, timeout=seconds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    took = now() - began
    asked: list[Asked] = []
    failures: list[str] = []
    for task in tasks:
        if task.cancelled():
            continue
        try:
            asked.append(task.result())
        except EngineError as error:
            failures.append(str(error))
    return Measured(
        asked=tuple(asked),
        late=len(tasks) - len(asked) - len(failures),
        failures=tuple(failures),
        seconds=took,
        limits={mode: _choose_limit(endpoints[mode], mode) for mode in Mode},
    )


async def _ask_question(endpoints: Endpoints, number: int, question: Question) -> Asked:
    problem = question.problem(number)
    lm = LM(endpoints, attempt=Attempt(problem_id=problem.id))
    context = Context(problem, prompts_of(Scale())["scale"], Scale().context)
    replies: dict[Mode, Reply] = {}
    for mode in Mode:
        limit = _choose_limit(endpoints[mode], mode)
        completion = await lm.at(mode.value).chat(context.solve_whole(mode), mode=mode, max_tokens=limit)
        answer = final_answer(completion.text)
        stated = None if completion.cut_off else stated_answer(completion.text)
        grade = await GRADER.grade(problem, Solution(answer=answer or stated))
        replies[mode] = Reply(
            tokens=completion.usage.completion_tokens,
            right=grade.correct,
            boxed=answer is not None,
            cut_off=completion.cut_off,
        )
    return Asked(several=question.several, replies=replies, difficulty=await _rate(lm, context, question))


async def _rate(lm: LM, context: Context, question: Question) -> float | None:
    """The difficulty that the model gives the question, as SCALE asks for it; None if the reply cannot be read."""
    try:
        return await ask(
            lm.at("assess"),
            context.assess(1, question.text),
            parse_number,
            mode=Mode.SYSTEM1,
            stage=Stage.ASSESS,
            tries=1,
            max_tokens=WORKED,
            schema=NUMBER,
        )
    except ParseError:
        return None


def _choose_limit(endpoint: Endpoint, mode: Mode) -> int:
    """New tokens of a reply. A thought with a budget needs a limit above it (Anthropic)."""
    profile = endpoint.profile
    thinks = mode is Mode.SYSTEM2 and (profile.extras or profile.thinks)
    usual = BRIEF if mode is Mode.SYSTEM1 else THOUGHT if thinks else WORKED
    limit = usual + (value_at(profile.extras, "thinking", "budget_tokens") or 0)
    return limit if profile.max_tokens is None else min(limit, profile.max_tokens)
