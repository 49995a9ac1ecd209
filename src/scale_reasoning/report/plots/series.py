"""Which points form one line, what the line is called, and the words under a plot.

A line's label names only what distinguishes it from the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.metrics import find_swept
from scale_reasoning.report.paper import is_from_paper
from scale_reasoning.report.plots.points import Point
from scale_reasoning.types import JSON

Identity: TypeAlias = dict[str, str]
"""What a point is: words by kind of thing, such as dataset, model, option."""

MOST_PANELS = 6
MOST_NUMBERS = 4
"""Rows whose numbers are written before a label."""
INTERVALS = "95 % intervals over problems"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a series is drawn: its place in the cycles of colours, markers and dashes; the paper's are hollow."""

    label: str
    place: int
    paper: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that differ only in the swept option."""

    look: Look
    points: tuple[Point, ...]

    @property
    def dataset(self) -> str:
        """The dataset of its points, which have one."""
        return self.points[0].summary.dataset


def find_options(points: Iterable[Point]) -> list[str]:
    """The options that differ between our cells of one strategy on one dataset with one model."""
    mine = [point.summary for point in select_ours(points)]
    return find_swept(((s.strategy, s.dataset, s.model), s.label) for s in mine)


def find_main_option(points: Sequence[Point]) -> str | None:
    """The option with the most values among our cells; None if no option differs."""
    mine = select_ours(points)
    return max(find_options(mine), key=lambda o: len({str(point.options.get(o)) for point in mine}), default=None)


def select_ours(points: Iterable[Point]) -> list[Point]:
    """The points that are not the paper's."""
    return [point for point in points if not is_from_paper(point.summary)]


def group_series(points: Sequence[Point], inner: Collection[str], *, panels: bool = False) -> list[Series]:
    """Groups points that differ only in the `inner` options; runs are kept apart if their points would coincide.

    With `panels`, every dataset has its own panel: labels do not name it, and a series looks the same in all panels.
    """
    outer = [option for option in find_options(points) if option not in inner]
    runs = _name_runs(points) if _coincide(points, inner, outer) else {}
    groups: dict[tuple[tuple[str, str], ...], list[Point]] = {}
    for point in points:
        groups.setdefault(tuple(_identify(point, outer, runs).items()), []).append(point)
    identities = [dict(key) for key in groups]
    labels = [_label(each, identities, {"dataset"} if panels else set()) for each in identities]
    places = list(dict.fromkeys(labels))
    series: list[Series] = []
    for identity, label, members in zip(identities, labels, groups.values(), strict=True):
        paper = "paper" in identity
        look = Look(label=f"{label}, paper" if paper else label, place=places.index(label), paper=paper)
        series.append(Series(look=look, points=tuple(members)))
    return series


def _identify(point: Point, outer: Sequence[str], runs: dict[str, str]) -> Identity:
    summary, options = point.summary, point.summary.named_options
    identity = {"dataset": summary.dataset, "strategy": summary.strategy, "model": summary.model}
    if is_from_paper(summary):
        return {**identity, "paper": "paper"}
    identity |= {f"option {name}": f"{name} {write_value(options[name])}" for name in outer if name in options}
    return {**identity, "run": runs[summary.run]} if runs else identity


def write_value(value: JSON) -> str:
    """Writes an option's value."""
    return "default" if value is None else str(value)


def _coincide(points: Sequence[Point], inner: Collection[str], outer: Sequence[str]) -> bool:
    """Whether two of our points would have the same series and the same place in it."""
    places = [
        (*_identify(point, outer, {}).items(), *(str(point.options.get(option)) for option in inner))
        for point in select_ours(points)
    ]
    return len(set(places)) < len(places)


def _name_runs(points: Sequence[Point]) -> dict[str, str]:
    """Names runs by their folder's name, or by the whole path if two folders have the same name."""
    runs = list(dict.fromkeys(point.summary.run for point in points))
    names = [PurePath(run).name for run in runs]
    return {run: name if names.count(name) == 1 else run for run, name in zip(runs, names, strict=True)}


def _label(identity: Identity, identities: Sequence[Identity], hidden: Collection[str]) -> str:
    """What distinguishes a series from the others of its kind (ours or the paper's)."""
    kin = [each for each in identities if ("paper" in each) == ("paper" in identity)]
    siblings = [each for each in kin if each["strategy"] == identity["strategy"]]

    def differs(name: str, among: Sequence[Identity]) -> bool:
        return len({each.get(name) for each in among}) > 1

    shown = [
        text
        for name, text in identity.items()
        if name not in {"paper", *hidden}
        and (
            differs(name, siblings if name.startswith("option ") else kin)
            or (name in {"dataset", "strategy"} and differs(name, identities))
        )
    ]
    return ", ".join(shown) or identity["strategy" if "dataset" in hidden else "dataset"]


def find_datasets(points: Iterable[Point]) -> list[str]:
    """The datasets, one per panel. Raises ConfigError if there are too many."""
    datasets = list(dict.fromkeys(point.summary.dataset for point in points))
    check_room(len(datasets), "datasets", MOST_PANELS)
    return datasets


def check_room(count: int, what: str, most: int) -> None:
    """Raises ConfigError if a plot has no room for so many."""
    if count > most:
        raise ConfigError(f"{count} {what}: a plot has room for {most}; name fewer runs")


def write_caption(points: Sequence[Point], *notes: str) -> str:
    """Writes strategy, model, n, pending attempts and denominator; then the notes."""
    summaries = [point.summary for point in select_ours(points)]
    strategies, models = {summary.strategy for summary in summaries}, {summary.model for summary in summaries}
    names = [name for found in (strategies, models) if len(found) == 1 for name in found]
    sizes = list(dict.fromkeys((each.dataset, each.problems, each.samples) for each in summaries))
    if len({size[1:] for size in sizes}) == 1:
        counts = f"n = {sizes[0][1]} problems × {sizes[0][2]} samples"
    else:
        counts = "n = problems × samples: " + ", ".join(f"{name} {n} × {samples}" for name, n, samples in sizes)
    if any(each.planned < each.problems * each.samples for each in summaries):
        counts += ", of which these are a share"
    pending, planned = sum(each.pending for each in summaries), sum(each.planned for each in summaries)
    incomplete = f"INCOMPLETE: {pending} of {planned} attempts pending, not scored"
    printed = dict.fromkeys(point.summary.model for point in points if is_from_paper(point.summary))
    parts = [
        ", ".join(names),
        counts,
        incomplete if pending else "no attempts pending",
        "failed attempts left out" if any(each.denominator == "completed" for each in summaries) else "",
        *notes,
        f"paper: {', '.join(printed)}, as printed" if printed else "",
        "tokens: only of responses to sub-problems, as the paper counts them"
        if any(point.tokens == "solve" for point in points)
        else "",
    ]
    return "; ".join(filter(None, parts))


def note_left_out(count: int, why: str) -> str:
    """A note on cells that a plot cannot show; empty for none."""
    return f"{count} cell{'s' * (count > 1)} not shown: {why}" if count else ""


def note_uncounted(points: Iterable[Point]) -> str:
    """A note on attempts whose tokens were not counted; empty for none."""
    mine = [point.summary for point in points if point.summary.uncounted]
    missing = sum(summary.uncounted for summary in mine)
    completed = sum(summary.completed for summary in mine)
    return f"tokens unknown for {missing} of {completed} attempts (the server reported none)" if missing else ""


def number_label(label: str, points: Sequence[Point], all_points: Sequence[Point]) -> str:
    """Writes the numbers of its rows before a label, if they are few and all points are of one run."""
    rows = sorted({point.summary.row for point in points if point.summary.row is not None})
    if not rows or len(rows) > MOST_NUMBERS or len({point.summary.run for point in select_ours(all_points)}) > 1:
        return label
    return f"{', '.join(map(str, rows))}: {label}"
