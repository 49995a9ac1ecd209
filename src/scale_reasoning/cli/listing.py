"""`scale list`: what there is to choose from: models, recipes; strategies, allocators and assessors with options."""

from __future__ import annotations

import argparse
import inspect
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from scale_reasoning.cli import recipes
from scale_reasoning.cli.fetch import list_models
from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies import describe
from scale_reasoning.strategies.options import options_of
from scale_reasoning.strategies.table import TABLES, Table, find_tables

if TYPE_CHECKING:
    from rich.table import Table as Printed

LINE = 140
"""Characters of a line where there is no terminal."""
KINDS = {"strategies": "strategy", "allocators": "allocator", "assessors": "assessor"}
"""The tables that can be listed, by the word of the command line."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("list", help="list models, recipes, strategies, allocators or assessors")
    parser.add_argument("what", choices=["models", "recipes", *KINDS])
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
    made = {"models": list_models, "recipes": recipes.list_recipes}
    table = made[args.what]() if args.what in made else list_table(_find_table(args.what))
    Console(highlight=False, width=None if sys.stdout.isatty() else LINE).print(table)
    if args.what == "recipes":
        print(recipes.HOW)
    return 0


def list_table(table: Table) -> Printed:
    """The names of a table with what they are, each followed by its options with defaults and help."""
    from rich.markup import escape
    from rich.table import Table as Printed

    printed = Printed(table.kind, "default", "what it is", box=None, pad_edge=False)
    for name, shape in table.rows.items():
        printed.add_row(f"[bold]{name}[/]", "", escape((inspect.getdoc(shape) or "").partition("\n")[0]))
        described, parts, options = describe(shape()), find_tables(shape), options_of(shape)
        for each in fields(shape):
            default, option = described[each.name], options.get(each.name)
            help_ = option.help if option else f"one of the {_pluralise(parts[each.name])}"
            printed.add_row(f"  {each.name}", escape(_write_default(default)), escape(help_))
    for word, (name, settings) in table.short.items():
        said = ", ".join(f"{key} {value}" for key, value in settings.items())
        printed.add_row(f"[bold]{word}[/]", "", escape(f"Short for {name}, {said}."))
    return printed


def _find_table(what: str) -> Table:
    return next(table for table in TABLES.values() if table.kind == KINDS[what])


def _pluralise(table: Table) -> str:
    return next(word for word, kind in KINDS.items() if kind == table.kind)


def _write_default(default: Any) -> str:
    value = cast("dict[str, Any]", default)["name"] if isinstance(default, dict) else default
    return "" if value is None else str(value)
