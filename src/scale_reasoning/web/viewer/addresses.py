"""Where each page is: one flat folder, so that a link is the same file name on the server and in an export.

The server takes filters, pages and comparisons as query parameters; an export has a file for each it was written with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from scale_reasoning.web.viewer.grid import Filter
from scale_reasoning.web.viewer.shelf import Place, Viewed

HOME = "index.html"
RUN = re.compile(r"r(?P<run>\d{1,6})-c(?P<cell>\d{1,6})\.html")
TRACE = re.compile(
    r"r(?P<run>\d{1,6})-c(?P<cell>\d{1,6})-p(?P<problem>\d{1,9})-s(?P<sample>\d{1,9})(?P<calls>-calls)?\.html"
)
NAME = re.compile(r"r(?P<run>\d{1,6})-c(?P<cell>\d{1,6})")


def name(cell: Viewed) -> str:
    """A cell's name in addresses."""
    return f"r{cell.run}-c{cell.cell}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Links between pages: `live` ones are answered by the server, `files` lie beside each other."""

    kind: Literal["live", "files"]

    def run(self, cell: Viewed, chosen: Filter | None = None, page: int = 1) -> str:
        """A page of a run."""
        chosen = chosen or Filter()
        if self.kind == "files":
            shown, number = (f"-{chosen.show}" if chosen.show else ""), (f"-{page}" if page > 1 else "")
            return f"{name(cell)}{shown}{number}.html"
        query = {"show": chosen.show, "over": chosen.over, "words": chosen.words, "page": page if page > 1 else None}
        said = urlencode({key: value for key, value in query.items() if value not in (None, "")})
        return f"{name(cell)}.html" + (f"?{said}" if said else "")

    def trace(self, cell: Viewed, place: Place) -> str:
        """An attempt's page."""
        return f"{name(cell)}-p{place[0]}-s{place[1]}.html"

    def calls(self, cell: Viewed, place: Place) -> str:
        """The page with an attempt's calls and their messages."""
        return f"{name(cell)}-p{place[0]}-s{place[1]}-calls.html"

    def compare(self, left: Viewed, right: Viewed, position: int, samples: tuple[int, int]) -> str:
        """Two attempts at one problem side by side; `position` is the left one's."""
        if self.kind == "files":
            return f"compare-{name(left)}-{name(right)}-p{position}-s{samples[0]}-s{samples[1]}.html"
        query = {"left": name(left), "right": name(right), "problem": position, "l": samples[0], "r": samples[1]}
        return f"compare.html?{urlencode(query)}"
