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

    def __init__(self) -> None:
        self.title = self.caption = ""
        self._figure: Any = importlib.import_module("matplotlib.figure").Figure(dpi=DPI, layout="constrained")
        importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(self._figure)
        self._panels: list[Panel] = []

    def add_panels(self, heights: Sequence[float], *, share_x: bool = False) -> list[Panel]:
        """Adds panels of these heights (inches), from top to bottom."""
        self._figure.set_size_inches(WIDTH, sum(heights))
        axes = self._figure.subplots(len(heights), 1, sharex=share_x, squeeze=False, height_ratios=list(heights))
        self._panels = [Panel(each) for each in axes[:, 0]]
        return self._panels

    def write(self, file: Path) -> None:
        """Writes the page, all of it or nothing. Raises StoreError."""
        image, format_ = io.BytesIO(), file.suffix.lower().lstrip(".")
        box = self._lay_out()
        self._figure.savefig(image, format=format_, dpi=DPI, bbox_inches=box, metadata=dict(METADATA[format_]))
        try:
            with replacing(file) as out:
                out.write(image.getvalue())
        except OSError as error:
            raise StoreError(f"plot to {file}: {error}") from error

    def _lay_out(self) -> Any:
        """Puts the title above the panels, the legend and the caption below them; the page in inches."""
        figure = self._figure
        figure.align_ylabels()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the panels keep their places, so labels stay at their points
        for panel in self._panels:
            panel.place_labels()
        left = MARGIN / WIDTH
        title = figure.text(
            left, 1 + MARGIN / figure.get_figheight(), "\n".join(textwrap.wrap(self.title, 46)), va="bottom", size=TITLE
        )
        bottom = self._draw_legend(left)
        words = textwrap.wrap(shorten(self.caption, 2000), 68)
        caption = figure.text(left, bottom, "\n".join(words), va="top", size=SMALL, color="#444444", linespacing=1.3)
        top, foot = title.get_window_extent().y1 / DPI + MARGIN, caption.get_window_extent().y0 / DPI - MARGIN
        return importlib.import_module("matplotlib.transforms").Bbox.from_extents(0, foot, WIDTH, top)

    def _draw_legend(self, left: float) -> float:
        """Draws a legend of all panels' labels, each once; returns where it ends, as a share of the figure's height."""
        gap = MARGIN / self._figure.get_figheight()
        labels = {
            label: handle
            for panel in self._panels
            for handle, label in zip(*panel.legend, strict=True)
        }  # fmt: skip
        if not labels:
            return -gap
        columns = 2 if all(len(label) <= COLUMN for label in labels) else 1
        legend = self._figure.legend(
            list(labels.values()),
            [shorten(label, LONGEST if columns == 1 else COLUMN) for label in labels],
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
        return legend.get_window_extent().y0 / self._figure.bbox.height - 2 * gap
