"""SCALE: decompose, assess, route, solve (paper, Method). Spends System 2 on the sub-problems that need it.

Reads top to bottom as the paper does. Knows nothing of how a mode is switched, of retries, or of grading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, TypeVar

from scale_reasoning.answers import final_answer
from scale_reasoning.ask import ask
from scale_reasoning.errors import ContextOverflow, ParseError
from scale_reasoning.events import Decomposed, Routed
from scale_reasoning.lm import LM
from scale_reasoning.prompts import Prompts, beside, chosen
from scale_reasoning.replies import NUMBER, Read, choice_schema, outline_schema, read_choice, read_number, read_outline
from scale_reasoning.strategies.force import OnLimit, solved
from scale_reasoning.strategies.options import (
    ON_LIMIT,
    SYSTEM1_LIMIT,
    SYSTEM2_LIMIT,
    check_options,
    count,
    option,
    prompts_file,
    token_limit,
)
from scale_reasoning.strategies.question import question_of
from scale_reasoning.strategies.quorum import hedged
from scale_reasoning.together import together
from scale_reasoning.types import Message, Mode, Problem, Schema, Solution, Stage, Step

Outline: TypeAlias = tuple[str, ...]
T = TypeVar("T")

STRUCTURED_MAX_TOKENS = 4096
"""Cap of a decomposition, a choice or a rating: far above what they need, so that only a runaway meets it."""
HARDEST = 1.0
"""What a difficulty that cannot be read counts as: when in doubt, think."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """SCALE's options.

    With n sub-problems it makes candidates + 1 + 2n model calls when every reply parses, and never more than
    `most_calls()`.
    """

    candidates: int = count(8, "decompositions sampled (k); one is selected", flag=True, client_most=64)
    quorum: int | None = count(
        None,
        "stop once this many decompositions parse and cancel the rest: the result then depends on which came first",
        at_most="candidates",
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
    max_steps: int = count(16, "sub-problems that a decomposition may have", client_most=64)
    tries: int = count(3, "replies requested until one parses", client_most=10)
    prompts: str = prompts_file()

    NEEDS_BOTH_MODES: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        """See Strategy. Then every structured reply takes all its tries, and there are `max_steps` sub-problems."""
        steps, tries = self.max_steps, self.tries
        decompose = tries * self.candidates
        select = tries if self.candidates > 1 else 0
        rated = steps - (self.last_mode == "system2") if self.route == "threshold" else 0
        forced = self.most_forced()
        # One step may be repeated, because its context overflowed: never the first, which has no earlier solutions.
        repeated = 0
        if self.context == "solutions" and steps > 1:
            repeated = 1 + (tries if self.assess_context == "solutions" and rated > 1 else 0)
        whole = decompose + 1 + (self.on_limit == "force")
        return max(whole, decompose + select + rated * tries + steps + repeated + forced)

    def most_forced(self) -> int:
        """How many steps may have their answer asked for in a second call: those that may be solved in System 2."""
        if self.on_limit == "cut":
            return 0
        return self.max_steps if self.route != "system1" else int(self.last_mode == "system2")

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        return await _Run(self, problem, lm, chosen(self.prompts, beside(__file__, lm.prompts))).solve()


class _Run:
    """SCALE on one problem: the method's state is what was said so far."""

    def __init__(self, options: Scale, problem: Problem, lm: LM, prompts: Prompts) -> None:
        self.options, self.problem, self.lm, self.prompts = options, problem, lm, prompts
        self.context = options.context
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.unparsed = False
        self.repairs: dict[str, tuple[str, ...]] = {}

    async def solve(self) -> Solution:
        candidates = await self.decompose()
        if not candidates:
            self.note_unparsed("no decomposition could be read: the problem itself is the one sub-problem, in System 2")
            self.lm.tell(
                Decomposed(
                    location=self.lm.at("select").location(Stage.SELECT), candidates=((self.problem.text,),), selected=0
                )
            )
            await self.solve_whole()
            return self.solution(candidates, None)
        selected = await self.select(candidates)
        self.lm.tell(
            Decomposed(location=self.lm.at("select").location(Stage.SELECT), candidates=candidates, selected=selected)
        )
        outline = self.with_last_step(candidates[selected])
        difficulties = await self.assess_ahead(outline)
        for number in range(1, len(outline) + 1):
            await self.solve_step(outline, number, difficulties)
        return self.solution(candidates, selected)

    # Stage 1: decompose (eqs 1-2)

    async def decompose(self) -> tuple[Outline, ...]:
        """The k candidates that could be read; a whole round is asked again only when none could."""
        asked, candidates = 0, ()
        places = [self.lm.at("decompose").at(str(k)) for k in range(1, self.options.candidates + 1)]
        for number in range(1, self.options.tries + 1):
            found = await self.sampled(places if number == 1 else [place.at(f"try{number}") for place in places])
            asked, candidates = asked + len(found), tuple(outline for outline in found if outline)
            if candidates:
                break
        if dropped := asked - len(candidates):
            self.note_unparsed(f"{dropped} of {asked} decompositions could not be read and were dropped")
        return candidates

    async def sampled(self, places: Sequence[LM]) -> Sequence[Outline | None]:
        """A round's candidates: all of them, or those that were in when the quorum was."""
        if self.options.quorum is None:
            return await together(map(self.candidate, places), turn=self.lm.turn)
        found = await hedged(
            places, self.candidate, quorum=self.options.quorum, mode=Mode.SYSTEM1, stage=Stage.DECOMPOSE
        )
        if cancelled := len(places) - len(found):
            self.notes.append(f"{cancelled} of {len(places)} decompositions were cancelled: a quorum was in")
        return found

    async def candidate(self, place: LM) -> Outline | None:
        return await self.structured(
            place,
            Stage.DECOMPOSE,
            self.messages(self.prompts.fill("decompose")),
            lambda text: read_outline(text, self.options.max_steps),
            outline_schema(self.options.max_steps),
            tries=1,
        )

    async def select(self, candidates: Sequence[Outline]) -> int:
        """The index of the candidate the model prefers; equal ones are shown once, a single one is not asked about."""
        distinct = list(dict.fromkeys(candidates))
        if len(distinct) == 1:
            return 0
        versions = "\n\n".join(
            self.prompts.fill("version", number=str(number), outline=_numbered(outline))
            for number, outline in enumerate(distinct, 1)
        )
        choice = await self.structured(
            self.lm.at("select"),
            Stage.SELECT,
            self.messages(self.prompts.fill("select", count=str(len(distinct)), versions=versions)),
            lambda text: read_choice(text, len(distinct)),
            choice_schema(len(distinct)),
            tries=self.options.tries,
        )
        if choice is None:
            self.note_unparsed("no choice of a decomposition could be read: the first is taken")
            return 0
        return candidates.index(distinct[choice - 1])

    def with_last_step(self, outline: Outline) -> Outline:
        if self.options.last_step == "subproblem":
            return outline
        return (*outline[:-1], question_of(self.problem.text))

    # Stage 2: assess (eq 3)

    async def assess_ahead(self, outline: Outline) -> dict[int, float]:
        """All difficulties at once from the sub-problems' texts, where so asked; else none yet."""
        if self.options.assess_context == "solutions":
            return {}
        assessed = [n for n in range(1, len(outline) + 1) if self.is_assessed(outline, n)]
        ratings = await together(
            (self.assess(self.lm.at(f"step{n}"), self.messages(self.ahead(outline, n))) for n in assessed),
            turn=self.lm.turn,
        )
        return {n: self.counted(n, rating) for n, rating in zip(assessed, ratings, strict=True)}

    def is_assessed(self, outline: Outline, number: int) -> bool:
        fixed = self.options.last_mode == "system2" and number == len(outline)
        return self.options.route == "threshold" and not fixed

    async def assess(self, place: LM, messages: tuple[Message, ...]) -> float | None:
        return await self.structured(
            place.at("assess"), Stage.ASSESS, messages, read_number, NUMBER, tries=self.options.tries
        )

    def counted(self, number: int, rating: float | None) -> float:
        if rating is None:
            self.note_unparsed(f"step{number}: no difficulty could be read: it counts as {HARDEST}")
        return HARDEST if rating is None else rating

    # Stage 3: route (eq 4)

    def mode(self, difficulty: float | None, place: LM) -> Mode:
        """System 1 if d <= tau, else System 2; the controls look at no difficulty."""
        match self.options.route:
            case "system1":
                return Mode.SYSTEM1
            case "system2":
                return Mode.SYSTEM2
            case "random":
                return Mode.SYSTEM2 if place.at("route").draw() < self.options.random_share else Mode.SYSTEM1
            case "threshold":
                return Mode.SYSTEM2 if difficulty is None or difficulty > self.options.tau else Mode.SYSTEM1

    # Stage 4: solve in order (eqs 5-6)

    async def solve_step(self, outline: Outline, number: int, difficulties: dict[int, float]) -> None:
        place = self.lm.at(f"step{number}")
        try:
            await self.assess_and_solve(outline, number, difficulties, place)
        except ContextOverflow:
            if self.context == "answers" or not self.steps:
                raise
            self.context = "answers"
            self.notes.append(f"step{number}: earlier solutions did not fit the window: from here their answers only")
            await self.assess_and_solve(outline, number, difficulties, place.at("short"))

    async def assess_and_solve(self, outline: Outline, number: int, difficulties: dict[int, float], place: LM) -> None:
        subproblem, last = outline[number - 1], number == len(outline)
        titled = self.prompts.fill("subproblem", number=str(number), subproblem=subproblem)
        difficulty = difficulties.get(number)
        if difficulty is None and self.is_assessed(outline, number):
            instruction = f"{titled}\n\n{self.prompts.fill('assess')}"
            difficulty = self.counted(number, await self.assess(place, self.messages(instruction, self.steps)))
        mode = Mode.SYSTEM2 if last and self.options.last_mode == "system2" else self.mode(difficulty, place)
        self.lm.tell(Routed(location=place.location(), step=number, of=len(outline), subproblem=subproblem,
                            difficulty=difficulty, mode=mode))  # fmt: skip
        instruction = self.prompts.fill("solve-last" if last else "solve")
        messages = self.messages(f"{titled}\n\n{instruction}", self.steps)
        await self.answer(place, subproblem, difficulty, mode, messages, final=last)

    async def solve_whole(self) -> None:
        place = self.lm.at("step1")
        self.lm.tell(Routed(location=place.location(), step=1, of=1, subproblem=self.problem.text, difficulty=None,
                            mode=Mode.SYSTEM2))  # fmt: skip
        messages = self.messages(self.prompts.fill("solve-whole"))
        await self.answer(place, self.problem.text, None, Mode.SYSTEM2, messages, final=True)

    async def answer(
        self,
        place: LM,
        subproblem: str,
        difficulty: float | None,
        mode: Mode,
        messages: tuple[Message, ...],
        *,
        final: bool,
    ) -> None:
        limit = self.options.system1_max_tokens if mode is Mode.SYSTEM1 else self.options.system2_max_tokens
        solution = await solved(
            place.at("solve"),
            messages,
            subproblem=subproblem,
            mode=mode,
            final=final,
            difficulty=difficulty,
            max_tokens=limit,
            force=self.prompts.fill("force") if self.options.on_limit == "force" else None,
        )
        self.steps.append(solution.step)
        if solution.note:
            self.notes.append(f"step{len(self.steps)}: {solution.note}")

    async def structured(
        self,
        place: LM,
        stage: Stage,
        messages: tuple[Message, ...],
        parse: Callable[[str], Read[T]],
        schema: Schema,
        *,
        tries: int,
    ) -> T | None:
        """A System 1 reply in the schema's form; None when none could be read."""
        limit = STRUCTURED_MAX_TOKENS
        try:
            read = await ask(
                place, messages, parse, mode=Mode.SYSTEM1, stage=stage, tries=tries, max_tokens=limit, schema=schema
            )
        except ParseError:
            return None
        self.repairs[place.path] = read.repairs
        return read.value

    def repaired(self) -> list[str]:
        """A note for each reply whose JSON took repairs, in the order of the calls' paths."""
        repaired = [(call.path, repairs) for call in self.lm.calls if (repairs := self.repairs.get(call.path))]
        own = f"{self.lm.path}/" if self.lm.path else ""
        return [f"{path.removeprefix(own)}: JSON repaired ({', '.join(repairs)})" for path, repairs in repaired]

    def note_unparsed(self, note: str) -> None:
        self.notes.append(note)
        self.unparsed = True

    def solution(self, candidates: tuple[Outline, ...], selected: int | None) -> Solution:
        return Solution(
            answer=final_answer(self.steps[-1].text),
            steps=tuple(self.steps),
            candidates=candidates,
            selected=selected,
            notes=(*self.notes, *self.repaired()),
            unparsed=self.unparsed,
        )

    # Context C_i: the problem, then (sub-problem, solution) turns that only grow, then the one new instruction

    def messages(self, instruction: str, earlier: Sequence[Step] = ()) -> tuple[Message, ...]:
        lead = self.prompts.fill("problem", problem=self.problem.text) + "\n\n"
        messages = [Message("system", self.prompts.fill("system"))]
        for number, step in enumerate(earlier, 1):
            titled = self.prompts.fill("subproblem", number=str(number), subproblem=step.subproblem)
            messages.append(Message("user", f"{lead}{titled}\n\n{self.prompts.fill('solve')}"))
            messages.append(Message("assistant", self.carried(step)))
            lead = ""
        return (*messages, Message("user", lead + instruction))

    def carried(self, step: Step) -> str:
        """What later steps see of a solved one: its solution or its answer, never its reasoning."""
        if self.context == "answers":
            answer = final_answer(step.text)
            return f"\\boxed{{{answer}}}" if answer else "(no result)"
        return step.text.strip() or "(no result)"

    def ahead(self, outline: Outline, number: int) -> str:
        titled = self.prompts.fill("subproblem", number=str(number), subproblem=outline[number - 1])
        earlier = outline[: number - 1]
        before = [self.prompts.fill("earlier", outline=_numbered(earlier))] if earlier else []
        return "\n\n".join((*before, titled, self.prompts.fill("assess")))


def _numbered(outline: Outline) -> str:
    return "\n".join(f"{number}. {subproblem}" for number, subproblem in enumerate(outline, 1))
