"""Writes a table of text as Markdown, LaTeX (booktabs), HTML or CSV, and formats its numbers.

Decides escaping: a cell may have any text of a model or a user.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

NOTHING = "-"
"""Stands for a number that does not exist."""
UNKNOWN = "unknown"
"""Stands for a number that was not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, below the heading of its group if it has one. Numbers are aligned to the right."""

    name: str
    group: str = ""
    number: bool = False

    @property
    def flat(self) -> str:
        """Both headings on one line."""
        return f"{self.group} {self.name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of text. Every row has a cell for each column; notes come below."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


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


def write_latex(grid: Grid) -> str:
    r"""Writes a `table` that needs the booktabs package."""
    groups = _group_columns(grid)
    lines = [r"\begin{table}", r"\centering", r"\small"]
    lines += [rf"\begin{{tabular}}{{{''.join('r' if column.number else 'l' for column in grid.columns)}}}", r"\toprule"]
    if any(name for name, _ in groups):
        lines.append(" & ".join(rf"\multicolumn{{{span}}}{{c}}{{{_tex(name)}}}" for name, span in groups) + r" \\")
        start = 1
        for name, span in groups:
            if name:
                lines.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
            start += span
    lines += [" & ".join(_tex(column.name) for column in grid.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(map(_tex, row)) + r" \\" for row in grid.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip{{\footnotesize {_tex(note)}}}" for note in grid.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def write_html(grid: Grid) -> str:
    """Writes a small HTML document."""
    groups = _group_columns(grid)
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


WRITERS: Mapping[str, Callable[[Grid], str]] = {
    "md": write_markdown,
    "latex": write_latex,
    "html": write_html,
    "csv": write_csv,
}

_STYLE = (
    "<style>body{font:14px/1.5 sans-serif}table{border-collapse:collapse}thead{border-bottom:1px solid}"
    "td,th{padding:2px 10px;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}</style>"
)


def _group_columns(grid: Grid) -> list[tuple[str, int]]:
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


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    **{c: "\\" + c for c in "{}$&#_%"},
}


def _tex(text: str) -> str:
    # LaTeX takes a bracket at the start of a row for the argument of the `\\` before it.
    return re.sub(r"^\[", "{[}", "".join(_TEX.get(c, c) for c in plain(text)))


_NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


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
