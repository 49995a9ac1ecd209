"""The grid of a run's page: a row per problem, a box per sample, and what a filter shows, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.web.viewer.cell import Mark, Place, ViewedCell

BOXES = 1_200
"""Attempts on one page; a page has at least one problem."""
SAMPLES = 1_200
"""Boxes of one row; a number stands for further samples."""

FILTERS: Mapping[str, tuple[str, Callable[[Mark], bool]]] = {
    "wrong": ("Wrong", lambda mark: mark.correct is False),
    "unanswered": ("Unanswered", lambda mark: mark.answer is None and not mark.pending),
    "truncated": ("Truncated", lambda mark: mark.truncated),
    "unparsed": ("Unparsed", lambda mark: mark.unparsed),
    "failed": ("Failed", lambda mark: mark.failure is not None),
}
"""By the word in the address: the name of the filter, and the test of an attempt."""

KINDS = {
    "right": "right",
    "wrong": "wrong",
    "unanswered": "no answer",
    "ungraded": "answered, not graded",
    "pending": "pending after an infrastructure error",
    "absent": "not run yet",
}
GLYPHS = {"right": "✓", "wrong": "✕", "unanswered": "∅", "ungraded": "•", "pending": "!", "absent": "·"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to show: a word of FILTERS, steps over a number of tokens, problems or answers with these words."""

    show: str = ""
    over: int | None = None
    words: str = ""

    @property
    def active(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.show or self.words or self.over is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One attempt in the grid. `shown`: the filter matches it."""

    place: Place
    kind: str
    label: str
    marks: str
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One problem with its attempts; `further` samples have no box."""

    position: int
    id: str
    text: str
    boxes: tuple[Box, ...]
    right: int
    graded: int
    further: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One page of rows; `matching` attempts on `pages` pages in all."""

    rows: tuple[Row, ...]
    page: int
    pages: int
    matching: int
    problems: int


def make_grid(cell: ViewedCell, chosen: Filter, page: int) -> Grid:
    """The page (from 1) of the problems that have an attempt to show."""
    matches = _find_matches(cell, chosen) if chosen.active else {}
    listed = [n for n in range(len(cell.problems)) if n in matches or not chosen.active]
    size = max(1, BOXES // cell.manifest.samples)
    pages = max(1, -(-len(listed) // size))
    page = min(max(page, 1), pages)
    rows = tuple(_make_row(cell, n, matches.get(n, set()), chosen) for n in listed[(page - 1) * size : page * size])
    return Grid(
        rows=rows,
        page=page,
        pages=pages,
        matching=sum(map(len, matches.values())) if chosen.active else len(cell.marks),
        problems=len(listed),
    )


def _find_matches(cell: ViewedCell, chosen: Filter) -> dict[int, set[int]]:
    """The samples to show per problem. Words are searched in problems' ids and texts and in answers."""
    words = chosen.words.casefold()
    long = None if chosen.over is None else cell.find_long(chosen.over)
    named = {n for n, p in enumerate(cell.problems) if words in p.text.casefold() or words in p.id.casefold()}
    keep = FILTERS[chosen.show][1] if chosen.show else None
    found: dict[int, set[int]] = {}
    for (position, sample), mark in list(cell.marks.items()):
        if keep is not None and not keep(mark):
            continue
        if long is not None and (position, sample) not in long:
            continue
        if position not in named and words not in (mark.answer or "").casefold():
            continue
        found.setdefault(position, set()).add(sample)
    return found


def _make_row(cell: ViewedCell, position: int, matches: set[int], chosen: Filter) -> Row:
    problem, samples = cell.problems[position], cell.manifest.samples
    marks = [cell.marks.get((position, sample)) for sample in range(samples)]
    return Row(
        position=position,
        id=problem.id,
        text=problem.text,
        boxes=tuple(
            _make_box((position, sample), mark, sample in matches or not chosen.active)
            for sample, mark in enumerate(marks[:SAMPLES])
        ),
        right=sum(mark is not None and mark.correct is True for mark in marks),
        graded=sum(mark is not None and mark.correct is not None for mark in marks),
        further=max(0, samples - SAMPLES),
    )


def name_kind(mark: Mark | Outcome | None) -> str:
    """The kind of an attempt: a word of KINDS."""
    if mark is None:
        return "absent"
    if mark.pending:
        return "pending"
    if mark.answer is None:
        return "unanswered"
    if mark.correct is None:
        return "ungraded"
    return "right" if mark.correct else "wrong"


def _make_box(place: Place, mark: Mark | None, shown: bool) -> Box:  # noqa: FBT001  two fields of the box
    kind = name_kind(mark)
    label = [f"sample {place[1] + 1}: {KINDS[kind]}"]
    marks = ""
    if mark is not None:
        answer = [f"answer {mark.answer[:60]}"] if mark.answer else []
        failure = [mark.failure] if mark.failure and mark.failure != "unanswered" else []
        tokens = mark.usage.completion_tokens
        flags = [word for word, flag in (("truncated", mark.truncated), ("unparsed", mark.unparsed)) if flag]
        label += [
            *answer,
            *dict.fromkeys((*failure, *flags)),
            "tokens unknown" if tokens is None else f"{tokens:,} tokens",
        ]
        marks = " ".join(flags)
    return Box(place=place, kind=kind, label=", ".join(label), marks=marks, shown=shown)
