"""`scale completion`: what a shell needs to complete verbs, flags and names. shtab writes it from the parser."""

from __future__ import annotations

import argparse

from scale_reasoning.cli.options import Commands

SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "completion",
        help="completion for a shell",
        description="Prints a script for a shell, which then completes verbs, flags and their values.",
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the script."""
    import shtab

    print(shtab.complete(args.root, shell=args.shell))
    return 0
