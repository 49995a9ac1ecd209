"""`scale fetch`: gets the embedded model ready before its first use (images, machines that go offline)."""

from __future__ import annotations

import argparse

from scale_reasoning.cli.options import Commands, say


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("fetch", help="get the embedded model ready before its first use")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Prints where the model's file is."""
    from scale_reasoning.engines.student import fetch

    print(fetch(say))
    return 0
