"""SCALE: decompose, assess, route, solve (paper, Method). Spends System 2 on the sub-problems that need it.

Reads from top to bottom as the paper does. How difficulty is assessed (assessors/) and what is spent on a sub-problem
(allocators/) are values; scale_context.py has the messages. Knows nothing of how a mode is switched, of retries or of
grading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from scale_reasoning.endpoint import Thinking
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.events import Decomposed
from scale_reasoning.lm import LM
from scale_reasoning.profiles import Seen
from scale_reasoning.prompts import choose_prompts, load_own
from scale_reasoning.replies import choice_schema, outline_schema, read_choice, read_outline
from scale_reasoning.strategies.allocation import Allocator, Assessor
from scale_reasoning.strategies.allocators.graded import Graded
from scale_reasoning.strategies.allocators.probe import Probe
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.assessors.rated import Rated
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
from scale_reasoning.strategies.quorum import hedged
from scale_reasoning.strategies.scale_context import Context, Outline, Structured, drop_repeats
from scale_reasoning.strategies.solving import Answers, OnLimit, read_answer, second_calls
from scale_reasoning.strategies.subproblem import Rules, Subproblem
from scale_reasoning.together import together
from scale_reasoning.types import Mode, Problem, Solution, Stage, Step

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
        decompose = tries * candidates
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
        self.split = split_problem(problem.text) if (options.steps_see or lm.steps_see) == "facts" else None
        self.context = Context(problem, prompts, options.context, options.answers, self.split)
        self.structured = Structured()
        self.rules = Rules(
            assessor=options.assess,
            tries=options.tries,
            most_tokens={Mode.SYSTEM1: options.system1_max_tokens, Mode.SYSTEM2: options.system2_max_tokens},
            second=second_calls(prompts, options.on_limit, options.answers),
            thinking=options.list_thinking()[0],
        )
        self.candidates = options.candidates or lm.candidates or CANDIDATES
        self.whole: Outline = (problem.text,)
        self.notes: list[str] = []
        self.unparsed = False
        self.aside: set[str] = set()

    async def solve(self) -> Solution:
        candidates = await self.decompose()
        if not candidates:
            self.note_unparsed("no decomposition could be read: the problem itself is the one sub-problem, in System 2")
            self.tell_selected((self.whole,), 0)
            await self.solve_whole()
            return self.solution(candidates, None)
        if self.options.whole == "candidate":
            candidates = (*candidates, self.whole)
        selected = await self.select(candidates)
        self.tell_selected(candidates, selected)
        outline = self.with_last_step(candidates[selected])
        assessed = await self.assess_ahead(outline)
        for number in range(1, len(outline) + 1):
            self.context.steps.append(await self.solve_step(outline, number, assessed.get(number)))
        return self.solution(candidates, selected)

    # Stage 1: decompose (eqs 1-2)

    async def decompose(self) -> tuple[Outline, ...]:
        """The k candidates that parse. All of them are sampled again only if none parses."""
        sampled, candidates = 0, ()
        lms = [self.lm.at("decompose").at(str(k)) for k in range(1, self.candidates + 1)]
        for number in range(1, self.options.tries + 1):
            found = await self.sample(lms if number == 1 else [lm.at(f"try{number}") for lm in lms])
            sampled, candidates = sampled + len(found), tuple(outline for outline in found if outline)
            if candidates:
                break
        if dropped := sampled - len(candidates):
            self.note_unparsed(f"{dropped} of {sampled} decompositions could not be read and were dropped")
        return candidates

    async def sample(self, lms: Sequence[LM]) -> Sequence[Outline | None]:
        """One candidate per LM, None if it does not parse; with a quorum, those that came until it was reached."""
        if self.options.quorum is None:
            return await together(map(self.sample_one, lms), turn=self.lm.turn)
        found = await hedged(lms, self.sample_one, quorum=self.options.quorum, mode=Mode.SYSTEM1, stage=Stage.DECOMPOSE)
        if cancelled := len(lms) - len(found):
            self.notes.append(f"{cancelled} of {len(lms)} decompositions were cancelled: a quorum was in")
        return found

    async def sample_one(self, lm: LM) -> Outline | None:
        return await self.structured.ask(
            lm,
            Stage.DECOMPOSE,
            self.context.decompose(),
            lambda text: drop_repeats(read_outline(text, self.options.max_steps)),
            outline_schema(self.options.max_steps),
            tries=1,
        )

    async def select(self, candidates: Sequence[Outline]) -> int:
        """The index of the candidate that the model prefers. Equal ones are shown once; a single one needs no call."""
        distinct = list(dict.fromkeys(candidates))
        if len(distinct) == 1:
            return 0
        choice = await self.structured.ask(
            self.lm.at("select"),
            Stage.SELECT,
            self.context.select(distinct),
            lambda text: read_choice(text, len(distinct)),
            choice_schema(len(distinct)),
            tries=self.options.tries,
        )
        if choice is None:
            self.note_unparsed("no choice of a decomposition could be read: the first is taken")
            return 0
        return candidates.index(distinct[choice - 1])

    def tell_selected(self, candidates: tuple[Outline, ...], selected: int) -> None:
        location = self.lm.at("select").location(Stage.SELECT)
        self.lm.tell(Decomposed(location=location, candidates=candidates, selected=selected))

    def with_last_step(self, outline: Outline) -> Outline:
        if outline == self.whole:
            return outline
        if self.split is not None:
            return (*outline[:-1], self.split.question)
        return outline if self.options.last_step == "subproblem" else (*outline[:-1], question_of(self.problem.text))

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
        self.context.steps.append(await step.solve(Mode.SYSTEM2))
        self.note([step])

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
            unparsed=self.unparsed,
        )
