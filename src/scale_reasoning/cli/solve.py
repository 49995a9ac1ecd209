"""`scale solve`: one problem, live. The answer (or with --json the record) on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import chosen, options
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.reach import explain_unlisted, make_connection, name_connection
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.types import Problem, Record, Solution

if TYPE_CHECKING:
    from scale_reasoning.engines.connection import Connection
    from scale_reasoning.events import Event
    from scale_reasoning.graders import Grader
    from scale_reasoning.lm import Strategy
    from scale_reasoning.web.viewer.replay import Recorder

_LONG_OPTION = re.compile("--[a-z]")
_NO_OPTION = re.compile(r"-(?![a-zA-Z]?$|-[a-z]|[0-9.]+$)")
"""Begins with a minus and is neither an option (all are long, except -h) nor a number, which argparse knows."""
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
    parser.add_argument("problem", nargs="*", help="the problem's words, quoted or not; - or none: standard input")
    parser.add_argument("--answer", type=str.strip, metavar="GOLD", help="grade the answer with this gold answer")
    parser.add_argument("--grader", metavar="NAME", help="integer or symbolic (default: chosen by the gold answer)")
    parser.add_argument("--json", action="store_true", help="print the record, one line of JSON, on standard output")
    parser.add_argument("--quiet", action="store_true", help="print no live view")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the attempt as a page too, in one file")
    options.add_strategy(parser)
    options.add_model(parser)
    parser.set_defaults(run=run)


def shield_minus(words: Sequence[str]) -> list[str]:
    """The command line with a space before a problem or answer that begins with a minus.

    argparse takes `-1/2` for an option, but not ` -1/2`. A word after `--answer` is the answer unless it is spelled as
    a long option; any other word is a text if no option can be spelled like it.
    """
    shielded: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return [*shielded, *words[index:]]
        before = words[index - 1] if index else ""
        is_answer = len(before) >= len("--an") and "--answer".startswith(before) and not _LONG_OPTION.match(word)
        shielded.append(f" {word}" if word.startswith("-") and (is_answer or _NO_OPTION.match(word)) else word)
    return shielded


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one command line asks for. `grader` is a name; `html` is the file of a page."""

    problem: Problem
    strategy: Strategy
    connection: Connection
    grader: str | None
    seed: int
    quiet: bool
    html: Path | None


def run(args: argparse.Namespace) -> int:
    """Solves the problem and prints the answer."""
    from scale_reasoning.runs.attempt import problem_of
    from scale_reasoning.runs.language import require_language_of

    strategy = chosen.make_strategy(options.read_strategy(args))
    connection = make_connection(options.read_model(args))
    if args.policy is not None:
        connection = name_connection(connection)
        chosen.require_policy(args.policy, connection)
    problem = problem_of(_read_problem(args.problem), args.answer)
    require_language_of(connection, [problem])
    job = options.read(Job, args, problem=problem, strategy=strategy, connection=connection, seed=args.seed or 0)
    record = asyncio.run(_attempt(job))
    for line in _advise(record, connection):
        options.say(line)
    if args.json:
        import msgspec

        print(msgspec.json.encode(record).decode(), flush=True)
    elif record.solution is not None and record.solution.answer is not None:
        from scale_reasoning.printable import printable

        print(printable(record.solution.answer), flush=True)
    return choose_exit_code(record)


async def _attempt(job: Job) -> Record:
    from scale_reasoning.cli.limits import explain_limits
    from scale_reasoning.cli.live import LiveView
    from scale_reasoning.engines import connect
    from scale_reasoning.runs.attempt import attempt

    grader = await _choose_grader(job.grader, job.problem)
    page = None if job.html is None else _open_page(job.html)
    view = LiveView(quiet=job.quiet)
    with view.show():

        def hear(event: Event) -> None:
            view.hear(event)
            if page is not None:
                page.hear(event)

        async with connect(job.connection) as endpoints:
            for line in explain_limits(job.strategy, endpoints):
                options.say(line)
            view.begin(job.strategy, endpoints)
            record = await attempt(
                job.problem, job.strategy, endpoints, seed=job.seed, grader=grader, journal=page, listener=hear
            )
        view.end(record)
    if job.html is not None and page is not None:
        from scale_reasoning.web.viewer.single import make_single_page

        text = await make_single_page(job.problem, job.strategy, endpoints, page, record, seed=job.seed, grader=grader)
        _write(job.html, text)
    return record


def _open_page(file: Path) -> Recorder:
    """The recorder of a page, once the page's file is made: before the first call. Raises ConfigError."""
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


async def _choose_grader(name: str | None, problem: Problem) -> Grader | None:
    """The grader, once it has read the gold answer: before the first call. Raises ConfigError."""
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


def _read_problem(words: Sequence[str]) -> str:
    if not words and sys.stdin.isatty():
        raise ConfigError('no problem: scale solve "What is 17 * 23?", or scale solve < FILE')
    text = " ".join(word.strip() for word in words) if words and words != ["-"] else sys.stdin.read(LONGEST_PROBLEM + 1)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError("the problem is not valid UTF-8")
    if not text.strip():
        raise ConfigError("the problem is empty")
    if len(text) > LONGEST_PROBLEM:
        raise ConfigError(f"the problem has over {LONGEST_PROBLEM} characters")
    return text.strip()


def _advise(record: Record, connection: Connection) -> list[str]:
    """What the server lists, if it refused a model that it does not list."""
    if record.failure is None or record.failure.kind != "rejected":
        return []
    return explain_unlisted([connection])


def choose_exit_code(record: Record) -> int:
    """0 solved, 1 not solved or failed, 2 refused by the server, 3 the server could not be used."""
    failure = record.failure
    if failure is None:
        return 0 if record.grade is None or record.grade.correct else 1
    if failure.blame != "world":
        return 1
    return 2 if failure.kind == "rejected" else 3
