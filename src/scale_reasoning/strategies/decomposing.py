"""Stage 1 of SCALE: candidate decompositions and the choice among them (paper, eqs 1-2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scale_reasoning.events import Decomposed
from scale_reasoning.lm import LM
from scale_reasoning.replies import choice_schema, outline_schema, read_choice, read_outline
from scale_reasoning.strategies.quorum import run_until_quorum
from scale_reasoning.strategies.scale_context import Context, Outline, Structured, drop_repeats
from scale_reasoning.together import together
from scale_reasoning.types import Mode, Stage


@dataclass(slots=True, kw_only=True)
class Decomposer:
    """Samples `candidates` decompositions of at most `most_steps` sub-problems and has the model select one.

    quorum: stop once so many parse. tries: replies requested until one parses. mode: that of the decompositions;
    max_tokens: the new tokens of each in System 2. notes: gets what departed from the method.
    """

    lm: LM
    context: Context
    structured: Structured
    candidates: int
    quorum: int | None
    most_steps: int
    tries: int
    mode: Mode
    max_tokens: int | None
    notes: list[str]
    unparsed: bool = False

    async def decompose(self) -> tuple[Outline, ...]:
        """The candidates that parse. All of them are sampled again only if none parses."""
        sampled, candidates = 0, ()
        lms = [self.lm.at("decompose").at(str(k)) for k in range(1, self.candidates + 1)]
        for number in range(1, self.tries + 1):
            found = await self._sample(lms if number == 1 else [lm.at(f"try{number}") for lm in lms])
            sampled, candidates = sampled + len(found), tuple(outline for outline in found if outline)
            if candidates:
                break
        if dropped := sampled - len(candidates):
            self._note_unparsed(f"{dropped} of {sampled} decompositions could not be read and were dropped")
        return candidates

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
            tries=self.tries,
        )
        if choice is None:
            self._note_unparsed("no choice of a decomposition could be read: the first is taken")
            return 0
        return candidates.index(distinct[choice - 1])

    def tell_selected(self, candidates: tuple[Outline, ...], selected: int) -> None:
        """Tells listeners of the candidates and the one that is taken."""
        location = self.lm.at("select").location(Stage.SELECT)
        self.lm.tell(Decomposed(location=location, candidates=candidates, selected=selected))

    async def _sample(self, lms: Sequence[LM]) -> Sequence[Outline | None]:
        """One candidate per LM, None if it does not parse; with a quorum, those that came until it was reached."""
        if self.quorum is None:
            return await together(map(self._sample_one, lms), turn=self.lm.turn)
        found = await run_until_quorum(lms, self._sample_one, quorum=self.quorum, mode=self.mode, stage=Stage.DECOMPOSE)
        if cancelled := len(lms) - len(found):
            self.notes.append(f"{cancelled} of {len(lms)} decompositions were cancelled: a quorum was in")
        return found

    async def _sample_one(self, lm: LM) -> Outline | None:
        return await self.structured.ask(
            lm,
            Stage.DECOMPOSE,
            self.context.decompose(),
            lambda text: drop_repeats(read_outline(text, self.most_steps)),
            outline_schema(self.most_steps),
            tries=1,
            mode=self.mode,
            max_tokens=self.max_tokens,
        )

    def _note_unparsed(self, note: str) -> None:
        self.notes.append(note)
        self.unparsed = True
