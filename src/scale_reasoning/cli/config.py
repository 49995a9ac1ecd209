"""`scale config`: the user's defaults of flags that hold here, and where each is set."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.settings import FILE, URL, URLS, Setting, list_files, list_values, list_verbs, read_settings
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.printable import one_line


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "config",
        help="show the defaults that hold here, and where each is set",
        description=f"Shows the defaults that hold in this folder and where each is set. A key of {FILE} is the name "
        "of a flag; the command line comes first. Exit codes: 0 done, 2 a file cannot be used.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the defaults, and the files that may set them."""
    settings = read_settings(list_verbs(args.root))
    held = {(each.verb, each.key): each for each in settings}
    held.setdefault((None, "model"), Setting(key="model", value=DEFAULT_MODEL, set_in="built in"))
    if url := os.environ.get(URL):
        held[None, "base-url"] = Setting(key="base-url", value=url, set_in=URL)
    rows = [
        (each.key if each.verb is None else f"{each.verb}: {each.key}", _show(each), each.set_in)
        for each in sorted(held.values(), key=lambda each: (each.verb or "", each.key))
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, set_in in rows:
        print(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {set_in}")
    print()
    for file in list_files():
        print(f"{_shorten(file)}: {'read' if file.is_file() else 'not there'}")
    return 0


def _shorten(file: Path) -> str:
    """The file's path, with ~ for the home folder."""
    try:
        return f"~/{file.relative_to(Path.home())}"
    except (RuntimeError, ValueError):  # no home folder, or not in it
        return str(file)


def _show(setting: Setting) -> str:
    text = ", ".join(map(str, list_values(setting.value)))
    return one_line(text.rpartition("@")[2] if setting.key in URLS else text, 100)
