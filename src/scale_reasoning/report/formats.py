"""A table of text, its best numbers, and its Markdown, HTML and CSV; latex.py has its LaTeX.

Decides escaping: a cell may have any text of a model or a user.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

Best: TypeAlias = Literal["", "high", "low"]
"""Which number of a column is the best one: the highest, the lowest, or none."""
NOTHING = "-"
"""Stands for a number that does not exist."""
UNKNOWN = "unknown"
"""Stands for a number that was not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, below the heading of its group if it has one. Numbers are aligned to the right.

    best: which of its numbers is the best one, if any is. spare: a narrow terminal leaves the column out first.
    """

    name: str
    group: str = ""
    number: bool = False
    best: Best = ""
    spare: bool = False

    @property
    def flat(self) -> str:
        """Both headings on one line."""
        return f"{self.group} {self.name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of text. Every row has a cell for each column; notes come below.

    caption: what the table shows, where a format has a place for it; else it is the first note. blocks: a name for each
    row; numbers are compared within rows of one name. Empty: all rows are one block. incomplete: rows, each with a
    group of columns in which attempts are pending, so that its numbers there are never the best. compact: for a narrow
    place.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    caption: str = ""
    blocks: Sequence[str] = ()
    incomplete: Collection[tuple[int, str]] = ()
    compact: bool = False

    def find_best(self) -> set[tuple[int, int]]:
        """The places (row, column) of the best numbers as they are printed, ties included. A block in which a column
        has only one complete number has none.
        """
        blocks = self.blocks or [""] * len(self.rows)
        found: set[tuple[int, int]] = set()
        for place, column in enumerate(self.columns):
            for block in dict.fromkeys(blocks) if column.best else ():
                numbers = {
                    row: float(match[0])
                    for row, cells in enumerate(self.rows)
                    if blocks[row] == block
                    and (row, column.group) not in self.incomplete
                    and (match := _NUMBER.match(cells[place]))
                }
                best = (max if column.best == "high" else min)(numbers.values(), default=None)
                found |= {(row, place) for row, number in numbers.items() if number == best and len(numbers) > 1}
        return found


def write_markdown(grid: Grid) -> str:
    """Writes a GitHub table whose columns are aligned in plain text too."""
    head = [_md(column.flat) for column in grid.columns]
    rows = [[_md(cell) for cell in row] for row in grid.rows]
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    right = [column.number for column in grid.columns]
    rule = ["-" * (width - 1) + ":" if number else "-" * width for width, number in zip(widths, right, strict=True)]
    padded = [
        [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ]
        for row in (head, *rows)
    ]
    lines = [f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:])]
    notes = [f"\n{_md(note)}" for note in grid.notes]
    return "\n".join([*lines, *notes]) + "\n"


def write_html(grid: Grid) -> str:
    """Writes a small HTML document."""
    groups = group_columns(grid)
    lines = ["<!doctype html>", '<html lang="en"><meta charset="utf-8"><title>scale report</title>', _STYLE, "<table>"]
    lines.append("<thead>")
    if any(name for name, _ in groups):
        lines.append(_tr(f'<th colspan="{span}">{_html(name)}</th>' for name, span in groups))
    lines.append(_tr(f"<th>{_html(column.name)}</th>" for column in grid.columns))
    lines.append("</thead><tbody>")
    for row in grid.rows:
        cells = zip(row, grid.columns, strict=True)
        lines.append(_tr(f"<td{' class=n' if column.number else ''}>{_html(cell)}</td>" for cell, column in cells))
    lines.append("</tbody></table>")
    lines += [f"<p>{_html(note)}</p>" for note in grid.notes]
    return "\n".join([*lines, "</html>"]) + "\n"


def write_csv(grid: Grid) -> str:
    """Writes RFC 4180 with one heading row and no notes. A quote precedes what a spreadsheet takes for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_defuse(column.flat) for column in grid.columns])
    writer.writerows([map(_defuse, row) for row in grid.rows])
    return text.getvalue()


_STYLE = (
    "<style>body{font:14px/1.5 sans-serif}table{border-collapse:collapse}thead{border-bottom:1px solid}"
    "td,th{padding:2px 10px;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}</style>"
)


def group_columns(grid: Grid) -> list[tuple[str, int]]:
    """The headings of groups with the number of their columns, in order."""
    return [(name, len(list(columns))) for name, columns in groupby(column.group for column in grid.columns)]


def _tr(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def plain(text: str) -> str:
    """The text on one line, without control, format and private characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _md(text: str) -> str:
    escaped = re.sub(r"[\\`*_|<>&~$#]|\](?=[\[(:])", r"\\\g<0>", plain(text))
    return escaped.replace("://", r"\://")


def _html(text: str) -> str:
    return html.escape(plain(text))


_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _defuse(text: str) -> str:
    line = plain(text)
    formula = line.startswith(("=", "+", "-", "@")) and line != "-" and not _NUMBER.fullmatch(line)
    return f"'{line}" if formula else line


def percent(share: float | None) -> str:
    """A share in percent, to two decimals."""
    return NOTHING if share is None else f"{share * 100:.2f}"


def span(low: float | None, high: float | None) -> str:
    """An interval of shares in percent; empty if there is none."""
    return "" if low is None or high is None else f"[{low * 100:.1f}, {high * 100:.1f}]"


def count(mean: float | None) -> str:
    """A mean count, whole from 100 on."""
    return NOTHING if mean is None else f"{mean:.0f}" if mean >= 100 else f"{mean:.1f}"


def decimal(value: float | None) -> str:
    """A number to two decimals."""
    return NOTHING if value is None else f"{value:.2f}"
