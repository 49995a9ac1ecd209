"""`scale fetch`: make the model in the box ready ahead of its first use (images, machines that go offline)."""

from __future__ import annotations

import argparse
import sys

from scale_reasoning.cli.options import Commands


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("fetch", help="make the embedded model ready before its first use")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Prints where the model's file is."""
    from scale_reasoning.engines.student import fetch

    print(fetch(lambda line: print(f"scale: {line}", file=sys.stderr, flush=True)))
    return 0
