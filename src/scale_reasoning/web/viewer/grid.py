"""The grid of a run page: a row a problem, a box a sample; which of them a filter shows, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scale_reasoning.web.viewer.shelf import Mark, Place, Viewed

BOXES = 1_200
"""Attempts on one page, at least one problem's."""
SAMPLES = 1_200
"""Boxes of one row; further samples are counted beside it."""

FILTERS: Mapping[str, tuple[str, Callable[[Mark], bool]]] = {
    "wrong": ("Wrong", lambda mark: mark.correct is False),
    "unanswered": ("Unanswered", lambda mark: mark.answer is None and not mark.pending),
    "truncated": ("Truncated", lambda mark: mark.truncated),
    "unparsed": ("Unparsed", lambda mark: mark.unparsed),
    "failed": ("Failed", lambda mark: mark.failure is not None),
}
"""By the word in the address: its name, and which attempts it shows."""

KINDS = {
    "right": "right",
    "wrong": "wrong",
    "unanswered": "no answer",
    "ungraded": "answered, not graded",
    "pending": "failed by the world, pending",
    "absent": "not run yet",
}
GLYPHS = {"right": "✓", "wrong": "✕", "unanswered": "∅", "ungraded": "•", "pending": "!", "absent": "·"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is shown: a word of FILTERS, steps over so many tokens, problems or answers with these words."""

    show: str = ""
    over: int | None = None
    words: str = ""

    @property
    def active(self) -> bool:
        """Whether anything is left out."""
        return bool(self.show or self.words or self.over is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One attempt in the grid. `shown` says that the filter matches it."""

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


def grid(cell: Viewed, chosen: Filter, page: int | None) -> Grid:
    """The page (from 1; None: all in one) of the problems that have an attempt to show."""
    matches = _matches(cell, chosen) if chosen.active else {}
    listed = (
        [n for n in range(len(cell.problems)) if n in matches] if chosen.active else list(range(len(cell.problems)))
    )
    size = max(1, BOXES // cell.manifest.samples)
    pages = max(1, -(-len(listed) // size))
    page = min(max(page or 1, 1), pages)
    rows = tuple(_row(cell, n, matches.get(n, set()), chosen) for n in listed[(page - 1) * size : page * size])
    return Grid(
        rows=rows,
        page=page,
        pages=pages,
        matching=sum(map(len, matches.values())) if chosen.active else len(cell.marks),
        problems=len(listed),
    )


def _matches(cell: Viewed, chosen: Filter) -> dict[int, set[int]]:
    """Samples to show by problem. Words are looked for in problems' ids and texts, and in answers."""
    words = chosen.words.casefold()
    long = None if chosen.over is None else cell.with_steps_over(chosen.over)
    named = {
        n for n, p in enumerate(cell.problems) if words in p.text.casefold() or words in p.id.casefold()
    }  # fmt: skip
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


def _row(cell: Viewed, position: int, matches: set[int], chosen: Filter) -> Row:
    problem, samples = cell.problems[position], cell.manifest.samples
    marks = [cell.marks.get((position, sample)) for sample in range(samples)]
    return Row(
        position=position,
        id=problem.id,
        text=problem.text,
        boxes=tuple(
            _box((position, sample), mark, sample in matches or not chosen.active)
            for sample, mark in enumerate(marks[:SAMPLES])
        ),
        right=sum(mark is not None and mark.correct is True for mark in marks),
        graded=sum(mark is not None and mark.correct is not None for mark in marks),
        further=max(0, samples - SAMPLES),
    )


def kind_of(mark: Mark | None) -> str:
    """A word of KINDS."""
    if mark is None:
        return "absent"
    if mark.pending:
        return "pending"
    if mark.answer is None:
        return "unanswered"
    if mark.correct is None:
        return "ungraded"
    return "right" if mark.correct else "wrong"


def _box(place: Place, mark: Mark | None, shown: bool) -> Box:  # noqa: FBT001  two fields of what is made
    kind = kind_of(mark)
    told = [f"sample {place[1] + 1}: {KINDS[kind]}"]
    marks = ""
    if mark is not None:
        answer = [f"answer {mark.answer[:60]}"] if mark.answer else []
        failure = [mark.failure] if mark.failure and mark.failure != "unanswered" else []
        tokens = mark.usage.completion_tokens
        flags = [word for word, flag in (("truncated", mark.truncated), ("unparsed", mark.unparsed)) if flag]
        told += [
            *answer,
            *dict.fromkeys((*failure, *flags)),
            "tokens unknown" if tokens is None else f"{tokens:,} tokens",
        ]
        marks = " ".join(flags)
    return Box(place=place, kind=kind, label=", ".join(told), marks=marks, shown=shown)
