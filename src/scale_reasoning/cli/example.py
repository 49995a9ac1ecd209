"""`scale example`: a problem of our own, solved with a model that runs on this machine. `make run` is this command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from scale_reasoning.cli import options, solve
from scale_reasoning.cli.fetch import fetch_visibly
from scale_reasoning.cli.options import Commands
from scale_reasoning.engines.catalogue import DEFAULT_MODEL, STUDENT
from scale_reasoning.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A problem with its gold answer, and further flags of `scale solve`."""

    text: str
    answer: str
    flags: tuple[str, ...] = ()


GENERAL = Example(
    text="A tank holds 240 litres. A pump fills it with 18 litres per minute while 6 litres per minute run out. How "
    "many minutes does it take to fill the empty tank?",
    answer="20",
)
LETTERS = Example(
    text="C = 517. D = C + 8. E = D × 7. F = E mod 1000. G = F - 46. Find G.", answer="629", flags=("--tau", "0.3")
)
"""The student's own: it solves no others."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "example",
        help="solve an example problem on this machine",
        description=f"Solves a word problem with a model that runs on this machine, {DEFAULT_MODEL} if none is named. "
        "If that one cannot be fetched, the student solves a problem of its own instead. Exit codes: see scale solve.",
    )
    parser.add_argument("model", nargs="?", metavar="NAME", help="a name of `scale list models`")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Solves the example as `scale solve` does."""
    model = _choose_model(args.model)
    example = LETTERS if model == STUDENT else GENERAL
    parser = argparse.ArgumentParser()
    solve.add(parser.add_subparsers())
    words = ["solve", "--model", model, "--answer", example.answer, *example.flags, example.text]
    solving = parser.parse_args(words)
    return solving.run(solving)


def _choose_model(name: str | None) -> str:
    """The model that was named, else the default one, else the student where the default cannot be fetched."""
    try:
        fetch_visibly(name or DEFAULT_MODEL)
    except ConfigError:
        if name is not None:
            raise
        options.say(f"{DEFAULT_MODEL} cannot be fetched (`scale fetch` says why): the student solves its own example")
        return STUDENT
    return name or DEFAULT_MODEL
