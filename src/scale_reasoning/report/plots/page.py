"""A page of one column's width: a title, panels above one another, a legend and a caption. Decides layout and files.

The only module that imports matplotlib: without pyplot, a global figure or the user's matplotlibrc.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import textwrap
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import replacing
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.style import DPI, LONGEST, METADATA, RC, SMALL, TITLE, WIDTH, shorten

FORMATS = tuple(METADATA)
MARGIN = 0.05
"""Inches."""
COLUMN = 24
"""Characters of the longest label in a legend of two columns."""
TITLED, CAPTIONED = 46, 68
"""Characters of a title and of a caption on a line of a column's width."""
LOWEST = 0.5
"""Inches of the lowest panel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How large a page is, in inches, and whether it has a title and a caption. Without a height, it is as high as its
    panels ask for.
    """

    width: float = WIDTH
    height: float | None = None
    title: bool = True
    caption: bool = True


@contextlib.contextmanager
def house_style() -> Generator[None]:
    """Draws in this project's style, whatever the user's is. Raises ConfigError if matplotlib is missing."""
    try:
        style: Any = importlib.import_module("matplotlib.style")
    except ImportError as error:
        raise ConfigError("plots need matplotlib: pip install 'scale-reasoning[plots]'") from error
    with style.context(["default", dict(RC)]), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing|Matplotlib currently does not support")
        yield


class Page:
    """A figure: set `title` and `caption`, call `add_panels` once, fill the panels, then `write`."""

    def __init__(self, frame: Frame | None = None) -> None:
        self.title = self.caption = ""
        self._frame = frame or Frame()
        self._figure: Any = importlib.import_module("matplotlib.figure").Figure(dpi=DPI, layout="constrained")
        importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(self._figure)
        self._panels: list[Panel] = []

    def add_panels(self, heights: Sequence[float], *, share_x: bool = False) -> list[Panel]:
        """Adds panels of these heights (inches), from top to bottom."""
        self._figure.set_size_inches(self._frame.width, sum(heights))
        axes = self._figure.subplots(len(heights), 1, sharex=share_x, squeeze=False, height_ratios=list(heights))
        self._panels = [Panel(each, width=self._frame.width) for each in axes[:, 0]]
        return self._panels

    def write(self, file: Path) -> None:
        """Writes the page, all of it or nothing. Raises ConfigError for a height that is too small, StoreError."""
        image, format_ = io.BytesIO(), file.suffix.lower().lstrip(".")
        box, drawn = self._lay_out()
        if self._frame.height is not None:
            box = self._fit_height(self._frame.height, box, drawn)
        self._figure.savefig(image, format=format_, dpi=DPI, bbox_inches=box, metadata=dict(METADATA[format_]))
        try:
            with replacing(file) as out:
                out.write(image.getvalue())
        except OSError as error:
            raise StoreError(f"plot to {file}: {error}") from error

    def _fit_height(self, height: float, box: Any, drawn: Sequence[Any]) -> Any:
        """Lays the page out again with panels that leave it this high; its words keep their size."""
        words = box.height - self._figure.get_figheight()
        if height - words < LOWEST * len(self._panels):
            least = words + LOWEST * len(self._panels)
            raise ConfigError(
                f"{height:g} inches: this plot needs a height of at least {least:.1f}; a title, a caption and a legend "
                "take room, too (--no-title, --no-caption)"
            )
        for each in drawn:
            each.remove()
        self._figure.set_size_inches(self._frame.width, height - words)
        self._figure.set_layout_engine("constrained")
        return self._lay_out()[0]

    def _lay_out(self) -> tuple[Any, list[Any]]:
        """Puts the title above the panels, the legend and the caption below them. Returns the page in inches, and what
        was put around the panels.
        """
        figure, share = self._figure, self._frame.width / WIDTH
        figure.align_ylabels()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the panels keep their places, so labels stay at their points
        for panel in self._panels:
            panel.place_labels()
        left = MARGIN / self._frame.width
        drawn: list[Any] = []
        top, (bottom, legend) = figure.get_figheight(), self._draw_legend(left)
        if self._frame.title:
            words = "\n".join(textwrap.wrap(self.title, int(TITLED * share)))
            drawn.append(figure.text(left, 1 + MARGIN / top, words, va="bottom", size=TITLE))
            top = drawn[-1].get_window_extent().y1 / DPI
        foot = bottom * figure.get_figheight()
        if self._frame.caption:
            words = "\n".join(textwrap.wrap(shorten(self.caption, 2000), int(CAPTIONED * share)))
            drawn.append(figure.text(left, bottom, words, va="top", size=SMALL, color="#444444", linespacing=1.3))
            foot = drawn[-1].get_window_extent().y0 / DPI
        box = importlib.import_module("matplotlib.transforms").Bbox
        page = box.from_extents(0, foot - MARGIN, self._frame.width, top + MARGIN)
        return page, [*drawn, *legend]

    def _draw_legend(self, left: float) -> tuple[float, list[Any]]:
        """Draws a legend of all panels' labels, each once; returns where it ends, as a share of the figure's height,
        and the legend if there is one.
        """
        gap = MARGIN / self._figure.get_figheight()
        labels = {
            label: handle
            for panel in self._panels
            for handle, label in zip(*panel.legend, strict=True)
        }  # fmt: skip
        if not labels:
            return -gap, []
        longest, share = max(map(len, labels)), self._frame.width / WIDTH
        columns = max(1, int(2 * share if longest <= COLUMN else share))
        most = COLUMN if longest <= COLUMN and columns > 1 else int(LONGEST * share / columns)
        legend = self._figure.legend(
            list(labels.values()),
            [shorten(label, most) for label in labels],
            loc="upper left",
            bbox_to_anchor=(left, -gap),
            ncols=columns,
            frameon=False,
            handlelength=3,
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.3,
            columnspacing=1.2,
        )
        return legend.get_window_extent().y0 / self._figure.bbox.height - 2 * gap, [legend]
