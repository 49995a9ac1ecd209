"""`scale docs`: the pages, which ship with the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError
from scale_reasoning.suggest import suggest

FOLDERS = (Path(__file__).parents[1] / "docs", Path(__file__).parents[3] / "docs")
"""Where the pages are: in an installed package, and in a checkout."""
FIRST = ("quickstart", "concepts", "method", "engines", "evaluation", "statistics", "tuning", "synthesis", "serving")
"""The pages that come first in the list."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "docs",
        help="read a page of the documentation",
        description="Prints a page, or without a name the list of pages. Where messages name docs/engines.md, the page "
        "is `scale docs engines`.",
    )
    parser.add_argument("page", nargs="?", help="a page's name")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the page: with its headings and tables drawn on a terminal, as Markdown elsewhere."""
    pages = list_pages()
    if args.page is None:
        for name, file in pages.items():
            print(f"{name:<18}{read_title(file)}")
        return 0
    name = Path(args.page).name.removesuffix(".md")
    if name not in pages:
        raise ConfigError(f"no page {args.page!r}{suggest(name, pages)}; scale docs lists them")
    text = pages[name].read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return 0
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.pager(styles=False):
        console.print(Markdown(text))
    return 0


def list_pages() -> dict[str, Path]:
    """The pages by name, those for the first hour first. Raises ConfigError where they are not installed."""
    folder = next((each for each in FOLDERS if (each / "quickstart.md").is_file()), None)
    if folder is None:
        raise ConfigError("the pages are not with this installation; they are in the folder docs of the source")
    found = {file.stem: file for file in sorted(folder.glob("*.md")) if file.stem != "index"}
    return {name: found[name] for name in (*FIRST, *(name for name in found if name not in FIRST))}


def read_title(file: Path) -> str:
    """The first heading of a page."""
    return next((line[2:] for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")), "")
