"""Which points are one line, what it is called, and the words under a plot.

A line's label names what sets it apart from the others, and no more. Knows nothing of how lines are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.paper import from_paper
from scale_reasoning.report.plots.points import Point
from scale_reasoning.types import JSON

Identity: TypeAlias = dict[str, str]
"""What a point is, in words by kind of thing."""

MOST_PANELS = 6
MOST_NUMBERS = 4
"""Rows whose numbers stand before a label."""
INTERVALS = "95 % intervals over problems"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a series is drawn: the place of its colour, marker and dashes in their cycles; the paper's is hollow."""

    label: str
    place: int
    paper: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that differ in the swept option alone."""

    look: Look
    points: tuple[Point, ...]

    @property
    def dataset(self) -> str:
        """What all its points are on."""
        return self.points[0].summary.dataset


def swept(points: Iterable[Point]) -> list[str]:
    """The options that differ between our cells of one strategy on one dataset with one model."""
    seen: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for point in ours(points):
        summary = point.summary
        options = seen.setdefault((summary.strategy, summary.dataset, summary.model), {})
        for key, value in point.options.items():
            options.setdefault(key, set()).add(str(value))
    return list(dict.fromkeys(key for options in seen.values() for key, values in options.items() if len(values) > 1))


def most_swept(points: Sequence[Point]) -> str | None:
    """The option with the most values among our cells; None where none differ."""
    counts = {option: len({str(point.options.get(option)) for point in ours(points)}) for option in swept(points)}
    return max(counts, key=lambda option: counts[option], default=None)


def ours(points: Iterable[Point]) -> list[Point]:
    """Those that are not the paper's."""
    return [point for point in points if not from_paper(point.summary)]


def grouped(points: Sequence[Point], inner: Collection[str], *, panels: bool = False) -> list[Series]:
    """Series of points that differ in the `inner` options alone; runs are kept apart where they would share a place.

    With `panels`, datasets have panels of their own and are not in the labels: one look on all of them.
    """
    outer = [option for option in swept(points) if option not in inner]
    runs = _run_names(points) if _clash(points, inner, outer) else {}
    groups: dict[tuple[tuple[str, str], ...], list[Point]] = {}
    for point in points:
        groups.setdefault(tuple(_identity(point, outer, runs).items()), []).append(point)
    identities = [dict(key) for key in groups]
    label = _labeller(identities, {"dataset"} if panels else set())
    places: dict[str, int] = {}
    return [
        Series(
            look=Look(
                label=f"{label(each)}, paper" if "paper" in each else label(each),
                place=places.setdefault(label(each), len(places)),
                paper="paper" in each,
            ),
            points=tuple(members),
        )
        for each, members in zip(identities, groups.values(), strict=True)
    ]


def _identity(point: Point, outer: Sequence[str], runs: dict[str, str]) -> Identity:
    summary, options = point.summary, point.options
    named = {"dataset": summary.dataset, "strategy": summary.strategy, "model": summary.model}
    if from_paper(summary):
        return {**named, "paper": "paper"}
    named |= {f"option {option}": f"{option} {setting(options[option])}" for option in outer if option in options}
    return {**named, "run": runs[summary.run]} if runs else named


def setting(value: JSON) -> str:
    """A option's value in words."""
    return "default" if value is None else str(value)


def _clash(points: Sequence[Point], inner: Collection[str], outer: Sequence[str]) -> bool:
    places = [
        (*_identity(point, outer, {}).items(), *(str(point.options.get(option)) for option in inner))
        for point in ours(points)
    ]
    return len(set(places)) < len(places)


def _run_names(points: Sequence[Point]) -> dict[str, str]:
    """Runs by their folder's name, or whole path where two folders have one name."""
    runs = list(dict.fromkeys(point.summary.run for point in points))
    names = [PurePath(run).name for run in runs]
    return {run: name if names.count(name) == 1 else run for run, name in zip(runs, names, strict=True)}


def _labeller(identities: Sequence[Identity], hidden: Collection[str]) -> Callable[[Identity], str]:
    mine = [each for each in identities if "paper" not in each]
    theirs = [each for each in identities if "paper" in each]

    def differs(name: str, among: Sequence[Identity]) -> bool:
        return len({each.get(name) for each in among}) > 1

    def label(identity: Identity) -> str:
        kin = theirs if "paper" in identity else mine
        kind = [each for each in kin if each["strategy"] == identity["strategy"]]
        shown = [
            text
            for name, text in identity.items()
            if name not in {"paper", *hidden}
            and (
                differs(name, kind if name.startswith("option ") else kin)
                or (name in {"dataset", "strategy"} and differs(name, identities))
            )
        ]
        return ", ".join(shown) or identity["strategy" if "dataset" in hidden else "dataset"]

    return label


def datasets_of(points: Iterable[Point]) -> list[str]:
    """The datasets, a panel each. Raises ConfigError for more than fit."""
    datasets = list(dict.fromkeys(point.summary.dataset for point in points))
    if len(datasets) > MOST_PANELS:
        raise ConfigError(f"{len(datasets)} datasets: a plot has room for {MOST_PANELS}; name fewer runs")
    return datasets


def caption(points: Sequence[Point], *notes: str) -> str:
    """Model, n, attempts pending and denominator; then what else is to be known."""
    summaries = [point.summary for point in ours(points)]
    named = [
        next(iter(names))
        for names in ({summary.strategy for summary in summaries}, {summary.model for summary in summaries})
        if len(names) == 1
    ]
    sizes = list(dict.fromkeys((each.dataset, each.problems, each.samples) for each in summaries))
    if len({size[1:] for size in sizes}) == 1:
        counts = f"n = {sizes[0][1]} problems × {sizes[0][2]} samples"
    else:
        counts = "n = problems × samples: " + ", ".join(f"{name} {n} × {samples}" for name, n, samples in sizes)
    pending, planned = sum(each.pending for each in summaries), sum(each.planned for each in summaries)
    lines = [", ".join(named), counts]
    incomplete = f"INCOMPLETE: {pending} of {planned} attempts pending, not scored"
    lines.append(incomplete if pending else "no attempts pending")
    if any(each.denominator == "completed" for each in summaries):
        lines.append("failed attempts left out")
    models = dict.fromkeys(point.summary.model for point in points if from_paper(point.summary))
    lines += [*notes, f"paper: {', '.join(models)}, as printed" if models else ""]
    if any(point.tokens == "solve" for point in points):
        lines.append("tokens: of responses to sub-problems alone, as the paper counts them")
    return "; ".join(filter(None, lines))


def left_out(count: int, why: str) -> str:
    """A note on points that a plot cannot show; nothing for none."""
    return f"{count} cell{'s' * (count > 1)} not shown: {why}" if count else ""


def uncounted(points: Iterable[Point]) -> str:
    """How many attempts came without a count of tokens, in the words of a note; nothing where all were counted."""
    mine = [point.summary for point in points if point.summary.uncounted]
    missing = sum(summary.uncounted for summary in mine)
    completed = sum(summary.completed for summary in mine)
    return f"tokens unknown for {missing} of {completed} attempts (the server reported none)" if missing else ""


def numbered(label: str, points: Sequence[Point], among: Sequence[Point]) -> str:
    """The label behind the numbers of its rows, where they are few and all rows are of one run."""
    rows = sorted({point.summary.row for point in points if point.summary.row is not None})
    if not rows or len(rows) > MOST_NUMBERS or len({point.summary.run for point in ours(among)}) > 1:
        return label
    return f"{', '.join(map(str, rows))}: {label}"
