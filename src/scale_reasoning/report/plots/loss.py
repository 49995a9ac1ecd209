"""The loss of fine-tunings by step, a line per training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded
from scale_reasoning.report.intervals import Estimate
from scale_reasoning.report.plots.page import Page
from scale_reasoning.report.plots.series import Look

LOG = "loss.jsonl"
MOST_BYTES = 64 << 20
MOST_POINTS = 40
"""Points per line; more steps are averaged, so that neighbours stay distinct in a column's width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The loss per token after each logged step of a training."""

    name: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]


def read_curve(folder: Path) -> Curve:
    """Reads the losses in the folder of a fine-tuned model. Raises ConfigError if there are none."""
    file = folder / LOG
    try:
        lines: list[Any] = [json.loads(line) for line in read_bounded(file, MOST_BYTES).decode().splitlines()]
        steps, losses = tuple(int(line["step"]) for line in lines), tuple(float(line["loss"]) for line in lines)
    except OSError as error:
        raise ConfigError(f"plot loss needs a folder that `scale sft` made; {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is not a log of losses: {error}") from error
    if not steps:
        raise ConfigError(f"plot loss: {file} has no step yet")
    return Curve(name=folder.resolve().name, steps=steps, losses=losses)


def draw_loss(page: Page, curves: Sequence[Curve]) -> None:
    """Draws a line per training; a point of a long one is the mean of several logged steps."""
    size = max(ceil(len(one.steps) / MOST_POINTS) for one in curves)
    page.title = "Training loss"
    page.caption = "loss per learned token" + (f"; a point is the mean of {size} logged steps" if size > 1 else "")
    (panel,) = page.add_panels([1.9])
    means = [average_steps(curve, size) for curve in curves]
    for place, curve in enumerate(means):
        losses = [Estimate(value=value) for value in curve.losses]
        panel.draw_line(curve.steps, losses, Look(label=curve.name, place=place))
    panel.set_y("loss", lowest=0)
    panel.set_x("step", [step for curve in means for step in curve.steps])


def average_steps(curve: Curve, size: int) -> Curve:
    """The means of `size` logged steps each, at the last of them."""
    starts = range(0, len(curve.steps), size)
    return Curve(
        name=curve.name,
        steps=tuple(curve.steps[start : start + size][-1] for start in starts),
        losses=tuple(fmean(curve.losses[start : start + size]) for start in starts),
    )
