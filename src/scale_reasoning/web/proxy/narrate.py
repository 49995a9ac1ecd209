"""What a client is told while a strategy runs: decisions and working as reasoning, the answer as content.

Decides what is worth saying of each event. The answer streams where it is known to be the answer while it is written
(the last step, a single chain); what was sent in vain is mended at the end. Knows nothing of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scale_reasoning.answers import final_answer
from scale_reasoning.events import Decomposed, Event, Finished, Place, RoundBegan, Routed, Started, Streamed
from scale_reasoning.types import Call, Completion, Delta, Mode, Record, Solution, Stage

NAMES = {Mode.SYSTEM1: "System 1", Mode.SYSTEM2: "System 2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some more of an answer."""

    content: str = ""
    reasoning: str = ""


class Narrator:
    """Hears one attempt's events and tells pieces; `end` tells the rest. `reasoning` is all that was told as such.

    Nothing is told before the model server has said something, so that a failure to reach it can still be a status.
    """

    def __init__(self, tell: Callable[[Piece], None], stops: Sequence[str] = ()) -> None:
        self._tell, self._stops = tell, Stops(stops)
        self._reasoning: list[str] = []
        self._head = ""
        self._sent: list[str] = []
        self._kept_back: list[str] = []
        self._begin_draft()

    @property
    def reasoning(self) -> str:
        """Everything told as reasoning."""
        return "".join(self._reasoning)

    def hear(self, event: Event) -> None:
        """Tells what an event has to say."""
        place = event.place
        match event:
            case Finished(call=Call() as call, completion=Completion() as completion) if place.chain is not None:
                self._chain(place, call, completion)
            case _ if place.chain is not None:
                pass
            case Decomposed():
                self._decomposed(event)
            case Routed():
                self._routed(event)
            case RoundBegan():
                self._round(event)
            case Started() if place.final:
                self._begin_draft()
            case Streamed() if place.stage is Stage.SOLVE:
                self._streamed(place, event.delta)
            case _:
                pass

    def end(self, record: Record) -> None:
        """Tells what is left to tell now that the attempt has ended with a solution."""
        solution = record.solution or Solution(answer=None)
        votes = ", ".join(f"{tally.answer} ({tally.votes})" for tally in solution.votes)
        for line in ([f"votes: {votes}"] if votes else []) + [f"note: {note}" for note in solution.notes]:
            self._reason(f"\n{line}\n")
        text, sent = answer_text(solution), "".join(self._sent)
        if text.startswith(sent):
            self._content(text[len(sent) :])
        else:
            self._content(f"\n\n{text}")
        if rest := self._stops.end():
            self._tell(Piece(content=rest))

    def _decomposed(self, event: Decomposed) -> None:
        steps = event.candidates[event.selected]
        listed = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        self._reason(f"Decomposition {event.selected + 1} of {len(event.candidates)}:\n{listed}\n")

    def _routed(self, event: Routed) -> None:
        rated = "not assessed" if event.difficulty is None else f"difficulty {event.difficulty:.2f}"
        self._reason(f"\n### Step {event.step} of {event.of}: {event.subproblem}\n\n{rated}, {NAMES[event.mode]}\n\n")

    def _round(self, event: RoundBegan) -> None:
        head = "The answer is forced" if event.number is None else f"Round {event.number}"
        self._head = f"{''.join(self._kept_back)}\n\n### {head}\n\n{NAMES[event.mode]}\n\n"
        self._kept_back.clear()

    def _streamed(self, place: Place, delta: Delta) -> None:
        self._reason(self._head)
        self._head = ""
        if delta.restarted:
            self._begin_draft()
            self._kept_back.clear()
            self._reason("\n(the reply begins anew)\n")
        if delta.reasoning:
            self._reason(delta.reasoning)
        if not delta.text:
            return
        if place.final is None:  # whether a round answers is known when it has ended
            self._kept_back.append(delta.text)
        elif place.final:
            self._draft(delta.text)
        else:
            self._reason(delta.text)

    def _chain(self, place: Place, call: Call, completion: Completion) -> None:
        if place.stage is not Stage.SOLVE:
            return
        tokens = completion.usage.completion_tokens
        counted = "" if tokens is None else f", {tokens:,} tokens"
        found = final_answer(completion.text)
        ended = "no answer" if found is None else f"answer {found}"
        self._reason(f"{place.path}: {NAMES[call.mode]}{counted}, {ended}\n")

    def _reason(self, text: str) -> None:
        if text:
            self._reasoning.append(text)
            self._tell(Piece(reasoning=text))

    def _begin_draft(self) -> None:
        """The answer is written from its beginning, again where some of it was sent: `_told`."""
        self._told, self._drafted, self._agrees = "".join(self._sent), 0, True

    def _draft(self, text: str) -> None:
        """Sends what a piece of the answer adds to what was sent, as long as the two agree."""
        told = self._told[self._drafted : self._drafted + len(text)]
        self._drafted += len(text)
        self._agrees = self._agrees and text.startswith(told)
        if self._agrees:
            self._content(text[len(told) :])

    def _content(self, text: str) -> None:
        self._sent.append(text)
        if shown := self._stops.feed(text):
            self._tell(Piece(content=shown))


class Stops:
    """Lets text through up to the first of `stops` to be complete, however it is cut into pieces. `met` says that one
    was found. Takes time in proportion to the text.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held, self.met = tuple(stops), "", False
        self._longest = max(map(len, self._stops), default=0)
        self._borders = [_borders(stop) for stop in self._stops]
        self._begun = [0] * len(self._stops)

    def feed(self, text: str) -> str:
        """What may be shown now that `text` came too."""
        if self.met:
            return ""
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.met = True
            return self._held[: min(found)[1]]
        if len(text) >= self._longest:  # nothing before its end can be part of a sequence that is still to come
            text, self._begun = text[len(text) - self._longest :], [0] * len(self._stops)
        each = zip(self._stops, self._borders, self._begun, strict=True)
        self._begun = [_begun(stop, borders, begun, text) for stop, borders, begun in each]
        return self._let_go(len(self._held) - max(self._begun, default=0))

    def end(self) -> str:
        """What was held back, now that no more comes."""
        return "" if self.met else self._let_go(len(self._held))

    def _let_go(self, upto: int) -> str:
        shown, self._held = self._held[:upto], self._held[upto:]
        return shown


def _borders(stop: str) -> list[int]:
    """Of each beginning of `stop`, the longest shorter beginning that it ends with (Knuth, Morris and Pratt 1977)."""
    borders = [0] * len(stop)
    for at in range(1, len(stop)):
        borders[at] = _begun(stop, borders, borders[at - 1], stop[at])
    return borders


def _begun(stop: str, borders: Sequence[int], begun: int, text: str) -> int:
    """How many characters of `stop` a text ends with, which ended with `begun` of them before `text` came."""
    for character in text:
        while begun and (begun == len(stop) or stop[begun] != character):
            begun = borders[begun - 1]
        begun += stop[begun] == character
    return begun


def answer_text(solution: Solution) -> str:
    """The text that answers: the last step's; of a vote, the chosen chain's, or the first's when nobody voted."""
    if solution.chains:
        return answer_text(solution.chains[solution.selected or 0])
    return solution.steps[-1].text if solution.steps else ""


def finish_reason(solution: Solution) -> str:
    """How the text that answers ended: `length` when its token limit cut it off, `content_filter`, else `stop`."""
    if solution.chains:
        return finish_reason(solution.chains[solution.selected or 0])
    ended = solution.steps[-1].finish_reason if solution.steps else None
    return ended if ended in ("length", "content_filter") else "stop"
