"""`scale doctor`: what an endpoint can do, and whether its System 1 is really off, as one table on stdout.

Decides colours, layout and exit codes; what is asked and what it proves is decided in engines. A server's words are
printed as plain text on one line, never as markup.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scale_reasoning.cli import options
from scale_reasoning.cli.options import Commands

if TYPE_CHECKING:
    from rich.text import Text

    from scale_reasoning.engines.findings import Finding

COLOURS = {"yes": "green", "no": "bold red", "unknown": "yellow"}

PATIENCE = 60.0
"""Seconds until a reply begins: what is asked here is small."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "doctor",
        help="what can this endpoint do, and is System 1 really off?",
        description="Asks an endpoint, with a dozen small requests, what it can do, and prints what that costs "
        "and how to mend it. Exit codes: 0 fine, 1 System 1 leaks reasoning or is missing, 2 configuration, 3 the "
        f"engine could not be reached or used. A reply has {PATIENCE:g} s to begin, if --first-byte-timeout says no "
        "more.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings, one line of JSON, on standard output")
    options.add_connection(parser)
    parser.set_defaults(run=run, first_byte_timeout=PATIENCE)


def run(args: argparse.Namespace) -> int:
    """Asks, prints, and says by the exit code how it went."""
    from scale_reasoning.engines.probe import probe

    findings = asyncio.run(probe(options.connection(args), _say))
    if args.json:
        import msgspec

        print(msgspec.json.encode(findings).decode(), flush=True)
    else:
        _print(findings)
    return _exit_code(findings)


def _say(name: str) -> None:
    if sys.stderr.isatty():
        print(f"scale: asking: {name}", file=sys.stderr, flush=True)


def _print(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table("can it", "", "found", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for finding in findings:
        verdict = Text(finding.verdict, style=COLOURS[finding.verdict])
        table.add_row(Text(finding.name), verdict, _line(finding.found))
    console.print(table)
    for finding in findings:
        if finding.verdict == "yes" or not (finding.cost or finding.fix):
            continue
        console.print()
        console.print(Text.assemble((finding.verdict, COLOURS[finding.verdict]), f"  {finding.name}"))
        advice = Table.grid(padding=(0, 2, 0, 0))
        for word, text in (("cost", finding.cost), ("fix", finding.fix)):
            if text:
                advice.add_row(Text(word, style="dim"), _line(text))
        console.print(Padding(advice, (0, 0, 0, 4)))


def _line(text: str) -> Text:
    from rich.text import Text

    from scale_reasoning.printable import printable

    return Text(printable(" ".join(text.split())))


def _exit_code(findings: Sequence[Finding]) -> int:
    from scale_reasoning.engines.probe import LEAK, MODEL, REACHABLE

    lacking = [finding.name for finding in findings if finding.verdict == "no"]
    codes = {REACHABLE: 3, MODEL: 2, LEAK: 1}
    return next((code for name, code in codes.items() if any(lack.startswith(name) for lack in lacking)), 0)
