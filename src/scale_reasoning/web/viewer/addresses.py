"""The name of each page: one flat folder, so that a link is the same on the server and in an export.

Only a search adds a query to an address; an export has no search.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from scale_reasoning.web.viewer.cell import Place, ViewedCell
from scale_reasoning.web.viewer.grid import FILTERS, Filter

HOME = "index.html"
_CELL = r"r(?P<run>\d{1,6})-c(?P<cell>\d{1,6})"
CELL = re.compile(_CELL)
RUN = re.compile(rf"{_CELL}(?:-(?P<show>{'|'.join(FILTERS)}))?(?:-(?P<page>\d{{1,6}}))?\.html")
WHOLE = re.compile(r"r(?P<run>\d{1,6})-(?P<what>losses|reliability)\.html")
TABLE = re.compile(rf"{_CELL}-whatif\.json")
TRACE = re.compile(rf"{_CELL}-p(?P<problem>\d{{1,9}})-s(?P<sample>\d{{1,9}})(?P<calls>-calls)?\.html")
COMPARISON = re.compile(
    r"compare-(?P<left>r\d+-c\d+)-(?P<right>r\d+-c\d+)-p(?P<problem>\d{1,9})-s(?P<l>\d{1,9})-s(?P<r>\d{1,9})\.html"
)


def name_run(cell: ViewedCell, chosen: Filter = Filter(), page: int = 1) -> str:  # noqa: B008  frozen
    """The address of a page of a cell's grid."""
    name = name_cell(cell) + (f"-{chosen.show}" if chosen.show else "") + (f"-{page}" if page > 1 else "")
    query = {key: value for key, value in (("over", chosen.over), ("words", chosen.words)) if value not in (None, "")}
    return f"{name}.html" + (f"?{urlencode(query)}" if query else "")


def name_losses(cell: ViewedCell) -> str:
    """The address of the page that says where the attempts of a cell's run are lost."""
    return f"r{cell.run}-losses.html"


def name_reliability(cell: ViewedCell) -> str:
    """The address of the page that says how well the difficulties of a cell's run predict failures."""
    return f"r{cell.run}-reliability.html"


def name_table(cell: ViewedCell) -> str:
    """The address of what a cell did at every value of its number."""
    return f"{name_cell(cell)}-whatif.json"


def name_trace(cell: ViewedCell, place: Place) -> str:
    """The address of an attempt's page."""
    return f"{name_cell(cell)}-p{place[0]}-s{place[1]}.html"


def name_calls(cell: ViewedCell, place: Place) -> str:
    """The address of the page with an attempt's calls and their messages."""
    return f"{name_cell(cell)}-p{place[0]}-s{place[1]}-calls.html"


def name_comparison(left: ViewedCell, right: ViewedCell, position: int, samples: tuple[int, int]) -> str:
    """The address of two attempts at one problem side by side; `position` is the problem's in the left cell."""
    return f"compare-{name_cell(left)}-{name_cell(right)}-p{position}-s{samples[0]}-s{samples[1]}.html"


def name_cell(cell: ViewedCell) -> str:
    """A cell's name in addresses."""
    return f"r{cell.run}-c{cell.cell}"
