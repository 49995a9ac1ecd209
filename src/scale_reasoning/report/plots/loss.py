"""How a fine-tuning went: its loss by step, a line a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded
from scale_reasoning.report.plots.canvas import Page
from scale_reasoning.report.plots.points import Value
from scale_reasoning.report.plots.series import Look

LOG = "loss.jsonl"
MOST_BYTES = 64 << 20
MOST_POINTS = 40
"""Of a line; more steps are averaged, so that neighbours are told apart at a column's width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The loss a token after each logged step of a training."""

    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]


def curve(folder: Path) -> Curve:
    """The losses in the folder of a fine-tuned model. Raises `ConfigError` where there are none."""
    file = folder / LOG
    try:
        lines: list[Any] = [json.loads(line) for line in read_bounded(file, MOST_BYTES).decode().splitlines()]
        steps, losses = tuple(int(line["step"]) for line in lines), tuple(float(line["loss"]) for line in lines)
    except OSError as error:
        raise ConfigError(f"plot loss needs the folder of a `scale sft`; {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is no log of losses: {error}") from error
    if not steps:
        raise ConfigError(f"plot loss: {file} has no step yet")
    return Curve(name=folder.resolve().name, steps=steps, losses=losses)


def loss(page: Page, curves: Sequence[Curve]) -> None:
    """A line a training; long ones as means of equally many logged steps a point."""
    each = max(ceil(len(one.steps) / MOST_POINTS) for one in curves)
    page.title = "Training loss"
    page.caption = "loss a learned token" + (f"; a point is the mean of {each} logged steps" if each > 1 else "")
    (panel,) = page.panels([1.9])
    ends = list[float]()
    for place, one in enumerate(curves):
        thinned = averaged(one, each)
        ends += thinned.steps
        values = [Value(value=value) for value in thinned.losses]
        panel.line(thinned.steps, values, Look(label=one.name, place=place))
    panel.y_axis("loss", lowest=0)
    panel.x_values("step", ends)


def averaged(one: Curve, each: int) -> Curve:
    """Means of `each` logged steps, at the last of them."""
    parts = [range(start, min(start + each, len(one.steps))) for start in range(0, len(one.steps), each)]
    return Curve(
        name=one.name,
        steps=tuple(one.steps[part[-1]] for part in parts),
        losses=tuple(sum(one.losses[place] for place in part) / len(part) for part in parts),
    )
