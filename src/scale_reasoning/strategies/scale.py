"""SCALE: decompose, assess, route, solve (paper, Method). Spends System 2 on the sub-problems that need it.

Reads from top to bottom as the paper does. How difficulty is assessed (assessors/) and what is spent on a sub-problem
(allocators/) are values; decomposing.py has stage 1, scale_context.py the messages. Knows nothing of how a mode is
switched, of retries or of grading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from scale_reasoning.endpoint import Thinking
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.events import Solved
from scale_reasoning.lm import LM
from scale_reasoning.profiles import Seen
from scale_reasoning.prompts import choose_prompts, load_own
from scale_reasoning.strategies.allocation import Allocator, Assessor
from scale_reasoning.strategies.allocators.graded import Graded
from scale_reasoning.strategies.allocators.probe import Probe
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.assessors.rated import Rated
from scale_reasoning.strategies.decomposing import Decomposer
from scale_reasoning.strategies.options import (
    ANSWERS,
    ON_LIMIT,
    SYSTEM1_LIMIT,
    SYSTEM2_LIMIT,
    THINKING_BUDGET,
    check_options,
    count,
    nested,
    option,
    part,
    prompts_file,
    token_limit,
)
from scale_reasoning.strategies.question import question_of, split_problem
from scale_reasoning.strategies.scale_context import Context, Form, Outline, Structured
from scale_reasoning.strategies.solving import Answers, OnLimit, read_answer, second_calls
from scale_reasoning.strategies.statement import split_by_model
from scale_reasoning.strategies.subproblem import Rules, Subproblem
from scale_reasoning.together import together
from scale_reasoning.types import Mode, Problem, Solution, Step

CANDIDATES = 8
"""Decompositions, where neither the options nor the model's family say how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Decomposes the problem, assesses each step, and spends System 2 where it counts.

    With n sub-problems the paper's method makes candidates + 1 + 2n model calls when every reply parses. No attempt
    makes more than `most_calls()`.
    """

    candidates: int | None = count(
        None,
        f"decompositions sampled (k); one is selected; by default the model family's number, else {CANDIDATES}",
        flag=True,
        client_most=64,
    )
    quorum: int | None = count(
        None,
        "stop once this many decompositions parse and cancel the rest: the result then depends on which came first",
        at_most="candidates",
    )
    whole: Literal["no", "candidate"] = option(
        "no", "whether the undivided problem is one more candidate, after the sampled ones", flag=True
    )
    steps_see: Seen | None = option(
        None,
        "what steps see of the problem: all of it, or its facts without its question, which becomes the last step; by "
        "default what suits the model's family",
        flag=True,
    )
    split_by: Literal["rule", "model"] = option(
        "rule", "who finds the problem's facts and question, where they are needed: a rule, or the model", flag=True
    )
    messages: Form = option(
        "turns",
        "earlier steps as turns of a conversation, or all of a request in one user message without a system prompt",
        flag=True,
    )
    decompose_in: Mode = option(Mode.SYSTEM1, "mode of the decompositions", flag=True)
    assess: Assessor = part(Rated, "how the difficulty of a step is assessed", flag=True)
    route: Allocator = part(Threshold, "what is spent on a step", flag=True)
    context: Literal["solutions", "answers"] = option("solutions", "what later steps see of earlier ones", flag=True)
    last_step: Literal["subproblem", "question"] = option(
        "subproblem", "text of the last step: its own, or the problem's question", flag=True
    )
    system1_max_tokens: int | None = token_limit(None, SYSTEM1_LIMIT, flag=True)
    system2_max_tokens: int | None = token_limit(None, SYSTEM2_LIMIT, flag=True)
    thinking_budget: int | None = count(None, THINKING_BUDGET, flag=True)
    on_limit: OnLimit = option("cut", ON_LIMIT, flag=True)
    answers: Answers = option("any", ANSWERS, flag=True)
    max_steps: int = count(16, "sub-problems that a decomposition may have", client_most=64)
    tries: int = count(3, "replies requested until one parses", client_most=10)
    prompts: str = prompts_file()

    NEEDS_BOTH_MODES: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        """See Strategy. Reached when every structured reply takes all its tries and there are `max_steps` steps."""
        steps, tries = self.max_steps, self.tries
        candidates = self.candidates or CANDIDATES
        decompose = tries * candidates + (tries if self.split_by == "model" else 0)
        select = tries if candidates > 1 or self.whole == "candidate" else 0
        assessed = sum(self.route.assesses(number, steps) for number in range(1, steps + 1))
        ratings = self.assess.most_calls(tries)
        drafts = max(self.route.most_drafts(), self.assess.most_drafts() if assessed else 0)
        bound = any(thinking.budget is not None for thinking in self.list_thinking())
        second = self.answers == "any" or self.on_limit == "force" or bound
        observed = sum(each.most_observed(tries) for each in nested(self.route) if isinstance(each, Probe))
        # One step may be repeated because its context overflows; not the first, which has no earlier solutions.
        repeated = 0
        if self.context == "solutions" and steps > 1:
            repeated = 1 + drafts + (ratings if assessed > 1 and not self.assess.is_ahead() else 0)
        whole = decompose + 1 + second
        return max(whole, decompose + select + assessed * ratings + steps * (1 + drafts + second + observed) + repeated)

    def list_thinking(self) -> Sequence[Thinking]:
        """How System 2 may be told to think."""
        graded = (each for each in nested(self.route) if isinstance(each, Graded))
        return [Thinking(budget=self.thinking_budget), *(level for each in graded for level in each.list_thinking())]

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy. Raises ConfigError for an effort or a budget that cannot be told."""
        for thinking in self.list_thinking():
            lm.check_thinking(Mode.SYSTEM2, thinking)
        return await _Run(self, problem, lm).solve()


class _Run:
    """SCALE on one problem."""

    def __init__(self, options: Scale, problem: Problem, lm: LM) -> None:
        self.options, self.problem, self.lm = options, problem, lm
        prompts = choose_prompts(options.prompts, load_own(__file__, lm.prompts))
        self.context = Context(problem, prompts, options.context, options.answers, form=options.messages)
        self.structured = Structured()
        self.notes: list[str] = []
        self.decomposer = Decomposer(
            lm=lm,
            context=self.context,
            structured=self.structured,
            candidates=options.candidates or lm.candidates or CANDIDATES,
            quorum=options.quorum,
            most_steps=options.max_steps,
            tries=options.tries,
            mode=options.decompose_in,
            max_tokens=options.system2_max_tokens,
            notes=self.notes,
        )
        self.rules = Rules(
            assessor=options.assess,
            tries=options.tries,
            most_tokens={Mode.SYSTEM1: options.system1_max_tokens, Mode.SYSTEM2: options.system2_max_tokens},
            second=second_calls(prompts, options.on_limit, options.answers),
            thinking=options.list_thinking()[0],
        )
        self.question = ""
        self.whole: Outline = (problem.text,)
        self.unparsed = False
        self.aside: set[str] = set()

    async def solve(self) -> Solution:
        await self.split()
        candidates = await self.decomposer.decompose()
        if not candidates:
            self.note_unparsed("no decomposition could be read: the problem itself is the one sub-problem, in System 2")
            self.decomposer.tell_selected((self.whole,), 0)
            await self.solve_whole()
            return self.solution(candidates, None)
        if self.options.whole == "candidate":
            candidates = (*candidates, self.whole)
        selected = await self.decomposer.select(candidates)
        self.decomposer.tell_selected(candidates, selected)
        outline = self.with_last_step(candidates[selected])
        assessed = await self.assess_ahead(outline)
        for number in range(1, len(outline) + 1):
            self.add_step(await self.solve_step(outline, number, assessed.get(number)), len(outline))
        return self.solution(candidates, selected)

    async def split(self) -> None:
        """Finds the problem's question, and its facts where the steps see nothing else of it."""
        text, sees_facts = self.problem.text, (self.options.steps_see or self.lm.steps_see) == "facts"
        if not sees_facts and self.options.last_step == "subproblem":
            return
        found = None
        if self.options.split_by == "model":
            found = await split_by_model(text, self.lm.at("split"), self.structured, self.options.tries)
            if found is None:
                self.note_unparsed("no split of the statement could be read: a rule splits it")
        self.question = found.question if found else question_of(text)
        if sees_facts and (split := found or split_problem(text)) is not None and split.facts:
            self.context.split, self.question = split, split.question

    def with_last_step(self, outline: Outline) -> Outline:
        asks = self.context.split is not None or self.options.last_step == "question"
        return (*outline[:-1], self.question) if asks and outline != self.whole else outline

    # Stages 2 to 4: assess, route and solve each sub-problem in order (eqs 3-6)

    def at_step(self, outline: Outline, number: int, lm: LM | None = None) -> Subproblem:
        return Subproblem(
            outline=outline,
            number=number,
            lm=lm or self.lm.at(f"step{number}"),
            context=self.context,
            structured=self.structured,
            rules=self.rules,
            whole=outline == self.whole,
            aside=self.aside,
        )

    async def assess_ahead(self, outline: Outline) -> dict[int, Subproblem]:
        """The sub-problems with their difficulties, all at once, if the assessor needs no earlier solution; else {}."""
        numbers = range(1, len(outline) + 1) if self.options.assess.is_ahead() else ()
        steps = [self.at_step(outline, n) for n in numbers if self.options.route.assesses(n, len(outline))]
        await together((step.assess(self.options.assess) for step in steps), turn=self.lm.turn)
        self.note(steps)
        return {step.number: step for step in steps}

    async def solve_step(self, outline: Outline, number: int, assessed: Subproblem | None) -> Step:
        step = self.at_step(outline, number)
        try:
            return await self.allocate(step, assessed)
        except ContextOverflow:
            if self.context.carried == "answers" or not self.context.steps:
                raise
        self.context.carried = "answers"
        self.notes.append(f"step{number}: earlier solutions did not fit the window: from here their answers only")
        return await self.allocate(self.at_step(outline, number, step.lm.at("short")), assessed)

    async def allocate(self, step: Subproblem, assessed: Subproblem | None) -> Step:
        if assessed is not None:
            step.adopt(assessed)
        try:
            return await self.options.route.allocate(step)
        finally:
            self.note([step])

    async def solve_whole(self) -> None:
        step = self.at_step(self.whole, 1)
        self.add_step(await step.solve(Mode.SYSTEM2), 1)
        self.note([step])

    def add_step(self, step: Step, of: int) -> None:
        """Adds a solved step, and tells listeners of it."""
        self.context.steps.append(step)
        number = len(self.context.steps)
        self.lm.tell(Solved(location=self.lm.at(f"step{number}").location(), number=number, of=of, step=step))

    def note(self, steps: Iterable[Subproblem]) -> None:
        """Takes over what the sub-problems noted."""
        for step in steps:
            self.notes += [f"step{step.number}: {note}" for note in step.notes]
            self.unparsed = self.unparsed or step.unparsed

    def note_unparsed(self, note: str) -> None:
        self.notes.append(note)
        self.unparsed = True

    def solution(self, candidates: tuple[Outline, ...], selected: int | None) -> Solution:
        steps = tuple(self.context.steps)
        answer = read_answer(steps[-1], self.options.answers)
        return Solution(
            answer=answer.text,
            form=answer.form,
            steps=steps,
            candidates=candidates,
            selected=selected,
            notes=(*self.notes, *self.structured.repair_notes(self.lm)),
            unparsed=self.unparsed or self.decomposer.unparsed,
        )
