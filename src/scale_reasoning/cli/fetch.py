"""`scale fetch`, and the list of the models that SCALE can fetch and run on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import Commands
from scale_reasoning.engines.catalogue import CATALOGUE, DEFAULT_MODEL, EMBEDDED_MODELS, SMOLLM2, STUDENT
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("fetch", help="fetch a model before its first use")
    words = f"a name of `scale list models` (default: {DEFAULT_MODEL})"
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="NAME", help=words)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints where the model's file is."""
    print(fetch_visibly(args.model))
    return 0


def fetch_visibly(name: str) -> Path:
    """The model's file, fetched where it is missing, with its progress on stderr. Raises ConfigError."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from scale_reasoning.engines.fetching import Reporter, say_tenths
    from scale_reasoning.engines.table import fetch_embedded, is_embedded

    if not is_embedded(name):
        raise ConfigError(f"no model {name!r} can be fetched; there are {', '.join(EMBEDDED_MODELS)}")
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(line: str) -> None:
        console.print(f"scale: {line}", markup=False)

    if not console.is_terminal:
        return fetch_embedded(name, Reporter(say=say, progress=say_tenths(say)))
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        reporter = Reporter(say=say, progress=lambda done, total: bar.update(task, completed=done, total=total))
        return fetch_embedded(name, reporter)


def list_models() -> Table:
    """The catalogue."""
    from rich.table import Table

    from scale_reasoning.engines import fetching, student

    table = Table("model", "here", "MB", "window", "thinks", "licence", "from", "for", box=None, pad_edge=False)
    for name in EMBEDDED_MODELS:
        if name == STUDENT:
            here = "yes" if student.ADAPTER.exists() and student.find_target().exists() else "no"
            about = "easy arithmetic in letters, nothing else"
            table.add_row(name, here, "145", str(SMOLLM2.window), "yes", SMOLLM2.licence, "index", about)
            continue
        row = CATALOGUE[name]
        here = "yes" if fetching.find(row) else "no"
        thinks = "yes" if row.thinks else "no"
        source = ", ".join(name for name, has in (("index", row.wheels), ("Hub", row.hub)) if has)
        use = f"the default; {row.use}" if name == DEFAULT_MODEL else row.use
        table.add_row(name, here, f"{row.size / 1e6:,.0f}", str(row.window), thinks, row.licence, source, use)
    return table
