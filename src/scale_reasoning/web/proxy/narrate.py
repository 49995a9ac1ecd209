"""What a client receives while a strategy runs: decisions and working as reasoning, the answer as content.

Decides what each event adds. The answer is streamed if it is known to be the answer while it is written (the last step,
a single chain). A text that turns out to be wrong is corrected at the end. Does not know the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scale_reasoning.answers import final_answer, stated_answer
from scale_reasoning.events import (
    Decomposed,
    Drafting,
    Event,
    Finished,
    Location,
    RoundBegan,
    Routed,
    Started,
    Streamed,
)
from scale_reasoning.types import Call, Completion, Delta, Mode, Record, Solution, Stage

NAMES = {Mode.SYSTEM1: "System 1", Mode.SYSTEM2: "System 2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a response."""

    content: str = ""
    reasoning: str = ""


class Narrator:
    """Turns one attempt's events into pieces; `end` sends the rest.

    Sends nothing before the model server's first output, so that a failure to reach it can still be a status.
    """

    def __init__(self, tell: Callable[[Piece], None], stops: Sequence[str] = ()) -> None:
        self._tell, self._stops = tell, Stops(stops)
        self._reasoning: list[str] = []
        self._head = ""
        self._sent: list[str] = []
        self._kept_back: list[str] = []
        self._headed = self._drafting = ""
        self._together: dict[str, list[str]] | None = None
        self._begin_draft()

    @property
    def reasoning(self) -> str:
        """All reasoning sent so far."""
        return "".join(self._reasoning)

    def hear(self, event: Event) -> None:
        """Sends what an event adds."""
        location = event.location
        match event:
            case Finished(call=Call() as call, completion=Completion() as completion) if location.chain is not None:
                self._tell_chain(location, call, completion)
            case _ if location.chain is not None:
                pass
            case Decomposed():
                self._tell_decomposition(event)
            case Drafting():
                self._tell_drafts(event)
            case Routed():
                self._tell_route(event)
            case RoundBegan():
                self._tell_round(event)
            case Started() if location.stage is Stage.SOLVE and self._is_content(location):
                self._begin_draft()
            case Streamed() | Finished() if self._together is not None and self._is_draft(location):
                self._tell_together(self._together, event)
            case Streamed() if location.stage is Stage.SOLVE:
                self._tell_delta(location, event.delta)
            case _:
                pass

    def end(self, record: Record) -> None:
        """Sends what is left after the attempt has ended with a solution."""
        self._tell_notes(record.solution or Solution(answer=None))
        self._content(self._rest(record))
        self._flush()

    def end_early(self, record: Record) -> None:
        """Sends what is left after the attempt was stopped: an answer that was begun is not followed by another."""
        self._tell_notes(record.solution or Solution(answer=None))
        if not self._sent:
            self._content(self.text(record))
        self._flush()

    def text(self, record: Record) -> str:
        """The content of an attempt that has ended, without regard to stop sequences."""
        return answer_text(record.solution or Solution(answer=None))

    def _rest(self, record: Record) -> str:
        """The content that is not sent yet: what follows the text that was sent, or all of it if that was another."""
        text, sent = self.text(record), "".join(self._sent)
        return text[len(sent) :] if text.startswith(sent) else f"\n\n{text}"

    def _tell_notes(self, solution: Solution) -> None:
        votes = ", ".join(f"{tally.answer} ({tally.votes})" for tally in solution.votes)
        for line in ([f"votes: {votes}"] if votes else []) + [f"note: {note}" for note in solution.notes]:
            self._reason(f"{self._gap()}{line}\n")

    def _flush(self) -> None:
        if rest := self._stops.end():
            self._tell(Piece(content=rest))

    def _tell_decomposition(self, event: Decomposed) -> None:
        steps = event.candidates[event.selected]
        listed = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        self._reason(f"Decomposition {event.selected + 1} of {len(event.candidates)}:\n{listed}\n")

    def _tell_route(self, event: Routed) -> None:
        named = event.assessment.unusual_source if event.assessment else ""
        source = f" ({named})" if named else ""
        rated = "not assessed" if event.difficulty is None else f"difficulty {event.difficulty:.2f}{source}"
        kept = ", a draft is kept" if event.kept else ""
        self._tell_head(event, f"{rated}, {NAMES[event.mode]}{kept}{f': {event.reason}' if event.reason else ''}")
        self._drafting, self._together = "", None

    def _tell_drafts(self, event: Drafting) -> None:
        drafts = f"{event.drafts} draft{'' if event.drafts == 1 else 's'}"
        more = "" if self._headed != event.location.path.removesuffix("/short") else " more"
        self._tell_head(event, f"{drafts}{more} in System 1")
        self._drafting, self._together = event.location.path, {} if event.drafts > 1 else None

    def _tell_head(self, event: Drafting | Routed, line: str) -> None:
        """Tells a line on a step, below the step's heading the first time."""
        path = event.location.path.removesuffix("/short")  # a step that is repeated because of the window
        head = "" if self._headed == path else f"### Step {event.step} of {event.of}: {event.subproblem}\n\n"
        self._headed = path
        self._reason(f"{self._gap()}{head}{line}\n\n")

    def _gap(self) -> str:
        """What is missing to a blank line between the reasoning so far and a block of its own (Markdown)."""
        end = "".join(self._reasoning[-2:])
        return "\n\n"[len(end) - len(end.rstrip("\n")) :] if end else ""

    def _is_content(self, location: Location) -> bool:
        """Whether a solution is the content while it is written."""
        return bool(location.final)

    def _is_draft(self, location: Location) -> bool:
        return bool(self._drafting) and location.path.startswith(f"{self._drafting}/draft")

    def _tell_together(self, together: dict[str, list[str]], event: Streamed | Finished) -> None:
        """Tells a draft that is made with others at once when it has ended, because their texts would be mixed up."""
        path = event.location.path
        held = together.setdefault(path, [])
        if isinstance(event, Streamed):
            if event.delta.restarted:
                held.clear()
            held.append(event.delta.reasoning + event.delta.text)
        else:
            self._reason(f"Draft {path.removeprefix(f'{self._drafting}/draft')}: {''.join(held)}\n\n")

    def _tell_round(self, event: RoundBegan) -> None:
        head = "The answer is forced" if event.number is None else f"Round {event.number}"
        self._head = f"{''.join(self._kept_back)}\n\n### {head}\n\n{NAMES[event.mode]}\n\n"
        self._kept_back.clear()

    def _tell_delta(self, location: Location, delta: Delta) -> None:
        self._reason(self._head)
        self._head = ""
        if delta.restarted:
            self._begin_draft()
            self._kept_back.clear()
            self._reason("\n(the reply starts again)\n")
        if delta.reasoning:
            self._reason(delta.reasoning)
        if not delta.text:
            return
        if location.final is None:  # whether a round has the answer is known only when it ends
            self._kept_back.append(delta.text)
        elif self._is_content(location):
            self._draft(delta.text)
        else:
            self._reason(delta.text)

    def _tell_chain(self, location: Location, call: Call, completion: Completion) -> None:
        if location.stage is not Stage.SOLVE:
            return
        tokens = completion.usage.completion_tokens
        counted = "" if tokens is None else f", {tokens:,} tokens"
        found = final_answer(completion.text) or stated_answer(completion.text)
        ended = "no answer" if found is None else f"answer {found}"
        self._reason(f"{location.path}: {NAMES[call.mode]}{counted}, {ended}\n")

    def _reason(self, text: str) -> None:
        if text:
            self._reasoning.append(text)
            self._tell(Piece(reasoning=text))

    def _begin_draft(self) -> None:
        """Starts the answer from its beginning, also after a part of it, `_already_sent`, was sent."""
        self._already_sent, self._drafted, self._agrees = self._sent_of_step(), 0, True

    def _sent_of_step(self) -> str:
        """The content that was sent of the step that is being solved: only the last one has some."""
        return "".join(self._sent)

    def _draft(self, text: str) -> None:
        """Sends what a piece of the answer adds to the text already sent, as long as the two agree."""
        already = self._already_sent[self._drafted : self._drafted + len(text)]
        self._drafted += len(text)
        self._agrees = self._agrees and text.startswith(already)
        if self._agrees:
            self._content(text[len(already) :])

    def _content(self, text: str) -> None:
        self._sent.append(text)
        if shown := self._stops.feed(text):
            self._tell(Piece(content=shown))


class Stops:
    """Passes text on up to the first complete stop sequence, however the text is cut into pieces. `met`: one was
    found. Linear in the length of the text.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops, self._held, self.met = tuple(stops), "", False
        self._longest = max(map(len, self._stops), default=0)
        self._borders = [_borders(stop) for stop in self._stops]
        self._begun = [0] * len(self._stops)

    def feed(self, text: str) -> str:
        """The text that may be shown after `text` has arrived."""
        if self.met:
            return ""
        self._held += text
        found = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.met = True
            return self._held[: min(found)[1]]
        if len(text) >= self._longest:  # only its end can belong to a sequence that is not complete
            text, self._begun = text[len(text) - self._longest :], [0] * len(self._stops)
        each = zip(self._stops, self._borders, self._begun, strict=True)
        self._begun = [_count_begun(stop, borders, begun, text) for stop, borders, begun in each]
        return self._release(len(self._held) - max(self._begun, default=0))

    def end(self) -> str:
        """The text that was held back; no more text follows."""
        return "" if self.met else self._release(len(self._held))

    def _release(self, upto: int) -> str:
        shown, self._held = self._held[:upto], self._held[upto:]
        return shown


def _borders(stop: str) -> list[int]:
    """For each prefix of `stop`, the length of its longest border (Knuth, Morris and Pratt 1977)."""
    borders = [0] * len(stop)
    for at in range(1, len(stop)):
        borders[at] = _count_begun(stop, borders, borders[at - 1], stop[at])
    return borders


def _count_begun(stop: str, borders: Sequence[int], begun: int, text: str) -> int:
    """How many characters of `stop` end the text after `text` is added; `begun` of them ended it before."""
    for character in text:
        while begun and (begun == len(stop) or stop[begun] != character):
            begun = borders[begun - 1]
        begun += stop[begun] == character
    return begun


def answer_text(solution: Solution) -> str:
    """The full text of the last step; of a vote, that of the winning chain, or of the first chain if no chain voted."""
    if solution.chains:
        return answer_text(solution.chains[solution.selected or 0])
    return solution.steps[-1].full_text if solution.steps else ""


def finish_reason(solution: Solution) -> str:
    """How that text ended: `length` if its token limit cut it off, `content_filter`, or `stop`."""
    if solution.chains:
        return finish_reason(solution.chains[solution.selected or 0])
    ended = solution.steps[-1].finish_reason if solution.steps else None
    return ended if ended in ("length", "content_filter") else "stop"
