"""Makes every page from the shelf: what is on it and where its links lead. The server and the export share them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scale_reasoning.errors import ScaleError
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.types import Record
from scale_reasoning.web.viewer.activity import State, describe_activity, find_pause
from scale_reasoning.web.viewer.addresses import (
    name_calls,
    name_comparison,
    name_losses,
    name_reliability,
    name_run,
    name_table,
    name_trace,
)
from scale_reasoning.web.viewer.cell import Place, ViewedCell
from scale_reasoning.web.viewer.comparisons import choose_pairs, list_comparisons
from scale_reasoning.web.viewer.finding import Finder, Found
from scale_reasoning.web.viewer.grid import FILTERS, Filter, make_grid
from scale_reasoning.web.viewer.losses import can_lose, compute_losses, make_loss_page
from scale_reasoning.web.viewer.neighbours import Neighbours, find_neighbours
from scale_reasoning.web.viewer.reliability import can_measure, compute_reliability
from scale_reasoning.web.viewer.rendering import POLICY, render
from scale_reasoning.web.viewer.sentences import write_table
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.views import View, find_messages, make_view
from scale_reasoning.web.viewer.whatif import Range

PATIENCE = 0.3
"""Seconds that a live page waits for numbers; an export waits until they are there."""


class Pages:
    """The pages of a shelf. Live ones show what is known so far; those of an export wait for all of it."""

    def __init__(self, shelf: Shelf, *, live: bool) -> None:
        self.shelf, self.live = shelf, live
        self._losses = Finder(shelf.pool, compute_losses)
        self._reliability = Finder(shelf.pool, compute_reliability)
        self._read = set[ViewedCell]()
        self._compared = None if live else choose_pairs(shelf)

    def make_home(self) -> str:
        """The list of runs, a row per cell."""
        deadline = self._find_deadline()
        if self.live:
            self.shelf.look_again()
        listed = [self._list_run(cells, deadline) for cells in self.shelf.group_cells()]
        rows = [row for run in listed for row in run["rows"]]
        counting = any(_is_counting(row["found"]) and not row["broken"] for row in rows)
        return self._render(
            "home.html",
            listed=listed,
            rows=rows,
            broken=[{"run": each.folder.name, "reason": each.reason} for each in self.shelf.broken],
            runs=len(self.shelf.runs),
            here="home",
            live=self.live and find_pause(*self._list_states(listed), counting=counting),
        )

    def _list_states(self, listed: Sequence[Mapping[str, Any]]) -> list[State]:
        """What the runs do; one that cannot be read may be readable later, as one that is stopped may be resumed."""
        states = [run["activity"].state if run["activity"] else State.STOPPED for run in listed]
        return [*states, *(State.STOPPED for _ in self.shelf.broken)]

    def _list_run(self, cells: Sequence[ViewedCell], deadline: float | None) -> dict[str, Any]:
        """A run with its rows. One that cannot be read has neither progress nor activity."""
        rows = [self._make_row(cell, deadline) for cell in cells]
        run = {"title": cells[0].title, "folder": cells[0].folder.name, "rows": rows, "activity": None}
        if any(row["broken"] for row in rows):
            return run
        planned, pending = sum(cell.planned for cell in cells), sum(cell.pending for cell in cells)
        activity = describe_activity(cells[0].folder, pending, cells[0].created)
        return {**run, "done": planned - pending, "planned": planned, "activity": activity}

    def _make_row(self, cell: ViewedCell, deadline: float | None) -> dict[str, Any]:
        row = {**_describe(cell), "href": name_run(cell), "found": None, "broken": None}
        try:
            self._refresh(cell)
            return {**row, "found": cell.summarise(deadline)}
        except ScaleError as error:
            return {**row, "broken": str(error)}

    def _refresh(self, cell: ViewedCell) -> None:
        """Reads what was written since the last page; an export shows the cell as it was at its first page."""
        if self.live or cell not in self._read:
            cell.refresh()
            self._read.add(cell)

    def _find_deadline(self) -> float | None:
        return time.monotonic() + PATIENCE if self.live else None

    def make_run(self, cell: ViewedCell, chosen: Filter, page: int) -> str:
        """A cell's numbers and a page of its grid."""
        deadline = self._find_deadline()
        self._refresh(cell)
        grid, found = make_grid(cell, chosen, page), cell.summarise(deadline)
        activity = describe_activity(cell.folder, cell.pending, cell.created)
        filters = {"": "All", **{word: title for word, (title, _) in FILTERS.items()}}
        return self._render(
            "run.html",
            **_describe(cell),
            cell=cell,
            name_trace=name_trace,
            planned=cell.planned,
            activity=activity,
            found=found,
            number=cell.number,
            value=cell.value,
            histogram=cell.histogram,
            source=name_table(cell),
            losses=name_losses(cell) if can_lose(self.shelf.list_cells(cell.run)) else None,
            reliability=self._link_reliability(cell),
            table=None if self.live or cell.number is None else write_table(cell.fill_table()),
            grid=grid,
            chosen=chosen,
            filters=[(word, title, name_run(cell, replace(chosen, show=word))) for word, title in filters.items()],
            action=name_run(cell, Filter(show=chosen.show)),
            previous=name_run(cell, chosen, grid.page - 1) if grid.page > 1 else None,
            following=name_run(cell, chosen, grid.page + 1) if grid.page < grid.pages else None,
            live=self.live and find_pause(activity.state, counting=_is_counting(found)),
        )

    def _link_reliability(self, cell: ViewedCell) -> str | None:
        measured = any(can_measure(each.strategy) for each in self.shelf.list_cells(cell.run))
        return name_reliability(cell) if measured else None

    def make_losses(self, cells: Sequence[ViewedCell]) -> str:
        """Where the attempts of a run are lost; `cells` are all its cells."""
        deadline = self._find_deadline()
        for cell in cells:
            self._refresh(cell)
        found = self._losses.find(cells[0].folder, deadline)
        return self._render(
            "losses.html",
            run=cells[0].title,
            up=name_run(cells[0]),
            found=found,
            shown=None if found is None else make_loss_page(found.value, cells, name_trace),
            live=self.live and self._find_run_pause(cells, counting=_is_counting(found)),
        )

    def make_reliability(self, cells: Sequence[ViewedCell]) -> str:
        """How well the difficulties of a run predict failures; `cells` are all its cells."""
        deadline = self._find_deadline()
        for cell in cells:
            self._refresh(cell)
        found = self._reliability.find(cells[0].folder, deadline)
        return self._render(
            "reliability.html",
            run=cells[0].title,
            up=name_run(cells[0]),
            found=found,
            live=self.live and self._find_run_pause(cells, counting=_is_counting(found)),
        )

    def make_trace(self, cell: ViewedCell, place: Place) -> str:
        """One attempt."""
        self._refresh(cell)
        view = make_view(cell, place, lambda sample: name_trace(cell, (place[0], sample)))
        return self._render(
            "trace.html",
            view=_add_ranges(cell, place, view),
            near=_find_near(cell, place, lambda other: name_trace(cell, other)),
            up=name_run(cell),
            calls=name_calls(cell, place),
            others=[(_label(other), href) for other, href in list_comparisons(self.shelf, cell, place, self._compared)],
            live=self.live and view.kind in ("absent", "pending") and self._find_run_pause([cell]),
        )

    def _find_run_pause(self, cells: Sequence[ViewedCell], *, counting: bool = False) -> int:
        state = describe_activity(cells[0].folder, sum(cell.pending for cell in cells)).state
        return find_pause(state, counting=counting)

    def make_calls(self, cell: ViewedCell, place: Place) -> str:
        """The calls of one attempt with their messages."""
        self._refresh(cell)
        return self._render(
            "calls.html",
            view=make_view(cell, place, lambda sample: name_calls(cell, (place[0], sample))),
            near=_find_near(cell, place, lambda other: name_calls(cell, other)),
            up=name_run(cell),
            back=name_trace(cell, place),
            messages=find_messages(cell, place),
        )

    def make_comparison(self, left: ViewedCell, right: ViewedCell, position: int, samples: tuple[int, int]) -> str:
        """Two attempts at one problem, which the right cell must have. Those of an export link to no other samples."""
        places = (position, samples[0]), (right.positions[left.problems[position].id], samples[1])
        self._refresh(left)
        self._refresh(right)
        one = make_view(left, places[0], lambda n: name_comparison(left, right, position, (n, samples[1])), "left-")
        two = make_view(right, places[1], lambda n: name_comparison(left, right, position, (samples[0], n)), "right-")
        one, two = (
            replace(view, href=name_trace(cell, place), siblings=view.siblings if self.live else ())
            for view, cell, place in zip((one, two), (left, right), places, strict=True)
        )
        near = find_neighbours(
            (position, 0),
            problems=len(left.problems),
            samples=1,
            has=lambda other: _have_both(left, right, other[0], samples),
            href=lambda other: name_comparison(left, right, other[0], samples),
        )
        most = max(one.most, two.most)
        return self._render("compare.html", left=one, right=two, near=near, most=most, brief=not self.live, live=False)

    def make_error(self, reason: str) -> str:
        """A page that says why there is no other."""
        return self._render("missing.html", reason=reason)

    def _render(self, template: str, **shown: Any) -> str:
        return render(template, policy=None if self.live else POLICY, interactive=self.live, **shown)


def _is_counting(found: Found[Any] | None) -> bool:
    """Whether a newer result is being computed."""
    return found is None or not found.newest


def _describe(cell: ViewedCell) -> dict[str, Any]:
    return {
        "run": cell.title,
        "strategy": cell.spec.strategy["name"],
        "options": cell.options,
        "model": cell.model,
        "dataset": cell.spec.dataset.name,
    }


def _label(cell: ViewedCell) -> str:
    options = "".join(f", {key} {value}" for key, value in cell.options.items())
    return f"{cell.title}: {cell.spec.strategy['name']}{options} on {cell.model}"


def _find_near(cell: ViewedCell, place: Place, href: Callable[[Place], str]) -> Neighbours:
    return find_neighbours(
        place, problems=len(cell.problems), samples=cell.manifest.samples, has=cell.marks.__contains__, href=href
    )


def _have_both(left: ViewedCell, right: ViewedCell, position: int, samples: tuple[int, int]) -> bool:
    """Whether both cells have their attempt at the problem that is at `position` in the left one."""
    there = right.positions.get(left.problems[position].id)
    return (position, samples[0]) in left.marks and there is not None and (there, samples[1]) in right.marks


def _add_ranges(cell: ViewedCell, place: Place, view: View) -> View:
    """Adds what other values would have done, or why this is unknown."""
    if cell.number is None or cell.value is None or view.record is None:
        return view
    try:
        ranges = cell.find_ranges(place)
    except ScaleError as error:
        return replace(view, trouble=f"The attempt cannot be replayed: {error}.")
    if _reproduces(ranges, cell.value, view.record):
        return replace(view, ranges=ranges)
    trouble = (
        f"The journal does not give this attempt again at its own {cell.number.option}: prompts, profiles or the "
        "grader have changed since the run, so other values would show another run."
    )
    return replace(view, trouble=trouble)


def _reproduces(ranges: Sequence[Range], value: float, record: Record) -> bool:
    """Whether the journal gives what was recorded; a pending attempt has no outcome to compare."""
    own = next(each.outcome for each in ranges if value in each)
    recorded = outcome_of(record)
    if recorded.pending:
        return True
    return own is not None and (own.answer, own.correct, own.usage) == (
        recorded.answer,
        recorded.correct,
        recorded.usage,
    )
