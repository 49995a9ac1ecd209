"""Where a table goes and in which format: for a person on a terminal, Markdown in a pipe, by its ending in a file."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.formats import Grid
    from scale_reasoning.report.writers import Format, Writers

FORMATS = ("terminal", "md", "latex", "html", "csv", "json")
ENDINGS: dict[str, Format] = {
    ".md": "md",
    ".tex": "latex",
    ".html": "html",
    ".csv": "csv",
    ".json": "json",
    ".txt": "terminal",
}


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the flags for the format of a table and its file."""
    add_format(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write there, as its ending says; an existing file is an error"
    )


def add_format(parser: argparse.ArgumentParser, *, formats: tuple[str, ...] = FORMATS) -> None:
    """Adds the flag for the format of a table."""
    parser.add_argument("--format", choices=formats, help="default: terminal on a terminal, else md")


def choose_format(given: str | None, file: Path | None = None) -> Format:
    """The format that was asked for; else the one of the file's ending, and without a file the one for a terminal if
    there is one, else Markdown.
    """
    if given is not None:
        return cast("Format", given)
    if file is not None:
        return ENDINGS.get(file.suffix.lower(), "md")
    return "terminal" if sys.stdout.isatty() else "md"


def make_writers(file: Path | None = None, *, stream: TextIO | None = None) -> Writers:
    """The writer of every format, for a file, else for `stream` (by default standard output). A LaTeX table is labelled
    by its file's name.
    """
    from scale_reasoning.report.latex import LABEL, write_latex
    from scale_reasoning.report.writers import WRITERS

    label = LABEL if file is None else f"tab:{file.stem}"
    shown = None if file is not None else stream or sys.stdout
    return {**WRITERS, "latex": partial(write_latex, label=label), "terminal": partial(_write_terminal, stream=shown)}


def _write_terminal(grid: Grid, stream: TextIO | None) -> str:
    from scale_reasoning.cli.terminal import write_terminal

    return write_terminal(grid, stream)


def write_text(text: str, file: Path | None) -> None:
    """Prints a text, or writes it to a new file. Raises ConfigError."""
    if file is None:
        print(text, end="", flush=True)
        return
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise ConfigError(f"--out {file}: {error.strerror}") from error
