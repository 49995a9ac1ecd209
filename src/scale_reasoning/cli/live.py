"""The live view of one attempt on stderr: decisions stay, and the reply in progress scrolls below them.

A terminal shows replies as they stream, reasoning dimmed; elsewhere only whole lines are printed. Model text is
hostile: it is printed without control characters and never read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

from scale_reasoning.answers import final_answer, stated_answer
from scale_reasoning.cli.formatting import (
    MODES,
    STAGES,
    count_tokens,
    count_words,
    format_cost,
    format_difficulty,
    format_strategy,
    indent,
)
from scale_reasoning.cli.progress import redraw
from scale_reasoning.endpoint import Endpoints
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
from scale_reasoning.lm import Strategy
from scale_reasoning.printable import count, printable
from scale_reasoning.types import Completion, Mode, Record, Stage

COLOURS = {Mode.SYSTEM1: "green", Mode.SYSTEM2: "magenta"}
FORMS = {"stated": "  (stated, not boxed)", "asked": "  (asked for in a second call)"}
RESULT_CHARACTERS = 60
"""Characters of a draft's result."""
TAIL_LINES, TAIL_CHARACTERS = 8, 4000


@dataclass(slots=True)
class _Reply:
    """The reply of a call in flight so far, in pieces of about one token."""

    mode: Mode
    stage: Stage
    pieces: int = 0
    text: str = ""
    reasoning: str = ""


class LiveView:
    """Shows an attempt's events."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not sys.stderr.isatty())
        self._replies: dict[str, _Reply] = {}
        self._spinner = Spinner("dots")
        self._headed = self._drafting = ""
        self._drafts: dict[str, Completion] = {}

    @contextmanager
    def show(self) -> Generator[None]:
        """Shows replies in progress until the end."""
        with redraw(self._console, self._render_replies):
            try:
                yield
            finally:
                self._replies.clear()

    def begin(self, strategy: Strategy, endpoints: Endpoints) -> None:
        """Prints the first line: which strategy on which model."""
        models = {endpoint.model: None for _, endpoint in sorted(endpoints.items(), reverse=True)}
        self._print((format_strategy(strategy), "bold"), ("  on ", "dim"), printable(" + ".join(models)))

    def hear(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Started():
                self._replies[event.location.path] = _Reply(event.mode, event.location.stage)
            case Streamed():
                self._extend_reply(event)
            case Finished():
                self._end_reply(event)
            case Decomposed() if event.location.chain is None:
                self._show_outlines(event)
            case Drafting() if event.location.chain is None:
                self._begin_drafts(event)
            case Routed() if event.location.chain is None:
                self._show_route(event)
            case RoundBegan() if event.location.chain is None:
                head = "the answer is forced  " if event.number is None else f"round {event.number}  "
                self._print()
                self._print((head, "bold"), _format_mode(event.mode))
            case _:
                pass

    def end(self, record: Record) -> None:
        """Prints notes, failures, the answer, and the cost by mode."""
        solution, grade = record.solution, record.grade
        for note in solution.notes if solution else ():
            self._print((f"note: {printable(note)}", "yellow"))
        if record.failure is not None:
            self._print((f"{record.failure.kind}: {printable(record.failure.message)}", "bold red"))
        if solution is not None and solution.answer is not None:
            verdict = ""
            if grade is not None:
                verdict = "  correct" if grade.correct else f"  wrong ({grade.reason or 'another'})"
            form = FORMS.get(solution.form or "boxed", "")
            self._print(("answer  ", "dim"), (printable(solution.answer), "bold"), verdict, (form, "dim"))
        self._print((format_cost(record), "dim"))

    def _extend_reply(self, event: Streamed) -> None:
        path, delta = event.location.path, event.delta
        reply = self._replies[path]
        if delta.restarted:
            self._replies[path] = _Reply(reply.mode, reply.stage)
            self._print((f"{path}: the reply starts again", "yellow"))
            return
        reply.pieces += 1
        reply.text += delta.text
        reply.reasoning += delta.reasoning

    def _end_reply(self, event: Finished) -> None:
        location = event.location
        reply = self._replies.pop(location.path, None)
        if event.completion is None or event.call is None or reply is None:
            return
        if location.chain is None and self._drafting and location.path.startswith(f"{self._drafting}/draft"):
            self._show_draft(location, event.completion, event.call.seconds)
        elif location.stage is Stage.SOLVE:
            self._show_solution(location, event.completion, event.call.mode, event.call.seconds)
        elif location.stage is Stage.SUMMARISE and location.chain is None:
            self._print((f"  summary: {count_words(event.completion.text)}", "dim"))

    def _show_outlines(self, event: Decomposed) -> None:
        for number, outline in enumerate(event.candidates, 1):
            selected = number == event.selected + 1
            steps = printable(" · ".join(outline)).replace("\n", " ")
            line = f"candidate {number}, {count(len(outline), 'step')}: {steps}"
            self._console.print(Text(f"{'→' if selected else ' '} {line}", style="" if selected else "dim"),
                                no_wrap=True, overflow="ellipsis", crop=True)  # fmt: skip
        self._print(("decomposition ", "bold"), f"{event.selected + 1} of {len(event.candidates)}",
                    (f" ({len(set(event.candidates))} distinct)", "dim"))  # fmt: skip
        for number, subproblem in enumerate(event.candidates[event.selected], 1):
            self._print(f"  {number}. {printable(subproblem)}")

    def _begin_drafts(self, event: Drafting) -> None:
        drafts = f"{event.drafts} draft{'' if event.drafts == 1 else 's'}"
        if not self._show_head(event, (f"{drafts} in System 1", "dim")):
            self._print((f"  {drafts} more", "dim"))
        self._drafting = event.location.path

    def _show_route(self, event: Routed) -> None:
        kept = self._drafts.pop(event.kept, None)
        mode, colour = _format_mode(event.mode)
        decision = (format_difficulty(event), "  ", (mode + (", a draft is kept" if event.kept else ""), colour),
                    (f"  {printable(event.reason)}" if event.reason else "", "dim"))  # fmt: skip
        if not self._show_head(event, *decision):
            self._print("  ", *decision)
        if kept is not None:
            self._print(indent(printable(kept.text.strip())))
        self._drafting = ""
        self._drafts.clear()

    def _show_head(self, event: Drafting | Routed, *rest: str | tuple[str, str]) -> bool:
        """Shows where a step begins and its text, once; returns whether this was the first time."""
        path = event.location.path.removesuffix("/short")  # a step that is repeated because of the window
        if self._headed == path:
            return False
        self._headed = path
        self._print()
        self._print((f"step {event.step}/{event.of}  ", "bold"), *rest)
        self._print((indent(printable(event.subproblem)), "italic"))
        return True

    def _show_draft(self, location: Location, completion: Completion, seconds: float) -> None:
        self._drafts[location.path] = completion
        found = final_answer(completion.text) or stated_answer(completion.text)
        result = "no result" if found is None else " ".join(printable(found).split())[:RESULT_CHARACTERS]
        number = location.path.removeprefix(f"{self._drafting}/draft")
        self._print(f"  draft {number}: {result}", (f"  {_format_paid(completion, seconds)}", "dim"))

    def _show_solution(self, location: Location, completion: Completion, mode: Mode, seconds: float) -> None:
        paid = _format_paid(completion, seconds)
        if location.chain is not None:
            self._print(f"{location.path}  ", (MODES[mode], COLOURS[mode]), (f"  {paid}", "dim"))
            return
        if completion.reasoning:
            self._print((f"  thought: {count_words(completion.reasoning)}", "dim"))
        self._print(indent(printable(completion.text.strip()) or "(nothing)"))
        self._print((f"  {MODES[mode]}, {paid}", "dim"))

    def _render_replies(self) -> RenderableType:
        replies = list(dict(self._replies).values())  # a copy, because the thread that redraws calls this
        if not replies:
            return Text()
        first, pieces = replies[0], sum(reply.pieces for reply in replies)
        calls = f", {len(replies)} at once" if len(replies) > 1 else ""
        self._spinner.update(text=Text(f"{STAGES[first.stage]}{calls}, about {pieces:,} tokens", style="dim"))
        if len(replies) > 1 or first.stage is not Stage.SOLVE:
            return self._spinner
        body = Text(printable((first.text or first.reasoning)[-TAIL_CHARACTERS:]), style="" if first.text else "dim")
        lines = body.wrap(self._console, max(20, self._console.width - 4))
        return Group(self._spinner, Padding(Text("\n").join(lines[-TAIL_LINES:]), (0, 0, 0, 2)))

    def _print(self, *parts: str | tuple[str, str]) -> None:
        """Prints one text of plain and (text, style) parts."""
        self._console.print(Text.assemble(*parts))


def _format_paid(completion: Completion, seconds: float) -> str:
    return f"{count_tokens(completion.usage)}, {seconds:.1f} s{', cut off' if completion.cut_off else ''}"


def _format_mode(mode: Mode) -> tuple[str, str]:
    return f"→ {MODES[mode]}", f"bold {COLOURS[mode]}"
