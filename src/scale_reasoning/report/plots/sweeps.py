"""The effect of a swept option: System 2's token limit (paper, Figure 2) or thinking budget, and tau (Table 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.intervals import Estimate
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import Point
from scale_reasoning.report.plots.series import (
    INTERVALS,
    find_options,
    group_series,
    note_left_out,
    note_uncounted,
    select_ours,
    write_caption,
)

LIMIT, BUDGET = "System 2 token limit", "thinking budget (tokens)"
LIMITS = {"system2_max_tokens": LIMIT, "round_max_tokens": LIMIT, "thinking_budget": BUDGET}
"""The options that are swept, and what the x axis is then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    """The points that have a place on the x axis, in its order, and the number of those that have none. `swept` are the
    options that differ, `options` all that give a place.
    """

    swept: Sequence[str]
    options: Sequence[str]
    points: Sequence[Point]
    unplaced: int

    @property
    def xs(self) -> list[float]:
        return [_list_numbers(point, self.options)[0] for point in self.points]

    def draw(self, panel: Panel, get: Callable[[Point], Estimate | None]) -> None:
        """Draws a line per series of a number of its points."""
        for series in group_series(self.points, self.options):
            known = [(point, value) for point in series.points if (value := get(point)) is not None]
            if known:
                xs = [_list_numbers(point, self.options)[0] for point, _ in known]
                panel.draw_line(xs, [value for _, value in known], series.look)


def draw_budget(page: Page, points: Sequence[Point]) -> None:
    """Draws accuracy against the token limit of System 2, or the budget of its thoughts, on a log2 axis."""
    command = "scale sweep system2-max-tokens 4096 8192 16384 --dataset …"
    sweep = _find_sweep("budget", points, tuple(LIMITS), command)
    axis = " or ".join(dict.fromkeys(LIMITS[name.rpartition(".")[2]] for name in sweep.swept))
    page.title = f"Accuracy by {axis.removesuffix(' (tokens)')}"
    left_out = note_left_out(sweep.unplaced, "no limit, or nothing scored")
    page.caption = write_caption(sweep.points, INTERVALS, left_out, _note_enforcers(sweep.points))
    (panel,) = page.add_panels([1.9])
    sweep.draw(panel, lambda point: point.acc)
    panel.set_y("accuracy (%)", lowest=0, highest=100)
    panel.set_x(axis, sweep.xs, log2=True)


def draw_tau(page: Page, points: Sequence[Point]) -> None:
    """Draws accuracy, tokens and hard share against tau, above one another."""
    sweep = _find_sweep("tau", points, ("tau",), "scale sweep tau 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 --dataset …")
    page.title = "Accuracy, tokens and System 2 share by τ"
    left_out = note_left_out(sweep.unplaced, "no τ, or nothing scored")
    page.caption = write_caption(sweep.points, INTERVALS, left_out, note_uncounted(sweep.points))
    top, middle, bottom = page.add_panels([1.5, 1.1, 0.9], share_x=True)
    sweep.draw(top, lambda point: point.acc)
    sweep.draw(middle, lambda point: point.tok)
    sweep.draw(bottom, lambda point: point.hard)
    top.set_y("accuracy (%)", lowest=0, highest=100)
    middle.set_y("tokens", lowest=0, tokens=True)
    bottom.set_y("hard (%)", lowest=0, highest=100)
    bottom.set_x("threshold τ", sweep.xs)


def _note_enforcers(points: Sequence[Point]) -> str:
    """What enforced the thinking budgets of the points; empty if they have none."""
    found = dict.fromkeys(str(each) for point in points if (each := point.summary.label.get("budget_by")))
    return f"thinking budgets enforced by: {', '.join(found)}" if found else ""


def _find_sweep(kind: str, points: Sequence[Point], wanted: Sequence[str], command: str) -> _Sweep:
    found = find_options(points)
    options = [option for option in found if option.rpartition(".")[2] in wanted]
    if not options:
        differ = f"differ in {', '.join(found)}" if found else "do not differ in any option"
        raise ConfigError(
            f"plot {kind} needs cells of one strategy that differ in {' or '.join(wanted)}; these {differ}: "
            f"run `{command}`"
        )
    swept = tuple(options)
    options += [option for option in wanted if option not in options]  # for the paper's rows and unswept strategies
    placed = [point for point in points if point.acc is not None and _list_numbers(point, options)]
    if not select_ours(placed):
        raise ConfigError(f"plot {kind}: no attempt of these runs is scored yet: resume with `scale eval --resume`")
    datasets = list(dict.fromkeys(point.summary.dataset for point in points))
    placed.sort(key=lambda point: (datasets.index(point.summary.dataset), _list_numbers(point, options)[0]))
    return _Sweep(swept=swept, options=options, points=placed, unplaced=len(points) - len(placed))


def _list_numbers(point: Point, options: Sequence[str]) -> list[float]:
    values = (point.options.get(option) for option in options)
    return [float(value) for value in values if isinstance(value, int | float)]
