"""The live view of one attempt on stderr: what was decided stays, what is being written scrolls below it.

On a terminal the reply in progress is shown as it streams, reasoning dimmed; elsewhere only whole lines are printed.
Model text is hostile: it is stripped of control characters and never read as markup.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.events import Decomposed, Event, Finished, Location, RoundBegan, Routed, Started, Streamed
from scale_reasoning.lm import Strategy
from scale_reasoning.printable import printable
from scale_reasoning.strategies import describe
from scale_reasoning.types import Completion, Mode, Record, Stage, Usage

NAMES = {Mode.SYSTEM1: "System 1", Mode.SYSTEM2: "System 2"}
COLOURS = {Mode.SYSTEM1: "green", Mode.SYSTEM2: "magenta"}
DOING = {
    Stage.DECOMPOSE: "decomposing",
    Stage.SELECT: "comparing the candidates",
    Stage.ASSESS: "assessing",
    Stage.SUMMARISE: "summarising",
    Stage.SOLVE: "solving",
}
TAIL_LINES, TAIL_CHARACTERS = 8, 4000
SHOWN_KNOBS = ("tau", "route", "candidates", "base", "samples", "mode", "max_rounds")


@dataclass(slots=True)
class _Writing:
    """A call in flight: what it has written so far, in pieces of about a token."""

    mode: Mode
    stage: Stage
    pieces: int = 0
    text: str = ""
    reasoning: str = ""


class Trace:
    """Hears an attempt's events and shows them. Use as a context manager, so that the terminal is left in order."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not sys.stderr.isatty())
        self._writing: dict[str, _Writing] = {}
        self._spinner = Spinner("dots")
        moving = self._console.is_terminal and not quiet
        self._live = (
            Live(console=self._console, transient=True, refresh_per_second=8, get_renderable=self._in_progress)
            if moving
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._writing.clear()
            self._live.__exit__(kind, error, traceback)

    def begin(self, strategy: Strategy, endpoints: Endpoints) -> None:
        """The head line: what runs, on which model."""
        models = {endpoint.model: None for _, endpoint in sorted(endpoints.items(), reverse=True)}
        self._print(
            Text.assemble((_titled(describe(strategy)), "bold"), ("  on ", "dim"), printable(" + ".join(models)))
        )

    def hear(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Started():
                self._start(event)
            case Streamed():
                self._hear_piece(event)
            case Finished():
                self._finish(event)
            case Decomposed():
                self._decomposed(event)
            case Routed():
                self._routed(event)
            case RoundBegan():
                self._round(event)

    def end(self, record: Record) -> None:
        """The answer, what went otherwise than planned, and the cost by mode."""
        solution, grade = record.solution, record.grade
        for note in solution.notes if solution else ():
            self._print(Text(f"note: {printable(note)}", style="yellow"))
        if record.failure is not None:
            self._print(Text(f"{record.failure.kind}: {printable(record.failure.message)}", style="bold red"))
        if solution is not None and solution.answer is not None:
            verdict = (
                "" if grade is None else "  correct" if grade.correct else f"  wrong ({grade.reason or 'another'})"
            )
            self._print(Text.assemble(("answer  ", "dim"), (printable(solution.answer), "bold"), verdict))
        self._print(Text(_cost(record), style="dim"))

    def _start(self, event: Started) -> None:
        self._writing[event.location.path] = _Writing(event.mode, event.location.stage)

    def _hear_piece(self, event: Streamed) -> None:
        path, delta = event.location.path, event.delta
        writing = self._writing[path]
        if delta.restarted:
            self._writing[path] = _Writing(writing.mode, writing.stage)
            self._print(Text(f"{path}: the reply begins anew", style="yellow"))
            return
        writing.pieces += 1
        writing.text += delta.text
        writing.reasoning += delta.reasoning

    def _finish(self, event: Finished) -> None:
        location = event.location
        writing = self._writing.pop(location.path, None)
        if event.completion is None or event.call is None or writing is None:
            return
        if location.stage is Stage.SOLVE:
            self._solved(location, event.completion, event.call.mode, event.call.seconds)
        elif location.stage is Stage.SUMMARISE and location.chain is None:
            self._print(Text(f"  summary: {_words(event.completion.text)} words", style="dim"))

    def _decomposed(self, event: Decomposed) -> None:
        if event.location.chain is not None:
            return
        for number, outline in enumerate(event.candidates, 1):
            chosen = number == event.selected + 1
            line = f"candidate {number}, {len(outline)} steps: {printable(' · '.join(outline))}".replace("\n", " ")
            self._console.print(Text(f"{'→' if chosen else ' '} {line}", style="" if chosen else "dim"),
                                no_wrap=True, overflow="ellipsis", crop=True)  # fmt: skip
        self._print(Text.assemble(("decomposition ", "bold"), f"{event.selected + 1} of {len(event.candidates)}",
                                  (f" ({len(set(event.candidates))} distinct)", "dim")))  # fmt: skip
        for number, subproblem in enumerate(event.candidates[event.selected], 1):
            self._print(Text(f"  {number}. {printable(subproblem)}"))

    def _routed(self, event: Routed) -> None:
        if event.location.chain is not None:
            return
        rated = (
            "not assessed"
            if event.difficulty is None
            else f"difficulty {event.difficulty:.2f} {_bar(event.difficulty)}"
        )
        self._print(Text())
        self._print(Text.assemble((f"step {event.step}/{event.of}  ", "bold"), rated, "  ",
                                  (f"→ {NAMES[event.mode]}", f"bold {COLOURS[event.mode]}")))  # fmt: skip
        self._print(Text(_indented(printable(event.subproblem)), style="italic"))

    def _round(self, event: RoundBegan) -> None:
        if event.location.chain is not None:
            return
        head = "the answer is forced  " if event.number is None else f"round {event.number}  "
        self._print(Text())
        self._print(Text.assemble((head, "bold"), (f"→ {NAMES[event.mode]}", f"bold {COLOURS[event.mode]}")))

    def _solved(self, location: Location, completion: Completion, mode: Mode, seconds: float) -> None:
        cost = f"{_counted(completion.usage)}, {seconds:.1f} s{', cut off' if completion.cut_off else ''}"
        if location.chain is not None:
            self._print(Text.assemble(f"{location.path}  ", (NAMES[mode], COLOURS[mode]), (f"  {cost}", "dim")))
            return
        if completion.reasoning:
            self._print(Text(f"  thought: {_words(completion.reasoning)} words", style="dim"))
        self._print(Text(_indented(printable(completion.text.strip()) or "(nothing)")))
        self._print(Text(f"  {NAMES[mode]}, {cost}", style="dim"))

    def _in_progress(self) -> RenderableType:
        writing = dict(self._writing)  # asked for by the refreshing thread
        if not writing:
            return Text()
        stage = next(iter(writing.values())).stage
        pieces = sum(w.pieces for w in writing.values())
        calls = f", {len(writing)} at once" if len(writing) > 1 else ""
        self._spinner.update(text=Text(f"{DOING[stage]}{calls}, about {pieces:,} tokens", style="dim"))
        head = self._spinner
        if len(writing) > 1 or stage is not Stage.SOLVE:
            return head
        only = next(iter(writing.values()))
        text = only.text or only.reasoning
        body = Text(printable(text[-TAIL_CHARACTERS:]), style="" if only.text else "dim")
        lines = body.wrap(self._console, max(20, self._console.width - 4))
        return Group(head, Padding(Text("\n").join(lines[-TAIL_LINES:]), (0, 0, 0, 2)))

    def _print(self, what: RenderableType) -> None:
        self._console.print(what)


def _titled(described: Mapping[str, object]) -> str:
    options = [f"{option} {_named(described[option])}" for option in SHOWN_KNOBS if option in described]
    return ", ".join([str(described["name"]), *options])


def _named(value: object) -> object:
    """A strategy's name where the option is a strategy."""
    return cast("dict[str, object]", value)["name"] if isinstance(value, dict) else value


def _bar(difficulty: float, width: int = 10) -> str:
    full = round(difficulty * width)
    return "█" * full + "░" * (width - full)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line.strip() else "" for line in text.splitlines())


def _words(text: str) -> str:
    return f"{len(text.split()):,}"


def _counted(usage: Usage) -> str:
    return "? tokens" if usage.completion_tokens is None else f"{usage.completion_tokens:,} tokens"


def _cost(record: Record) -> str:
    calls = Counter(call.mode for call in record.calls)
    by_mode = [f"{NAMES[mode]}: {calls[mode]} calls, {_counted(record.usage.by_mode[mode])}" for mode in Mode]
    total = record.usage.total
    prompt = "?" if total.prompt_tokens is None else f"{total.prompt_tokens:,}"
    cached = "" if total.cached_tokens is None else f" ({total.cached_tokens:,} cached)"
    return "cost    " + "; ".join([*by_mode, f"prompts {prompt} tokens{cached}", f"{record.seconds:.1f} s"])
