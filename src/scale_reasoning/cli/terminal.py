"""A table on a terminal: aligned, coloured, as wide as the terminal. The words of models and users are never markup."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scale_reasoning.report.formats import NOTHING, UNKNOWN, Grid, plain

NARROWEST, UNKNOWN_WIDTH, FILE_WIDTH = 40, 100, 120
"""Characters of the narrowest terminal that a table is made for, of one that does not say, and of a line in a file."""
LONG, SHORT = 24, 8
"""Characters that a column of text keeps before other columns are left out, and in the end."""
GAP = 2
KEPT = ("Acc", "average Acc", "B - A", "net", "AUROC", "paper", "ours")
"""What the headings of numbers begin with that are never left out."""
BEST = "bold green"
WORDS = {"compatible": "green", "chosen": BEST, "above": "cyan", "below": "red", UNKNOWN: "dim", NOTHING: "dim"}
"""Colours of cells that begin with a word."""


def write_terminal(grid: Grid, stream: TextIO | None) -> str:
    """Writes the table for the terminal behind `stream`; without colours if it is none, or if NO_COLOR is set. None
    stands for a file: it gets no colours and lines of FILE_WIDTH characters.
    """
    width = FILE_WIDTH if stream is None else max(NARROWEST, _find_width(stream))
    text = io.StringIO()
    coloured = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    console = Console(file=text, width=width, force_terminal=coloured, highlight=False, legacy_windows=False)
    sheet = fit(Sheet(grid=grid, cells=[[plain(cell) for cell in row] for row in grid.rows]), width)
    for name, value in sheet.shared.items():
        console.print(Text.assemble((f"{name}: ", "dim"), value))
    if sheet.total > width:
        _print_cards(console, sheet)
    else:
        console.print(_make_table(sheet))
    for note in grid.notes:
        console.print(Padding(Text(plain(note), "dim"), (0, 0, 0, 1)))
    if sheet.left_out:
        names = ", ".join(dict.fromkeys(sheet.left_out))
        what = "This terminal" if stream is not None else f"A line of {FILE_WIDTH} characters"
        console.print(Text(f" {what} is too narrow for {names}: --format md has all columns.", "yellow"))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _find_width(stream: TextIO) -> int:
    """The width of the terminal behind a stream; COLUMNS says another."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or UNKNOWN_WIDTH
    except (OSError, ValueError):  # no terminal, or no file at all
        return UNKNOWN_WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table to fit. shown: the columns that it has; limits: the most characters of some of them; shared: what all
    rows have in common, by its heading; left_out: headings of columns that are not shown. broken: intervals and counts
    are below their numbers.
    """

    grid: Grid
    cells: Sequence[Sequence[str]]
    hidden: frozenset[int] = frozenset()
    limits: Mapping[int, int] = field(default_factory=dict[int, int])
    shared: Mapping[str, str] = field(default_factory=dict[str, str])
    left_out: tuple[str, ...] = ()
    broken: bool = False

    @property
    def shown(self) -> list[int]:
        """The places of the columns that are shown."""
        return [place for place in range(len(self.grid.columns)) if place not in self.hidden]

    def head(self, place: int) -> list[str]:
        """A column's heading, below that of its group if it is the first one of it."""
        column, before = self.grid.columns[place], [each for each in self.shown if each < place]
        first = not before or self.grid.columns[before[-1]].group != column.group
        name = re.sub(r" (?=[\[(])", "\n", column.name) if self.broken else column.name
        groups = [plain(column.group) if first else ""] if any(each.group for each in self.grid.columns) else []
        return [*groups, *plain_lines(name)]

    def lines(self, row: int, place: int) -> list[str]:
        """A cell's lines, before it is wrapped."""
        cell = self.cells[row][place]
        return re.sub(r" (?=[\[(])", "\n", cell).split("\n") if self.broken and _is_number(self, place) else [cell]

    def width(self, place: int) -> int:
        """The characters that a column takes."""
        texts = [*self.head(place), *(line for row in range(len(self.cells)) for line in self.lines(row, place))]
        return min(max(map(cell_len, texts), default=0), self.limits.get(place, 10_000))

    @property
    def total(self) -> int:
        """The characters that all columns take."""
        return sum(map(self.width, self.shown)) + GAP * max(0, len(self.shown) - 1)


def plain_lines(text: str) -> list[str]:
    """The lines of a text, without control characters."""
    return [plain(line) for line in text.split("\n")]


def _is_number(sheet: Sheet, place: int) -> bool:
    """Whether the column has numbers; rows that are named by their runs are texts."""
    column = sheet.grid.columns[place]
    return column.number and not (column.name == "row" and any(":" in row[place] for row in sheet.cells))


def fit(sheet: Sheet, width: int) -> Sheet:
    """Makes a table as narrow as the terminal, in this order: what all rows share goes above it; texts are wrapped;
    spare columns are left out; intervals and counts go below their numbers; other columns are left out, but no text and
    no accuracy; texts are wrapped more. The result may still be too wide.
    """
    if sheet.total > width:
        sheet = _leave_out(_wrap(_share(sheet), width, LONG), width, spare=True)
    if sheet.total > width:
        sheet = _wrap(replace(sheet, broken=True, limits={}), width, LONG)
        sheet = _wrap(_leave_out(sheet, width, spare=False), width, SHORT)
    return sheet


def _leave_out(sheet: Sheet, width: int, *, spare: bool) -> Sheet:
    """Leaves out columns by their names, the last one first, until the table fits; only spare ones if `spare`."""
    while sheet.total > width and (name := _choose_next(sheet, spare=spare)) is not None:
        places = {place for place in sheet.shown if sheet.grid.columns[place].name == name}
        sheet = replace(sheet, hidden=sheet.hidden | places, limits={}, left_out=(name, *sheet.left_out))
        sheet = _wrap(sheet, width, LONG)
    return sheet


def _share(sheet: Sheet) -> Sheet:
    """Takes out the columns of texts in which all rows say the same, if there are several rows."""
    shared = {
        place: values.pop()
        for place in sheet.shown
        if not _is_number(sheet, place) and len(values := {row[place] for row in sheet.cells}) == 1
    }
    if len(sheet.cells) < 2:
        return sheet
    names = {sheet.grid.columns[place].flat: value for place, value in shared.items()}
    return replace(sheet, hidden=sheet.hidden | shared.keys(), shared=names)


def _wrap(sheet: Sheet, width: int, shortest: int) -> Sheet:
    """Limits the widest columns of texts, one character after another, down to `shortest`."""
    widths = {place: sheet.width(place) for place in sheet.shown if not _is_number(sheet, place)}
    over = sheet.total - width
    while over > 0 and widths and max(widths.values()) > shortest:
        widest = max(widths, key=lambda place: widths[place])
        widths[widest] -= 1
        over -= 1
    return replace(sheet, limits={**sheet.limits, **widths})


def _choose_next(sheet: Sheet, *, spare: bool) -> str | None:
    """The name of the columns to leave out next; None if there is none."""
    columns = [sheet.grid.columns[place] for place in sheet.shown if _is_number(sheet, place)]
    able = [each.name for each in columns if not each.name.startswith(KEPT) and each.name != "row"]
    found = [each.name for each in columns if each.spare and each.name in able] if spare else able
    return found[-1] if found else None


def _make_table(sheet: Sheet) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    best = sheet.grid.find_best()
    for place in sheet.shown:
        justify = "right" if _is_number(sheet, place) else "left"
        head = Text("\n".join(sheet.head(place)))
        table.add_column(head, justify=justify, width=sheet.width(place), overflow="fold")
    blocks = sheet.grid.blocks or [""] * len(sheet.cells)
    for row in range(len(sheet.cells)):
        if row and blocks[row] != blocks[row - 1] and len(set(blocks)) < len(blocks):
            table.add_section()
        table.add_row(*(_style(sheet, row, place, is_best=(row, place) in best) for place in sheet.shown))
    return table


def _print_cards(console: Console, sheet: Sheet) -> None:
    """Prints a few lines per row, for a terminal that is too narrow for any table: its texts, then its numbers."""
    best, sheet = sheet.grid.find_best(), replace(sheet, broken=False)
    for row in range(len(sheet.cells)):
        texts = [place for place in sheet.shown if not _is_number(sheet, place) or place == 0]
        console.print(Text("  ").join(_style(sheet, row, place, is_best=False) for place in texts))
        for place in sheet.shown:
            if place not in texts:
                name = Text(f"  {plain(sheet.grid.columns[place].flat)}: ", "dim")
                console.print(Text.assemble(name, _style(sheet, row, place, is_best=(row, place) in best)))


def _style(sheet: Sheet, row: int, place: int, *, is_best: bool) -> Text:
    """A cell in its colours: a row's number and what is unknown are dim, the best number is green."""
    text = Text("\n".join(sheet.lines(row, place)))
    if sheet.grid.columns[place].name == "row":
        text.stylize("dim")
    if is_best:
        text.stylize(BEST, 0, len(sheet.cells[row][place].partition(" ")[0]))
    elif style := next(
        (style for word, style in WORDS.items() if re.match(rf"{re.escape(word)}(?!\S)", text.plain)), ""
    ):
        text.stylize(style)
    text.highlight_regex("[†‡]", "bold yellow")
    return text
