"""`scale solve`: one problem, live. The answer (or with --json the record) on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import options
from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.types import Failure, Problem, Record, Solution

if TYPE_CHECKING:
    from scale_reasoning.events import Event
    from scale_reasoning.graders import Grader
    from scale_reasoning.web.viewer.replay import Recorder

LONGEST_PROBLEM = 200_000
"""Characters."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "solve",
        help="solve one problem",
        description="Solves one problem. Exit codes: 0 solved, 1 not solved or failed, 2 usage or configuration, "
        "3 the engine could not be reached.",
    )
    parser.add_argument("problem", help="the problem's text, or - to read it from standard input")
    parser.add_argument("--answer", metavar="GOLD", help="grade the answer against this one")
    parser.add_argument("--grader", metavar="NAME", help="integer or symbolic (default: as the gold answer asks)")
    parser.add_argument("--json", action="store_true", help="print the record, one line of JSON, on standard output")
    parser.add_argument("--quiet", action="store_true", help="no trace")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the trace as a page too, one file")
    options.add_strategy(parser)
    options.add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Solves, prints, and says by the exit code how it went."""
    record = asyncio.run(_attempt(args))
    if args.json:
        import msgspec

        print(msgspec.json.encode(record).decode(), flush=True)
    elif record.solution is not None and record.solution.answer is not None:
        from scale_reasoning.printable import printable

        print(printable(record.solution.answer), flush=True)
    return _exit_code(record)


async def _attempt(args: argparse.Namespace) -> Record:
    from scale_reasoning.cli.live import Trace
    from scale_reasoning.engines import connect
    from scale_reasoning.runs.attempt import attempt, problem_of

    problem = problem_of(_text(args.problem), args.answer)
    grader = await _grader(args.grader, problem)
    strategy = options.strategy(args)
    connection = options.connection(args)
    html: Path | None = args.html
    page = None if html is None else _page(html)
    with Trace(quiet=args.quiet) as trace:

        def hear(event: Event) -> None:
            trace.hear(event)
            if page is not None:
                page.hear(event)

        async with connect(connection) as endpoints:
            trace.begin(strategy, endpoints)
            record = await attempt(
                problem, strategy, endpoints, seed=args.seed, grader=grader, journal=page, listener=hear
            )
        trace.end(record)
    if html is not None and page is not None:
        from scale_reasoning.web.viewer.single import single

        made = await single(problem, strategy, endpoints, page, record, seed=args.seed, grader=grader)
        _write(html, made)
    return record


def _page(file: Path) -> Recorder:
    """What a page is made from, once it is clear that one can be written: before a token is spent."""
    try:
        from scale_reasoning.web.viewer import single as _  # noqa: F401  everything that it needs
    except ImportError as error:
        raise ConfigError(f"--html needs {error.name}: pip install 'scale-reasoning[view]'") from error
    from scale_reasoning.journal import MemoryJournal
    from scale_reasoning.web.viewer.replay import Recorder

    try:
        file.open("x").close()
    except OSError as error:
        raise ConfigError(f"--html {file}: {error.strerror}") from error
    return Recorder(MemoryJournal())


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--html {file}: {error.strerror}") from error


async def _grader(name: str | None, problem: Problem) -> Grader | None:
    """The grader, once it has shown that it can read the gold answer: before a token is spent."""
    from scale_reasoning.graders import GRADERS, grader_for

    if problem.answer is None:
        if name is not None:
            raise ConfigError("--grader: needs --answer GOLD")
        return None
    if name is not None and name not in GRADERS:
        raise ConfigError(f"--grader {name}: must be one of {', '.join(GRADERS)}")
    grader = grader_for(problem.answer) if name is None else GRADERS[name]()
    try:
        await grader.grade(problem, Solution(answer=problem.answer))
    except GradeError as error:
        raise ConfigError(f"--answer: {error}") from error
    return grader


def _text(argument: str) -> str:
    text = sys.stdin.read(LONGEST_PROBLEM + 1) if argument == "-" else argument
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError("the problem is not valid UTF-8")
    if not text.strip():
        raise ConfigError("the problem is empty")
    if len(text) > LONGEST_PROBLEM:
        raise ConfigError(f"the problem has over {LONGEST_PROBLEM} characters")
    return text.strip()


def _exit_code(record: Record) -> int:
    failure = record.failure
    if failure is None:
        return 0 if record.grade is None or record.grade.correct else 1
    return _failed(failure)


def _failed(failure: Failure) -> int:
    if failure.blame != "world":
        return 1
    return 2 if failure.kind == "rejected" else 3
