"""`scale solve`: one problem, live. The answer (or with --json the record) on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import chosen, options
from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.types import Failure, Problem, Record, Solution

if TYPE_CHECKING:
    from scale_reasoning.engines import Connection
    from scale_reasoning.events import Event
    from scale_reasoning.graders import Grader
    from scale_reasoning.lm import Strategy
    from scale_reasoning.web.viewer.replay import Recorder

_LONG_OPTION = re.compile("--[a-z]")
_NO_OPTION = re.compile(r"-(?![a-zA-Z]?$|-[a-z]|[0-9.]+$)")
"""What begins with a minus and is neither an option (all are long, but for -h) nor a number, which argparse knows."""
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
    parser.add_argument("--answer", type=str.strip, metavar="GOLD", help="grade the answer against this one")
    parser.add_argument("--grader", metavar="NAME", help="integer or symbolic (default: as the gold answer asks)")
    parser.add_argument("--json", action="store_true", help="print the record, one line of JSON, on standard output")
    parser.add_argument("--quiet", action="store_true", help="no trace")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the trace as a page too, one file")
    options.add_strategy(parser)
    options.add_connection(parser)
    parser.set_defaults(run=run)


def spaced(words: Sequence[str]) -> list[str]:
    """The command line with a space before a problem or answer that begins with a minus.

    argparse takes `-1/2` for an option and says that `--answer` lacks its argument; what begins with a space is none. A
    word after `--answer` is the answer unless it is spelled as a long option; another word is a text if no option can
    be spelled like it.
    """
    made: list[str] = []
    for place, word in enumerate(words):
        if word == "--":
            return [*made, *words[place:]]
        before = words[place - 1] if place else ""
        is_answer = len(before) >= len("--an") and "--answer".startswith(before) and not _LONG_OPTION.match(word)
        made.append(f" {word}" if word.startswith("-") and (is_answer or _NO_OPTION.match(word)) else word)
    return made


def run(args: argparse.Namespace) -> int:
    """Solves, prints, and says by the exit code how it went."""
    strategy, connection = chosen.strategy(args), options.connection(args)
    record = asyncio.run(_attempt(args, strategy, connection))
    for line in _advice(record, connection):
        print(f"scale: {line}", file=sys.stderr)
    if args.json:
        import msgspec

        print(msgspec.json.encode(record).decode(), flush=True)
    elif record.solution is not None and record.solution.answer is not None:
        from scale_reasoning.printable import printable

        print(printable(record.solution.answer), flush=True)
    return _exit_code(record)


async def _attempt(args: argparse.Namespace, strategy: Strategy, connection: Connection) -> Record:
    from scale_reasoning.cli.live import Trace
    from scale_reasoning.engines import connect
    from scale_reasoning.runs.attempt import attempt, problem_of

    problem = problem_of(_text(args.problem), args.answer)
    grader = await _grader(args.grader, problem)
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
        from scale_reasoning.web.viewer.single import make_single_page

        made = await make_single_page(problem, strategy, endpoints, page, record, seed=args.seed, grader=grader)
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
    from scale_reasoning.graders import check_name, grader_for

    if problem.answer is None:
        if name is not None:
            raise ConfigError("--grader: needs --answer GOLD")
        return None
    check_name(name, "--grader")
    grader = grader_for(problem.answer, name)
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


def _advice(record: Record, connection: Connection) -> list[str]:
    """What the server has, where it refuses a model that it does not list."""
    if record.failure is None or record.failure.kind != "rejected":
        return []
    from scale_reasoning.cli.servers import unlisted

    return unlisted([connection])


def _exit_code(record: Record) -> int:
    failure = record.failure
    if failure is None:
        return 0 if record.grade is None or record.grade.correct else 1
    return _failed(failure)


def _failed(failure: Failure) -> int:
    if failure.blame != "world":
        return 1
    return 2 if failure.kind == "rejected" else 3
