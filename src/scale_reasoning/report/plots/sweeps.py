"""What a swept option does: accuracy against the System 2 token limit (paper, Figure 2), and against tau (Table 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import Point, Value
from scale_reasoning.report.plots.series import INTERVALS, Series, caption, grouped, left_out, ours, swept, uncounted

LIMITS = ("system2_max_tokens", "round_max_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    """The points that have a place on the x axis, in its order, and how many have none."""

    options: Sequence[str]
    points: Sequence[Point]
    unplaced: int

    def x(self, point: Point) -> float:
        return next(value for value in _numbers(point, self.options))


def budget(page: Page, points: Sequence[Point]) -> None:
    """Accuracy against the token limit of a thought, on a log2 axis; a line a dataset."""
    sweep = _sweep("budget", points, LIMITS, "scale sweep system2-max-tokens 4096 8192 16384 --dataset …")
    page.title = "Accuracy by System 2 token limit"
    page.caption = caption(sweep.points, INTERVALS, left_out(sweep.unplaced, "no limit, or nothing scored"))
    (panel,) = page.panels([1.9])
    for series in grouped(sweep.points, sweep.options):
        _line(panel, sweep, series, lambda point: point.acc)
    panel.y_axis("accuracy (%)", lowest=0, highest=100)
    panel.x_limits("System 2 token limit", [sweep.x(point) for point in sweep.points])


def tau(page: Page, points: Sequence[Point]) -> None:
    """Accuracy, tokens and hard share against tau, above one another."""
    sweep = _sweep("tau", points, ("tau",), "scale sweep tau 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 --dataset …")
    page.title = "Accuracy, tokens and System 2 share by τ"
    page.caption = caption(
        sweep.points, INTERVALS, left_out(sweep.unplaced, "no τ, or nothing scored"), uncounted(sweep.points)
    )
    top, middle, bottom = page.panels([1.5, 1.1, 0.9], share_x=True)
    for series in grouped(sweep.points, sweep.options):
        _line(top, sweep, series, lambda point: point.acc)
        _line(middle, sweep, series, lambda point: point.tok)
        _line(bottom, sweep, series, lambda point: point.hard)
    top.y_axis("accuracy (%)", lowest=0, highest=100)
    middle.y_axis("tokens", lowest=0, compact=True)
    bottom.y_axis("hard (%)", lowest=0, highest=100)
    bottom.x_values("threshold τ", [sweep.x(point) for point in sweep.points])


def _sweep(kind: str, points: Sequence[Point], wanted: Sequence[str], command: str) -> _Sweep:
    found = swept(points)
    options = [option for option in found if option.rpartition(".")[2] in wanted]
    if not options:
        differ = f"differ in {', '.join(found)}" if found else "do not differ in any setting"
        raise ConfigError(
            f"plot {kind} needs cells of one strategy that differ in {' or '.join(wanted)}; these {differ}: "
            f"run `{command}`"
        )
    options += [option for option in wanted if option not in options]  # the paper's rows, and strategies with one value
    placed = [point for point in points if point.acc is not None and _numbers(point, options)]
    if not ours(placed):
        raise ConfigError(f"plot {kind}: no attempt of these runs is scored yet: go on with `scale eval --resume`")
    placed.sort(key=lambda point: _numbers(point, options)[0])
    order = list(dict.fromkeys(point.summary.dataset for point in points))
    placed.sort(key=lambda point: order.index(point.summary.dataset))
    return _Sweep(options=options, points=placed, unplaced=len(points) - len(placed))


def _numbers(point: Point, options: Sequence[str]) -> list[float]:
    values = (point.options.get(option) for option in options)
    return [float(value) for value in values if isinstance(value, int | float)]


def _line(panel: Panel, sweep: _Sweep, series: Series, number: Callable[[Point], Value | None]) -> None:
    known = [(sweep.x(point), value) for point in series.points if (value := number(point)) is not None]
    if known:
        panel.line([x for x, _ in known], [value for _, value in known], series.look)
