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

from scale_reasoning.cli.formatting import (
    MODES,
    STAGES,
    count_tokens,
    count_words,
    draw_bar,
    format_cost,
    format_strategy,
    indent,
)
from scale_reasoning.cli.progress import redraw
from scale_reasoning.endpoint import Endpoints
from scale_reasoning.events import Decomposed, Event, Finished, Location, RoundBegan, Routed, Started, Streamed
from scale_reasoning.lm import Strategy
from scale_reasoning.printable import printable
from scale_reasoning.types import Completion, Mode, Record, Stage

COLOURS = {Mode.SYSTEM1: "green", Mode.SYSTEM2: "magenta"}
FORMS = {"stated": "  (stated, not boxed)", "asked": "  (asked for in a second call)"}
TAIL_LINES, TAIL_CHARACTERS = 8, 4000


@dataclass(slots=True)
class _Draft:
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
        self._drafts: dict[str, _Draft] = {}
        self._spinner = Spinner("dots")

    @contextmanager
    def show(self) -> Generator[None]:
        """Shows replies in progress until the end."""
        with redraw(self._console, self._render_drafts):
            try:
                yield
            finally:
                self._drafts.clear()

    def begin(self, strategy: Strategy, endpoints: Endpoints) -> None:
        """Prints the first line: which strategy on which model."""
        models = {endpoint.model: None for _, endpoint in sorted(endpoints.items(), reverse=True)}
        self._print((format_strategy(strategy), "bold"), ("  on ", "dim"), printable(" + ".join(models)))

    def hear(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Started():
                self._drafts[event.location.path] = _Draft(event.mode, event.location.stage)
            case Streamed():
                self._extend_draft(event)
            case Finished():
                self._end_draft(event)
            case Decomposed() if event.location.chain is None:
                self._show_outlines(event)
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

    def _extend_draft(self, event: Streamed) -> None:
        path, delta = event.location.path, event.delta
        draft = self._drafts[path]
        if delta.restarted:
            self._drafts[path] = _Draft(draft.mode, draft.stage)
            self._print((f"{path}: the reply starts again", "yellow"))
            return
        draft.pieces += 1
        draft.text += delta.text
        draft.reasoning += delta.reasoning

    def _end_draft(self, event: Finished) -> None:
        location = event.location
        draft = self._drafts.pop(location.path, None)
        if event.completion is None or event.call is None or draft is None:
            return
        if location.stage is Stage.SOLVE:
            self._show_solution(location, event.completion, event.call.mode, event.call.seconds)
        elif location.stage is Stage.SUMMARISE and location.chain is None:
            self._print((f"  summary: {count_words(event.completion.text)}", "dim"))

    def _show_outlines(self, event: Decomposed) -> None:
        for number, outline in enumerate(event.candidates, 1):
            selected = number == event.selected + 1
            line = f"candidate {number}, {len(outline)} steps: {printable(' · '.join(outline))}".replace("\n", " ")
            self._console.print(Text(f"{'→' if selected else ' '} {line}", style="" if selected else "dim"),
                                no_wrap=True, overflow="ellipsis", crop=True)  # fmt: skip
        self._print(("decomposition ", "bold"), f"{event.selected + 1} of {len(event.candidates)}",
                    (f" ({len(set(event.candidates))} distinct)", "dim"))  # fmt: skip
        for number, subproblem in enumerate(event.candidates[event.selected], 1):
            self._print(f"  {number}. {printable(subproblem)}")

    def _show_route(self, event: Routed) -> None:
        difficulty = "not assessed"
        if event.difficulty is not None:
            difficulty = f"difficulty {event.difficulty:.2f} {draw_bar(event.difficulty)}"
        self._print()
        self._print((f"step {event.step}/{event.of}  ", "bold"), difficulty, "  ", _format_mode(event.mode))
        self._print((indent(printable(event.subproblem)), "italic"))

    def _show_solution(self, location: Location, completion: Completion, mode: Mode, seconds: float) -> None:
        paid = f"{count_tokens(completion.usage)}, {seconds:.1f} s{', cut off' if completion.cut_off else ''}"
        if location.chain is not None:
            self._print(f"{location.path}  ", (MODES[mode], COLOURS[mode]), (f"  {paid}", "dim"))
            return
        if completion.reasoning:
            self._print((f"  thought: {count_words(completion.reasoning)}", "dim"))
        self._print(indent(printable(completion.text.strip()) or "(nothing)"))
        self._print((f"  {MODES[mode]}, {paid}", "dim"))

    def _render_drafts(self) -> RenderableType:
        drafts = list(dict(self._drafts).values())  # a copy, because the thread that redraws calls this
        if not drafts:
            return Text()
        first, pieces = drafts[0], sum(draft.pieces for draft in drafts)
        calls = f", {len(drafts)} at once" if len(drafts) > 1 else ""
        self._spinner.update(text=Text(f"{STAGES[first.stage]}{calls}, about {pieces:,} tokens", style="dim"))
        if len(drafts) > 1 or first.stage is not Stage.SOLVE:
            return self._spinner
        body = Text(printable((first.text or first.reasoning)[-TAIL_CHARACTERS:]), style="" if first.text else "dim")
        lines = body.wrap(self._console, max(20, self._console.width - 4))
        return Group(self._spinner, Padding(Text("\n").join(lines[-TAIL_LINES:]), (0, 0, 0, 2)))

    def _print(self, *parts: str | tuple[str, str]) -> None:
        """Prints one text of plain and (text, style) parts."""
        self._console.print(Text.assemble(*parts))


def _format_mode(mode: Mode) -> tuple[str, str]:
    return f"→ {MODES[mode]}", f"bold {COLOURS[mode]}"
