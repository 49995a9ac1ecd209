"""Every page by its address, for the server and for an export."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from scale_reasoning.web.viewer.addresses import CELL, COMPARISON, HOME, RUN, TABLE, TRACE, WHOLE
from scale_reasoning.web.viewer.cell import ViewedCell
from scale_reasoning.web.viewer.grid import Filter
from scale_reasoning.web.viewer.pages import Pages
from scale_reasoning.web.viewer.rendering import FILES, read_asset
from scale_reasoning.web.viewer.sentences import write_table
from scale_reasoning.web.viewer.shelf import Shelf

HIGHEST = 10_000_000


class NotFound(Exception):
    """There is no such page; the message says what is missing."""


class Site:
    """The pages of a shelf. `live`: a server's, which show what is known so far; else an export's."""

    def __init__(self, shelf: Shelf, *, live: bool) -> None:
        self.shelf = shelf
        self.pages = Pages(shelf, live=live)

    def make_page(self, name: str, query: Mapping[str, str]) -> tuple[str, str]:
        """Makes the body of a page; returns it with its type. Raises NotFound, and ScaleError for a broken run."""
        if name in ("", HOME):
            return self.pages.make_home(), "text/html"
        if name in FILES:
            return read_asset(name), FILES[name]
        if match := RUN.fullmatch(name):
            chosen = Filter(
                show=match["show"] or "", over=_read_number(query, "over"), words=query.get("words", "").strip()[:200]
            )
            return self.pages.make_run(self._find_cell(match), chosen, int(match["page"] or 1)), "text/html"
        if match := WHOLE.fullmatch(name):
            return self._make_whole(match), "text/html"
        if match := TABLE.fullmatch(name):
            cell = self._find_cell(match)
            if cell.number is None:
                raise NotFound("This strategy has no number to move.")
            cell.refresh()
            return msgspec.json.encode(write_table(cell.start_table())).decode(), "application/json"
        if match := TRACE.fullmatch(name):
            cell, place = self._find_cell(match), (int(match["problem"]), int(match["sample"]))
            _check_attempt(cell, *place)
            return (self.pages.make_calls if match["calls"] else self.pages.make_trace)(cell, place), "text/html"
        if match := COMPARISON.fullmatch(name):
            return self._make_comparison(match), "text/html"
        raise NotFound("There is no such page.")

    def _make_whole(self, match: re.Match[str]) -> str:
        """A page about all cells of a run."""
        if not (cells := self.shelf.list_cells(int(match["run"]))):
            raise NotFound("There is no such run.")
        make = self.pages.make_losses if match["what"] == "losses" else self.pages.make_reliability
        return make(cells)

    def _find_cell(self, match: re.Match[str] | None) -> ViewedCell:
        found = self.shelf.find_cell(int(match["run"]), int(match["cell"])) if match else None
        if found is None:
            raise NotFound("There is no such run.")
        return found

    def _make_comparison(self, match: re.Match[str]) -> str:
        left, right = (self._find_cell(CELL.fullmatch(match[side])) for side in ("left", "right"))
        position, samples = int(match["problem"]), (int(match["l"]), int(match["r"]))
        _check_attempt(left, position, samples[0])
        if left.problems[position].id not in right.positions:
            raise NotFound("The other run does not have this problem.")
        _check_attempt(right, 0, samples[1])
        return self.pages.make_comparison(left, right, position, samples)


def _check_attempt(cell: ViewedCell, position: int, sample: int) -> None:
    if position >= len(cell.problems) or sample >= cell.manifest.samples:
        raise NotFound("The run has no such attempt.")


def _read_number(query: Mapping[str, str], key: str) -> int | None:
    text = query.get(key, "")
    return min(int(text), HIGHEST) if text.isascii() and text.isdecimal() and len(text) < 12 else None
