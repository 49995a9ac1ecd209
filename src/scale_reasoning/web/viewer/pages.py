"""Every page, from the shelf to HTML: what stands on it and where its links lead.

The server and the export share them. Knows nothing of HTTP, nor of how a page is styled.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from scale_reasoning.errors import ScaleError
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.types import JSON, Record
from scale_reasoning.web.viewer.addresses import Addresses, name
from scale_reasoning.web.viewer.grid import FILTERS, Filter, grid
from scale_reasoning.web.viewer.rendering import POLICY, render
from scale_reasoning.web.viewer.shelf import Place, Shelf, Viewed
from scale_reasoning.web.viewer.views import View, messages_of, view_of
from scale_reasoning.web.viewer.whatif import GRID, Stretch, Table

PATIENCE = 0.3
"""Seconds after it was asked for that a page waits for numbers no more; an export waits for as long as it takes."""


class Pages:
    """The pages of a shelf. Live ones show what is known so far; the files of an export wait for all of it."""

    def __init__(self, shelf: Shelf, link: Addresses, *, compared: int | None = None) -> None:
        """`compared`: samples of each problem that have pages side by side; None is all, for any two samples."""
        self.shelf, self.link, self.compared = shelf, link, compared
        self.live = link.kind == "live"

    def home(self) -> str:
        """The list of runs, a row a cell."""
        until = self._until()
        rows = [self._row(cell, until) for cell in self.shelf.cells]
        waits = any(row["summary"] is None and not row["broken"] for row in rows)
        waits = waits or any(cell.pending for cell in self.shelf.cells)
        return self._page(
            "home.html",
            rows=rows,
            broken=[{"run": each.folder.name, "reason": each.reason} for each in self.shelf.broken],
            runs=len(self.shelf.runs),
            here="home",
            live=self.live and waits,
        )

    def _row(self, cell: Viewed, until: float | None) -> dict[str, Any]:
        row = {**_named(cell), "href": self.link.run(cell), "summary": None, "broken": None}
        try:
            cell.refresh()
            return {**row, "summary": cell.summary(until)}
        except ScaleError as error:
            return {**row, "broken": str(error)}

    def _until(self) -> float | None:
        return time.monotonic() + PATIENCE if self.live else None

    def run(self, cell: Viewed, chosen: Filter, page: int) -> str:
        """A cell's numbers and a page of its grid."""
        until = self._until()
        cell.refresh()
        shown, summary = grid(cell, chosen, page), cell.summary(until)
        return self._page(
            "run.html",
            **_named(cell),
            cell=cell,
            link=self.link,
            planned=cell.planned,
            summary=summary,
            tau=cell.tau,
            histogram=cell.histogram,
            source=f"{name(cell)}-whatif.json",
            table=None if self.live or cell.tau is None else told(cell.filled()),
            grid=shown,
            chosen=chosen,
            filters=self._filters(cell, chosen),
            action=f"{name(cell)}.html",
            previous=self.link.run(cell, chosen, shown.page - 1) if shown.page > 1 else None,
            following=self.link.run(cell, chosen, shown.page + 1) if shown.page < shown.pages else None,
            live=self.live and (bool(cell.pending) or summary is None),
        )

    def _filters(self, cell: Viewed, chosen: Filter) -> list[tuple[str, str, str]]:
        words = {"": "All", **{word: named for word, (named, _) in FILTERS.items()}}
        return [(word, named, self.link.run(cell, replace(chosen, show=word))) for word, named in words.items()]

    def trace(self, cell: Viewed, place: Place) -> str:
        """One attempt."""
        cell.refresh()
        view = self._with_stretches(
            cell, place, view_of(cell, place, lambda sample: self.link.trace(cell, (place[0], sample)))
        )
        others = [
            (_label(other), self._comparison(cell, other, place[0], samples))
            for other, samples in self.beside(cell, place)
        ]
        return self._page(
            "trace.html", view=view, up=self.link.run(cell), calls=self.link.calls(cell, place), others=others,
            live=self.live and view.kind in ("absent", "pending"),
        )  # fmt: skip

    def beside(self, cell: Viewed, place: Place) -> list[tuple[Viewed, tuple[int, int]]]:
        """The cells that have this problem too, with the two samples to look at first."""
        problem, sample = cell.problems[place[0]].id, place[1]
        if self.compared is not None and sample >= self.compared:
            return []
        return [
            (other, (sample, min(sample, other.manifest.samples - 1)))
            for other in self.shelf.cells
            if other is not cell and other.spec.dataset.name == cell.spec.dataset.name and problem in other.positions
        ]

    def _comparison(self, left: Viewed, right: Viewed, position: int, samples: tuple[int, int]) -> str:
        """The address; of a pair only one order is exported."""
        if self.live or self.shelf.cells.index(left) < self.shelf.cells.index(right):
            return self.link.compare(left, right, position, samples)
        other = right.positions[left.problems[position].id]
        return self.link.compare(right, left, other, (samples[1], samples[0]))

    def _with_stretches(self, cell: Viewed, place: Place, view: View) -> View:
        if cell.tau is None or view.record is None:
            return view
        try:
            found = cell.stretches(place)
        except ScaleError as error:
            return replace(view, trouble=f"The attempt cannot be made again: {error}.")
        if not _reproduces(found, cell.tau, view.record):
            told = "The journal does not give this attempt again at its own threshold: prompts, profiles or the grader"
            return replace(
                view, trouble=f"{told} have changed since, so what it gives at others would be of another run."
            )
        return replace(view, stretches=found)

    def calls(self, cell: Viewed, place: Place) -> str:
        """The calls of one attempt with their messages."""
        cell.refresh()
        view = view_of(cell, place, lambda sample: self.link.calls(cell, (place[0], sample)))
        return self._page(
            "calls.html", view=view, up=self.link.run(cell), back=self.link.trace(cell, place),
            messages=messages_of(cell, place),
        )  # fmt: skip

    def compare(self, left: Viewed, right: Viewed, position: int, samples: tuple[int, int]) -> str:
        """Two attempts at one problem; the right cell must have it."""
        other = right.positions[left.problems[position].id]
        left.refresh()
        right.refresh()

        def href(here: int, there: int) -> str:
            return self.link.compare(left, right, position, (here, there) if self.live else samples)

        one = view_of(left, (position, samples[0]), lambda n: href(n, samples[1]), prefix="left-")
        two = view_of(right, (other, samples[1]), lambda n: href(samples[0], n), prefix="right-")
        one = replace(one, href=self.link.trace(left, (position, samples[0])))
        two = replace(two, href=self.link.trace(right, (other, samples[1])))
        return self._page("compare.html", left=one, right=two, most=max(one.most, two.most), live=False)

    def missing(self, reason: str) -> str:
        """What stands where there is nothing."""
        return self._page("missing.html", reason=reason)

    def _page(self, template: str, **shown: Any) -> str:
        return render(template, policy=None if self.live else POLICY, interactive=self.live, **shown)


def told(table: Table) -> dict[str, JSON]:
    """A table of thresholds as the slider reads it: rows by tau, equal neighbours once."""
    rows: list[dict[str, JSON]] = []
    for tau, row in zip(GRID, table.rows, strict=True):
        values = asdict(row)
        if not rows or {**rows[-1], "tau": tau} != {"tau": tau, **values}:
            rows.append({"tau": tau, **values})
    return {"planned": table.planned, "done": table.done, "error": table.error, "rows": rows}


def _named(cell: Viewed) -> dict[str, Any]:
    return {
        "run": cell.folder.name,
        "strategy": cell.spec.strategy["name"],
        "options": cell.options(),
        "model": cell.model,
        "dataset": cell.spec.dataset.name,
    }


def _label(cell: Viewed) -> str:
    options = "".join(f", {key} {value}" for key, value in cell.options().items())
    return f"{cell.folder.name}: {cell.spec.strategy['name']}{options} on {cell.model}"


def _reproduces(found: Sequence[Stretch], tau: float, record: Record) -> bool:
    """Whether the journal gives what was recorded; what failed in the world has nothing to give again."""
    own = next(stretch.outcome for stretch in found if tau in stretch)
    was = outcome_of(record)
    if was.pending:
        return True
    return own is not None and (own.answer, own.correct, own.usage) == (was.answer, was.correct, was.usage)
