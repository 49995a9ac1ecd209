"""The same pages as files: a folder to send to somebody, which works from the disk and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from scale_reasoning.errors import ConfigError, ScaleError
from scale_reasoning.web.viewer.addresses import HOME, Addresses
from scale_reasoning.web.viewer.grid import FILTERS, Filter, grid
from scale_reasoning.web.viewer.pages import Pages
from scale_reasoning.web.viewer.rendering import FILES, asset
from scale_reasoning.web.viewer.shelf import Shelf, Viewed

COMPARISONS = 2_000
"""Pages with two attempts side by side: all samples, else the first of each problem, else none."""

Made: TypeAlias = tuple[str, Callable[[], str]]


def export(shelf: Shelf, out: Path) -> int:
    """Writes every page into a new or empty folder; how many. What cannot be read has a page that says so.

    Raises ConfigError where nothing can be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ConfigError(f"--html {out}: the folder is not empty; name a new one")
        written, missing = 0, Pages(shelf, Addresses("files")).missing
        for name, page in _pages(shelf):
            (out / name).write_text(_readable(page, missing), encoding="utf-8")
            written += 1
        for name in FILES:
            (out / name).write_text(asset(name), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--html {out}: {error}") from error
    return written


def _pages(shelf: Shelf) -> Iterator[Made]:
    link = Addresses("files")
    pages = Pages(shelf, link, compared=compared_samples(shelf))
    yield HOME, pages.home
    for cell in shelf.cells:
        try:
            cell.refresh()
        except ScaleError:  # the list of runs says so
            yield link.run(cell), partial(pages.run, cell, Filter(), 1)
            continue
        yield from _of_run(pages, link, cell)
        for place in sorted(cell.marks):
            yield link.trace(cell, place), partial(pages.trace, cell, place)
            yield link.calls(cell, place), partial(pages.calls, cell, place)
            for other, samples in pages.beside(cell, place):
                if shelf.cells.index(other) > shelf.cells.index(cell):
                    name = link.compare(cell, other, place[0], samples)
                    yield name, partial(pages.compare, cell, other, place[0], samples)


def _readable(page: Callable[[], str], missing: Callable[[str], str]) -> str:
    try:
        return page()
    except ScaleError as error:
        return missing(str(error))


def _of_run(pages: Pages, link: Addresses, cell: Viewed) -> Iterator[Made]:
    """A file for every filter and every page of it."""
    for word in ("", *FILTERS):
        chosen = Filter(show=word)
        for page in range(1, grid(cell, chosen, 1).pages + 1):
            yield link.run(cell, chosen, page), partial(pages.run, cell, chosen, page)


def compared_samples(shelf: Shelf) -> int:
    """How many samples of each problem an export can put side by side: all, the first, or none."""
    pairs = sum(
        sum(problem in right.positions for problem in left.positions)
        for left, right in combinations(shelf.cells, 2)
        if left.spec.dataset.name == right.spec.dataset.name
    )
    most = max(cell.manifest.samples for cell in shelf.cells)
    return next((samples for samples in (most, 1) if pairs * samples <= COMPARISONS), 0)
