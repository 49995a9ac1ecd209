"""`scale list`: what there is to choose from. Strategies and their parts are listed with their options."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scale_reasoning.cli import recipes
from scale_reasoning.cli.fetch import list_models
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.output import choose_format, make_writers
from scale_reasoning.cli.runs import find_default, look_at_all, tabulate_runs
from scale_reasoning.datasets import ABOUT, DATASETS
from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import ModeProfile, list_families
from scale_reasoning.strategies import describe
from scale_reasoning.strategies.options import options_of
from scale_reasoning.strategies.table import TABLES, Table, find_tables
from scale_reasoning.types import Mode

if TYPE_CHECKING:
    from rich.table import Table as Printed

LINE = 140
"""Characters of a line where there is no terminal."""
RUNS = "runs"
KINDS = {"strategies": "strategy", "allocators": "allocator", "assessors": "assessor"}
"""The tables that can be listed, by the word of the command line."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("list", help="list what there is to choose from")
    parser.add_argument("what", choices=[*MADE, *KINDS, RUNS])
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="of runs (default: runs)")
    parser.add_argument("--show", metavar="NAME", help="print one recipe")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the list, or one recipe."""
    from rich.console import Console

    if args.show is not None:
        if args.what != "recipes":
            raise ConfigError(f"--show {args.show}: only recipes can be shown: scale list recipes --show NAME")
        print(recipes.read_text(args.show), end="")
        return 0
    if args.what == RUNS:
        return _list_runs(args.folder)
    if args.folder is not None:
        raise ConfigError(f"{args.folder}: only runs are in a folder: scale list runs FOLDER")
    table = MADE[args.what]() if args.what in MADE else list_table(_find_table(args.what))
    Console(highlight=False, width=None if sys.stdout.isatty() else LINE).print(table)
    if args.what == "recipes":
        print(recipes.HOW)
    return 0


def _list_runs(folder: Path | None) -> int:
    """Prints what the runs in a folder are."""
    from scale_reasoning.runs.finding import find_runs

    found = look_at_all(find_runs(folder or find_default("list runs")))
    print(make_writers()[choose_format(None)](tabulate_runs(found)), end="")
    return 0


def list_table(table: Table) -> Printed:
    """The names of a table with what they are, each followed by its options with defaults and help."""
    from rich.markup import escape
    from rich.table import Table as Printed

    printed = Printed(table.kind, "default", "what it is", box=None, pad_edge=False)
    for name, shape in table.rows.items():
        printed.add_row(f"[bold]{name}[/]", "", escape((inspect.getdoc(shape) or "").partition("\n")[0]))
        for option, default, help_ in list_options(shape):
            printed.add_row(f"  {option}", escape(default), escape(help_))
    for word, (name, settings) in table.short.items():
        said = ", ".join(f"{key} {value}" for key, value in settings.items())
        printed.add_row(f"[bold]{word}[/]", "", escape(f"Short for {name}, {said}."))
    return printed


def list_options(shape: type[Any]) -> Iterator[tuple[str, str, str]]:
    """The options of a class of a table: name, default and help."""
    described, parts, options = describe(shape()), find_tables(shape), options_of(shape)
    for each in fields(shape):
        option = options.get(each.name)
        help_ = option.help if option else f"one of the {_pluralise(parts[each.name])}"
        yield each.name, _write_default(described[each.name]), help_


def list_model_families() -> Printed:
    """The families of models: how each mode thinks, its limit of new tokens, the window, and the names that match."""
    from rich.markup import escape
    from rich.table import Table as Printed

    table = Printed(
        "family", "System 1, new tokens", "System 2, new tokens", "window", "names", box=None, pad_edge=False
    )
    for family in list_families():
        modes = [_describe_mode(family.mode(mode)) for mode in Mode]
        window = "unknown" if family.window is None else f"{family.window:,}"
        table.add_row(
            f"[bold]{escape(family.name)}[/]", *modes, window, escape(" ".join(family.match)) or "by --profile"
        )
    return table


WORDS = {"off": "thinking off", "on": "thinks", "always": "always thinks"}
"""What a mode does, by its profile's `thinking`; any other word is an effort."""


def _describe_mode(mode: ModeProfile | None) -> str:
    if mode is None:
        return "another model's"
    if not mode.thinking:
        thinks = "a sentence asks" if mode.sentence else "does not think"
    else:
        thinks = WORDS.get(mode.thinking, f"effort {mode.thinking}")
    return thinks if mode.max_tokens is None else f"{thinks}, {mode.max_tokens:,}"


def list_datasets() -> Printed:
    """The datasets by name."""
    from rich.table import Table as Printed

    table = Printed("dataset", "what it is", box=None, pad_edge=False)
    for name in DATASETS:
        table.add_row(f"[bold]{name}[/]", ABOUT[name])
    table.add_row("FILE", "problems of yours: .jsonl, .json, .csv or .parquet (docs/datasets.md)")
    table.add_row("OWNER/NAME", "a dataset of the Hub, with the data extra")
    return table


MADE: Mapping[str, Callable[[], Printed]] = {
    "models": list_models,
    "families": list_model_families,
    "datasets": list_datasets,
    "recipes": recipes.list_recipes,
}
"""What is listed without a table of classes."""


def _find_table(what: str) -> Table:
    return next(table for table in TABLES.values() if table.kind == KINDS[what])


def _pluralise(table: Table) -> str:
    return next(word for word, kind in KINDS.items() if kind == table.kind)


def _write_default(default: Any) -> str:
    value = cast("dict[str, Any]", default)["name"] if isinstance(default, dict) else default
    return "" if value is None else str(value)
