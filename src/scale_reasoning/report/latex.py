r"""Writes a table of text as a complete LaTeX `table` for a paper: caption, label, booktabs' rules, best numbers bold.

Decides escaping: a cell may have any text of a model or a user.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

from scale_reasoning.report.formats import Grid, group_columns, plain

LABEL = "tab:scale"
NARROW, GAP = 44, 2
"""Characters of a table that is no wider than a page's column, and of the space between two columns."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "--": "-{}-",  # else one dash
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "…": r"\ldots{}",
    "\u2013": "--",
    "\u2014": "---",
    "\u2018": "`",
    "\u2019": "'",
    "\u2212": "$-$",
    **{c: f"\\{c}" for c in "{}$&#_%"},
    **{c: f"${tex}$" for c, tex in {
        "τ": r"\tau", "×": r"\times", "±": r"\pm", "≤": r"\leq", "≥": r"\geq", "→": r"\rightarrow"
    }.items()},
}  # fmt: skip
_TOKEN = re.compile(r"(?P<tau>τ = (?P<value>-?[0-9]+(?:\.[0-9]+)?))|--|.", re.DOTALL)
_KNOWN = frozenset(string.printable) | _ESCAPES.keys() | frozenset("ÀÁÂÄÇÈÉÊËÍÎÏÑÓÔÖØÙÚÛÜßàáâäçèéêëíîïñóôöøùúûüæœłšž")
"""Characters that pdfLaTeX sets without a package."""
_MINUS = re.compile(r"(?<![\w.])-(?=[0-9])")
_NUMBER = re.compile(r"(?:\+|\$-\$)?[0-9.]+")


def write_latex(grid: Grid, label: str = LABEL) -> str:
    r"""Writes a `table`, or a `table*` if it is wide. `label` is for \ref.

    It needs the package booktabs, and graphicx if it is wide, as a comment in it says. The caption is the
    grid's, else its first note; the other notes are below the table.
    """
    wide = _count_characters(grid) > NARROW
    environment = "table*" if wide and not grid.compact else "table"
    caption, notes = (grid.caption, grid.notes) if grid.caption else (" ".join(grid.notes[:1]), grid.notes[1:])
    lines = [rf"\begin{{{environment}}}", *_list_needs(grid, wide=wide), r"\centering"]
    lines += [rf"\caption{{{escape(caption)}}}", rf"\label{{{_clean_label(label)}}}"]
    lines += [r"\footnotesize" if grid.compact else r"\small"] + [r"\setlength{\tabcolsep}{3pt}"] * grid.compact
    lines += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"] * wide
    lines += _write_tabular(grid)
    lines += ["}"] * wide
    lines += [rf"\par\smallskip{{\footnotesize\raggedright {escape(note)}\par}}" for note in notes]
    return "\n".join([*lines, rf"\end{{{environment}}}"]) + "\n"


def _count_characters(grid: Grid) -> int:
    """The width of the table, a wide one may be more than a page's column has."""
    texts = [[column.name for column in grid.columns], *grid.rows]
    return sum(max(map(len, column)) + GAP for column in zip(*texts, strict=True))


def _list_needs(grid: Grid, *, wide: bool) -> list[str]:
    """Comments that name the packages, and characters that only LuaLaTeX and XeLaTeX know."""
    texts = [grid.caption, *grid.notes, *(part for column in grid.columns for part in (column.group, column.name))]
    texts += [cell for row in grid.rows for cell in row]
    unknown = sorted({c for text in texts for c in plain(text)} - _KNOWN)
    needs = [rf"% needs \usepackage{{booktabs{',graphicx' * wide}}}"]
    return needs + [f"% pdflatex does not know {' '.join(unknown)}: use lualatex or xelatex"] * bool(unknown)


def _write_tabular(grid: Grid) -> Iterator[str]:
    groups = group_columns(grid)
    yield rf"\begin{{tabular}}{{{''.join('r' if column.number else 'l' for column in grid.columns)}}}"
    yield r"\toprule"
    if any(name for name, _ in groups):
        heads = (rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}" if name else " & " * (span - 1)
                 for name, span in groups)  # fmt: skip
        yield f"{' & '.join(heads).strip()} \\\\"
        yield " ".join(_write_rules(groups))
    yield f"{' & '.join(escape(column.name) for column in grid.columns)} \\\\"
    yield r"\midrule"
    best, blocks = grid.find_best(), grid.blocks or [""] * len(grid.rows)
    for row, cells in enumerate(grid.rows):
        if row and blocks[row] != blocks[row - 1]:
            yield r"\midrule"
        written = (_write_cell(grid, place, cell, is_best=(row, place) in best) for place, cell in enumerate(cells))
        yield f"{_guard(' & '.join(written))} \\\\"
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _write_rules(groups: Sequence[tuple[str, int]]) -> Iterator[str]:
    """A rule below each group's name."""
    start = 1
    for name, span in groups:
        if name:
            yield rf"\cmidrule(lr){{{start}-{start + span - 1}}}"
        start += span


def _guard(row: str) -> str:
    r"""LaTeX takes a bracket or a star at the start of a row for an argument of the `\\` before it."""
    return re.sub(r"^[\[*]", r"{\g<0>}", row)


def _write_cell(grid: Grid, place: int, cell: str, *, is_best: bool) -> str:
    """A cell: with minus signs, and with its first number bold if it is the best one."""
    text = escape(cell)
    if grid.columns[place].number:
        text = _MINUS.sub("$-$", text)
    return _NUMBER.sub(r"\\textbf{\g<0>}", text, count=1) if is_best else text


def _clean_label(label: str) -> str:
    r"""The label with only characters that \label takes."""
    return re.sub(r"[^A-Za-z0-9:.+-]+", "-", label)


def escape(text: str) -> str:
    """The text as LaTeX, on one line; `τ = 0.2` is one formula."""

    def replace(match: re.Match[str]) -> str:
        if match["tau"]:
            return rf"$\tau = {match['value']}$"
        return _ESCAPES.get(match[0], match[0])

    return _TOKEN.sub(replace, plain(text))
