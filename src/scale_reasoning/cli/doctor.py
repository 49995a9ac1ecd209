"""`scale doctor`: what an endpoint can do, whether its System 1 is really off and what its modes are worth, as a table.

Decides colours, layout and exit codes; engines and runs decide what to ask and what a reply proves. Text of a server is
printed on one line, never as markup.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scale_reasoning.cli import options
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.reach import make_connection

if TYPE_CHECKING:
    from rich.text import Text

    from scale_reasoning.engines.connection import Connection
    from scale_reasoning.engines.findings import Finding

COLOURS = {"yes": "green", "no": "bold red", "unknown": "yellow"}

NAME_WIDTH = 38
"""Columns of the longest name of a finding."""
PATIENCE = 60.0
"""Seconds until a reply must begin, because the requests are small."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "doctor",
        help="what can this endpoint do, and is System 1 really off?",
        description="Asks an endpoint, with a dozen small requests, what it can do, then ten small questions in both "
        "modes, and prints what a lack costs and how to fix it. Exit codes: 0 fine, 1 System 1 leaks reasoning or is "
        "missing, 2 configuration, 3 the engine could not be reached or used. --first-byte-timeout is "
        f"{PATIENCE:g} s here by default.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave out the ten questions that say what the two modes are worth (30 small requests, at most 5 minutes)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings, one line of JSON, on standard output")
    options.add_model(parser)
    parser.set_defaults(run=run, first_byte_timeout=PATIENCE)


def run(args: argparse.Namespace) -> int:
    """Examines the endpoint and prints the findings."""
    connection, tell = make_connection(options.read_model(args)), _ignore if args.json else _print_row
    findings = asyncio.run(_examine(connection, tell, quick=args.quick))
    if args.json:
        import msgspec

        print(msgspec.json.encode(findings).decode(), flush=True)
    else:
        _print_advice(findings)
    return _choose_exit_code(findings)


async def _examine(connection: Connection, tell: Callable[[Finding], None], *, quick: bool) -> list[Finding]:
    from scale_reasoning.engines import name_model
    from scale_reasoning.engines.probe import is_complete, probe
    from scale_reasoning.runs.modes import examine_modes

    connection = await name_model(connection)
    findings = await probe(connection, _show_progress, tell)
    if not quick and is_complete(findings):
        if tell is not _ignore:
            options.say("ten small questions in both modes, at most 5 minutes; --quick leaves them out")
        measured = await examine_modes(connection, _show_progress)
        for finding in measured:
            tell(finding)
        findings += measured
    return findings


def _ignore(_: object) -> None:
    pass


def _show_progress(name: str) -> None:
    if sys.stderr.isatty():
        options.say(f"asking: {name}")


def _print_row(finding: Finding) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=NAME_WIDTH)
    row.add_column(width=max(map(len, COLOURS)))
    row.add_column()
    row.add_row(Text(finding.name), Text(finding.verdict, style=COLOURS[finding.verdict]), _make_line(finding.found))
    Console(highlight=False).print(row)


def _print_advice(findings: Sequence[Finding]) -> None:
    """What each lack costs, and how to fix it."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for finding in findings:
        if finding.verdict == "yes" or not (finding.cost or finding.fix):
            continue
        console.print()
        console.print(Text.assemble((finding.verdict, COLOURS[finding.verdict]), f"  {finding.name}"))
        advice = Table.grid(padding=(0, 2, 0, 0))
        for word, text in (("cost", finding.cost), ("fix", finding.fix)):
            if text:
                advice.add_row(Text(word, style="dim"), _make_line(text))
        console.print(Padding(advice, (0, 0, 0, 4)))


def _make_line(text: str) -> Text:
    from rich.text import Text

    from scale_reasoning.printable import printable

    return Text(printable(" ".join(text.split())))


def _choose_exit_code(findings: Sequence[Finding]) -> int:
    from scale_reasoning.engines.probe import LEAK, MODEL, REACHABLE

    lacking = [finding.name for finding in findings if finding.verdict == "no"]
    codes = {REACHABLE: 3, MODEL: 2, LEAK: 1}
    return next((code for name, code in codes.items() if any(lack.startswith(name) for lack in lacking)), 0)
