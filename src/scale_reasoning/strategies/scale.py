"""SCALE: decompose, assess, route, solve (paper, Method). Spends System 2 on the sub-problems that need it.

Reads from top to bottom as the paper does; scale_context.py has the messages. Knows nothing of how a mode is switched,
of retries or of grading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from scale_reasoning.errors import ContextOverflow
from scale_reasoning.events import Decomposed, Routed
from scale_reasoning.lm import LM
from scale_reasoning.profiles import Seen
from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.replies import NUMBER, choice_schema, outline_schema, read_choice, read_number, read_outline
from scale_reasoning.strategies.options import (
    ANSWERS,
    ON_LIMIT,
    SYSTEM1_LIMIT,
    SYSTEM2_LIMIT,
    check_options,
    count,
    option,
    prompts_file,
    token_limit,
)
from scale_reasoning.strategies.question import question_of, split_problem
from scale_reasoning.strategies.quorum import hedged
from scale_reasoning.strategies.scale_context import Context, Outline, Structured, drop_repeats
from scale_reasoning.strategies.solving import Answers, OnLimit, read_answer, run_step, second_calls
from scale_reasoning.together import together
from scale_reasoning.types import Message, Mode, Problem, Solution, Stage

HARDEST = 1.0
"""The difficulty of a sub-problem whose rating cannot be read: System 2 in case of doubt."""
CANDIDATES = 8
"""Decompositions, where neither the options nor the model's family say how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """SCALE's options.

    With n sub-problems it makes candidates + 1 + 2n model calls when every reply parses, and never more than
    `most_calls()`.
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
    tau: float = option(0.5, "difficulty threshold: System 1 if d <= tau, else System 2", flag=True, low=0, high=1)
    assess_context: Literal["solutions", "titles"] = option(
        "solutions", "what the assessor sees of earlier steps; titles are assessed all at once", flag=True
    )
    route: Literal["threshold", "system1", "system2", "random"] = option(
        "threshold", "how a step gets its mode; all but threshold are controls that assess nothing", flag=True
    )
    random_share: float = option(0.5, "share of steps in System 2 with route = random", low=0, high=1)
    context: Literal["solutions", "answers"] = option("solutions", "what later steps see of earlier ones", flag=True)
    last_step: Literal["subproblem", "question"] = option(
        "subproblem", "text of the last step: its own, or the problem's question", flag=True
    )
    last_mode: Literal["assessed", "system2"] = option("assessed", "mode of the last step", flag=True)
    system1_max_tokens: int | None = token_limit(None, SYSTEM1_LIMIT, flag=True)
    system2_max_tokens: int | None = token_limit(None, SYSTEM2_LIMIT, flag=True)
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
        rated = steps - (self.last_mode == "system2") if self.route == "threshold" else 0
        again = self.most_second_calls()
        # One step may be repeated because its context overflows; not the first, which has no earlier solutions.
        repeated = 0
        if self.context == "solutions" and steps > 1:
            repeated = 1 + (tries if self.assess_context == "solutions" and rated > 1 else 0)
        whole = decompose + 1 + (self.on_limit == "force" or self.answers == "any")
        return max(whole, decompose + select + rated * tries + steps + repeated + again)

    def most_second_calls(self) -> int:
        """How many steps may need a second call for their result: all, or those that may be solved in System 2."""
        if self.answers == "any":
            return self.max_steps
        if self.on_limit == "cut":
            return 0
        return self.max_steps if self.route != "system1" else int(self.last_mode == "system2")

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        return await _Run(self, problem, lm, choose_prompts(self.prompts, load_own(__file__, lm.prompts))).solve()


class _Run:
    """SCALE on one problem."""

    def __init__(self, options: Scale, problem: Problem, lm: LM, prompts: Prompts) -> None:
        self.options, self.problem, self.lm = options, problem, lm
        self.split = split_problem(problem.text) if (options.steps_see or lm.steps_see) == "facts" else None
        self.context = Context(problem, prompts, options.context, options.answers, self.split)
        self.structured = Structured()
        self.second = second_calls(prompts, options.on_limit, options.answers)
        self.candidates = options.candidates or lm.candidates or CANDIDATES
        self.whole: Outline = (problem.text,)
        self.notes: list[str] = []
        self.unparsed = False

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
        difficulties = await self.assess_by_titles(outline)
        for number in range(1, len(outline) + 1):
            await self.solve_step(outline, number, difficulties)
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

    # Stage 2: assess (eq 3)

    async def assess_by_titles(self, outline: Outline) -> dict[int, float]:
        """All difficulties at once from the texts of the sub-problems; {} if the assessor sees solutions."""
        if self.options.assess_context == "solutions":
            return {}
        assessed = [number for number in range(1, len(outline) + 1) if self.is_assessed(outline, number)]
        ratings = await together(
            (self.assess(self.lm.at(f"step{n}"), self.context.assess_by_titles(outline, n)) for n in assessed),
            turn=self.lm.turn,
        )
        return {
            number: self.settle_difficulty(number, rating) for number, rating in zip(assessed, ratings, strict=True)
        }

    def is_assessed(self, outline: Outline, number: int) -> bool:
        fixed = self.options.last_mode == "system2" and number == len(outline)
        return self.options.route == "threshold" and not fixed

    async def assess(self, lm: LM, messages: tuple[Message, ...]) -> float | None:
        return await self.structured.ask(
            lm.at("assess"), Stage.ASSESS, messages, read_number, NUMBER, tries=self.options.tries
        )

    def settle_difficulty(self, number: int, rating: float | None) -> float:
        if rating is None:
            self.note_unparsed(f"step{number}: no difficulty could be read: it counts as {HARDEST}")
        return HARDEST if rating is None else rating

    # Stage 3: route (eq 4)

    def choose_mode(self, difficulty: float | None, lm: LM) -> Mode:
        """System 1 if d <= tau, else System 2; the other routes look at no difficulty."""
        match self.options.route:
            case "system1":
                return Mode.SYSTEM1
            case "system2":
                return Mode.SYSTEM2
            case "random":
                return Mode.SYSTEM2 if lm.at("route").draw() < self.options.random_share else Mode.SYSTEM1
            case "threshold":
                return Mode.SYSTEM2 if difficulty is None or difficulty > self.options.tau else Mode.SYSTEM1

    # Stage 4: solve in order (eqs 5-6)

    async def solve_step(self, outline: Outline, number: int, difficulties: dict[int, float]) -> None:
        lm = self.lm.at(f"step{number}")
        try:
            await self.assess_and_solve(outline, number, difficulties, lm)
        except ContextOverflow:
            if self.context.carried == "answers" or not self.context.steps:
                raise
            self.context.carried = "answers"
            self.notes.append(f"step{number}: earlier solutions did not fit the window: from here their answers only")
            await self.assess_and_solve(outline, number, difficulties, lm.at("short"))

    async def assess_and_solve(self, outline: Outline, number: int, difficulties: dict[int, float], lm: LM) -> None:
        subproblem, last = outline[number - 1], number == len(outline)
        difficulty = difficulties.get(number)
        if difficulty is None and self.is_assessed(outline, number):
            rating = await self.assess(lm, self.context.assess(number, subproblem))
            difficulty = self.settle_difficulty(number, rating)
        mode = Mode.SYSTEM2 if last and self.options.last_mode == "system2" else self.choose_mode(difficulty, lm)
        steps, where = len(outline), lm.location()
        routed = Routed(location=where, step=number, of=steps, subproblem=subproblem, difficulty=difficulty, mode=mode)
        if outline == self.whole:
            await self.solve_routed(lm, routed, self.context.solve_whole(mode))
        else:
            await self.solve_routed(lm, routed, self.context.solve(number, subproblem, mode, last=last))

    async def solve_whole(self) -> None:
        lm = self.lm.at("step1")
        whole, mode = self.problem.text, Mode.SYSTEM2
        routed = Routed(location=lm.location(), step=1, of=1, subproblem=whole, difficulty=None, mode=mode)
        await self.solve_routed(lm, routed, self.context.solve_whole(mode))

    async def solve_routed(self, lm: LM, routed: Routed, messages: tuple[Message, ...]) -> None:
        self.lm.tell(routed)
        system1 = routed.mode is Mode.SYSTEM1
        solution = await run_step(
            lm.at("solve"),
            messages,
            subproblem=routed.subproblem,
            mode=routed.mode,
            final=routed.step == routed.of,
            difficulty=routed.difficulty,
            max_tokens=self.options.system1_max_tokens if system1 else self.options.system2_max_tokens,
            second=self.second,
        )
        self.context.steps.append(solution.step)
        if solution.note:
            self.notes.append(f"step{len(self.context.steps)}: {solution.note}")

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
