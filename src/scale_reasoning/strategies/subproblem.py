"""One sub-problem while SCALE works on it, as assessors and allocators see it (paper, eqs 3-6).

Its difficulty is assessed once, and only if somebody asks for it. Solutions may be tried and rejected: one is returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scale_reasoning.answers import answer_class
from scale_reasoning.endpoint import FREELY, Thinking
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.events import Drafting, Routed
from scale_reasoning.lm import LM
from scale_reasoning.strategies.allocation import Allocator, Assessor
from scale_reasoning.strategies.confidence import compute_confidence
from scale_reasoning.strategies.scale_context import Context, Outline, Structured
from scale_reasoning.strategies.solving import SecondCalls, StepRun, read_answer, run_step
from scale_reasoning.together import together
from scale_reasoning.types import NO_USAGE, Assessment, Mode, Step, Token, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A System 1 solution that may be kept. `answer` is its result, `same` the name of the class of equal results; both
    are None if it has none. logprobs: those of its text, None if the server gave none. path: that of its call.
    """

    path: str
    run: StepRun
    answer: str | None
    same: str | None

    @property
    def step(self) -> Step:
        """The draft as a solved step."""
        return self.run.step

    @property
    def logprobs(self) -> tuple[Token, ...] | None:
        """The log-probabilities of its text's tokens; None if the server gave none."""
        return self.run.logprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for all sub-problems of a problem.

    tries: replies requested until one parses. most_tokens: new tokens of a solution by mode, None where the model
    family decides. second: the prompts of second calls. thinking: how System 2 is told to think.
    """

    assessor: Assessor
    tries: int
    most_tokens: Mapping[Mode, int | None]
    second: SecondCalls
    thinking: Thinking = FREELY


@dataclass(slots=True, kw_only=True)
class Subproblem:
    """Sub-problem `number` of an outline, counted from 1. `lm` is the model at its path.

    whole: it is the undivided problem. given: a difficulty that no assessor has to find. cap: most new tokens of each
    solution, if that is fewer than the rules allow. thinking: how System 2 is told to think, in place of what the rules
    say of it. notes: what departed from the method, in order. aside: the paths of the problem's calls that only show
    what else would have happened.
    """

    outline: Outline
    number: int
    lm: LM
    context: Context
    structured: Structured
    rules: Rules
    whole: bool = False
    given: float | None = None
    cap: int | None = None
    thinking: Thinking = FREELY
    assessments: list[Assessment] = field(default_factory=list[Assessment])
    notes: list[str] = field(default_factory=list[str])
    unparsed: bool = False
    aside: set[str] = field(default_factory=set[str])
    _drafts: list[Draft] = field(default_factory=list[Draft])
    _kept: Draft | None = None
    _compared: list[float] = field(default_factory=list[float])
    _reasons: dict[int, str] = field(default_factory=dict[int, str])
    _asked: dict[type[Any], tuple[Assessment, frozenset[str]]] = field(
        default_factory=dict[type[Any], tuple[Assessment, frozenset[str]]]
    )
    _needed: set[str] = field(default_factory=set[str])

    @property
    def text(self) -> str:
        """Its text."""
        return self.outline[self.number - 1]

    @property
    def of(self) -> int:
        """How many sub-problems there are; the last one carries the answer."""
        return len(self.outline)

    async def difficulty(self) -> float:
        """The difficulty, in [0, 1] (eq 3): assessed when it is first asked for."""
        if self.given is None and not self.assessments:
            await self.assess(self.rules.assessor)
        return self.known_difficulty or 0.0

    @property
    def known_difficulty(self) -> float | None:
        """The difficulty if it is known by now."""
        if self.given is not None:
            return self.given
        return self.assessments[0].difficulty if self.assessments else None

    async def assess(self, assessor: Assessor) -> None:
        """Adds an assessor's assessment. The first one is the difficulty."""
        self.assessments.append(await self.ask(assessor))

    async def ask(self, assessor: Assessor) -> Assessment:
        """An assessor's assessment with what it costs. One of each kind is asked once: calls have one path each."""
        if type(assessor) not in self._asked:
            before, outer, self._needed = self._list_paths(), self._needed, set()
            found = await assessor.assess(self)
            needed = frozenset(self._needed | (self._list_paths() - before))
            usages = [call.usage for call in self.lm.calls if call.path in needed]
            costed = replace(found, calls=len(usages), tokens=sum(usages, NO_USAGE).completion_tokens)
            self._asked[type(assessor)], self._needed = (costed, needed), outer
        assessment, needed = self._asked[type(assessor)]
        self._needed |= needed
        return assessment

    def adopt(self, assessed: Subproblem) -> None:
        """Takes over what assessors said of the same sub-problem ahead of time."""
        self.assessments += assessed.assessments
        self._asked |= assessed._asked

    async def observe(self, step: Step, drafts: int, assessors: Sequence[Assessor]) -> Step:
        """The solved step with this many drafts and these assessments, which change nothing else.

        What does not fit the window is left out.
        """
        before, tried = self._list_paths(), len(self._drafts)
        seen = replace(self, cap=None, assessments=[])
        try:
            seen.reject((await seen.draft(drafts))[tried:], "made to see what System 1 does")
            for assessor in assessors:
                if (found := await seen.ask(assessor)) not in step.assessments:
                    seen.assessments.append(found)
        except ContextOverflow:
            self.notes.append("the drafts or assessments that were to be compared did not fit the window")
        self.aside |= self._list_paths() - before
        new = self._drafts[tried:]
        return replace(
            step,
            assessments=(*step.assessments, *seen.assessments),
            trials=(*step.trials, *(self._describe_trial(draft, step.mode) for draft in new)),
            usage=sum((draft.step.usage for draft in new), step.usage),
        )

    async def draft(self, count: int) -> Sequence[Draft]:
        """The first `count` System 1 drafts; those that are missing are made concurrently."""
        missing = range(len(self._drafts) + 1, count + 1)
        if missing:
            self.lm.tell(Drafting(**self._where(), drafts=len(missing)))
            self._drafts += await together((self._draft(number) for number in missing), turn=self.lm.turn)
        self._needed |= {self.lm.at(f"draft{number}").path for number in range(1, count + 1)}
        return self._drafts[:count]

    def compare(self, value: float) -> float:
        """Returns a value that is compared with the allocator's number, and tells listeners of it (see number.py)."""
        self._compared.append(value)
        return value

    def keep(self, draft: Draft) -> None:
        """Makes this draft the System 1 solution. By default it is the first draft that has a result."""
        self._kept = draft

    def reject(self, drafts: Sequence[Draft], why: str) -> None:
        """Says why drafts are not the solution."""
        self._reasons |= {id(draft): why for draft in drafts}

    def cap_tokens(self, most: int | None) -> None:
        """Lets each further solution have at most so many new tokens; None leaves it the limit of the rules."""
        self.cap = most

    def tell_thinking(self, thinking: Thinking) -> None:
        """Has each further System 2 solution think like this, in place of what the rules say of it."""
        self.thinking = thinking

    def count_drafts(self, allocator: Allocator) -> int:
        """The most drafts that this allocator and the assessor make of it."""
        assessed = self.rules.assessor.most_drafts() if allocator.assesses(self.number, self.of) else 0
        return max(allocator.most_drafts(), assessed)

    async def solve(self, mode: Mode, reason: str = "") -> Step:
        """The solution in a mode (eqs 5-6): in System 1 a draft, if one has a result. `reason`: why this solution."""
        kept = self._choose_draft() if mode is Mode.SYSTEM1 else None
        difficulty = self.known_difficulty
        self._tell_routed(mode, reason, kept)
        run = kept.run if kept else await self._solve(self.lm.at("solve"), mode, self.rules.second)
        if run.note:
            self.notes.append(run.note)
        others = [draft for draft in self._drafts if draft is not kept]
        return replace(
            run.step,
            difficulty=difficulty,
            reason=reason,
            assessments=tuple(self.assessments),
            trials=tuple(self._describe_trial(draft, mode) for draft in others),
            draft=None if kept is None else self._drafts.index(kept) + 1,
            usage=sum((draft.step.usage for draft in others), run.step.usage),
        )

    def draw(self) -> float:
        """A number in [0, 1) that belongs to this sub-problem of this attempt."""
        return self.lm.at("route").draw()

    def spent(self) -> int | None:
        """The new tokens of this solution of the problem so far, without those that only show something else; None if
        the server does not count them.
        """
        root = self.lm.path.rpartition(f"step{self.number}")[0]
        usages = (call.usage for call in self.lm.calls if call.path.startswith(root) and call.path not in self.aside)
        return sum(usages, NO_USAGE).completion_tokens

    def note_unparsed(self, note: str) -> None:
        """Notes that a structured reply could not be read."""
        self.notes.append(note)
        self.unparsed = True

    def _where(self) -> dict[str, Any]:
        return {"location": self.lm.location(), "step": self.number, "of": self.of, "subproblem": self.text}

    def _tell_routed(self, mode: Mode, reason: str, kept: Draft | None) -> None:
        routed = Routed(
            **self._where(),
            difficulty=self.known_difficulty,
            mode=mode,
            reason=reason,
            kept="" if kept is None else kept.path,
            assessment=self._source(),
            compared=tuple(self._compared),
        )
        self.lm.tell(routed)

    def _source(self) -> Assessment | None:
        if self.given is not None:
            return Assessment(assessor="given", difficulty=self.given)
        return self.assessments[0] if self.assessments else None

    def _list_paths(self) -> set[str]:
        """The paths of its finished calls."""
        return {call.path for call in self.lm.calls if call.path.startswith(f"{self.lm.path}/")}

    def _choose_draft(self) -> Draft | None:
        return self._kept or next((draft for draft in self._drafts if draft.answer is not None), None)

    async def _draft(self, number: int) -> Draft:
        lm = self.lm.at(f"draft{number}")
        run = await self._solve(lm, Mode.SYSTEM1, None)
        answer = read_answer(run.step, self.context.answers).text
        return Draft(path=lm.path, run=run, answer=answer, same=None if answer is None else answer_class(answer))

    async def _solve(self, lm: LM, mode: Mode, second: SecondCalls | None) -> StepRun:
        """A solution; without `second`, a draft: it is not asked for its result, and its log-probabilities are kept."""
        last = self.number == self.of
        limits = [limit for limit in (self.rules.most_tokens[mode], self.cap) if limit is not None]
        return await run_step(
            lm,
            self.context.solve_whole(mode)
            if self.whole
            else self.context.solve(self.number, self.text, mode, last=last),
            subproblem=self.text,
            mode=mode,
            final=last and second is not None,
            max_tokens=min(limits, default=None),
            second=second,
            logprobs=None if second else 0,
            thinking=Thinking(
                budget=self.thinking.budget or self.rules.thinking.budget,
                effort=self.thinking.effort or self.rules.thinking.effort,
            ),
        )

    def _describe_trial(self, draft: Draft, mode: Mode) -> Trial:
        taken = "another draft was taken" if mode is Mode.SYSTEM1 else "the step was solved in System 2"
        return Trial(
            mode=draft.step.mode,
            text=draft.step.text,
            finish_reason=draft.step.finish_reason,
            usage=draft.step.usage,
            answer=draft.answer,
            confidence=compute_confidence(draft.logprobs),
            why=self._reasons.get(id(draft), taken),
        )
