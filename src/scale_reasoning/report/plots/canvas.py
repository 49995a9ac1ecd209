"""The one door to matplotlib: a page a column wide of panels above one another, a title, a legend and a caption.

Decides layout and files. Untyped inside, typed outside; no pyplot, no global figure, no user's matplotlibrc.
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
from scale_reasoning.report.plots.style import BODY, DPI, LONGEST, METADATA, RC, SMALL, TITLE, WIDTH, shown

FORMATS = tuple(METADATA)
LINE = 1.4 / 72
"""Inches of a line of text, a point of its size."""
MARGIN = 0.05
COLUMN = 24
"""Letters of the longest label in a legend of two columns."""


@contextlib.contextmanager
def styled() -> Generator[None]:
    """Draws in the house's style whatever the user's is. Raises ConfigError where matplotlib is missing."""
    try:
        style: Any = importlib.import_module("matplotlib.style")
    except ImportError as error:
        raise ConfigError("plots need matplotlib: pip install 'scale-reasoning[plots]'") from error
    with style.context(["default", dict(RC)]), warnings.catch_warnings():
        # letters that the font lacks are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing|Matplotlib currently does not support")
        yield


class Page:
    """A figure in the making: set `title` and `caption`, ask for `panels` once, fill them, `write`."""

    def __init__(self) -> None:
        self.title = self.caption = ""
        self._figure: Any = importlib.import_module("matplotlib.figure").Figure(dpi=DPI)
        agg: Any = importlib.import_module("matplotlib.backends.backend_agg")
        agg.FigureCanvasAgg(self._figure)
        self._panels: list[Panel] = []
        self._inches = 0.0

    def panels(self, inches: Sequence[float], *, share_x: bool = False) -> list[Panel]:
        """Panels from top to bottom, of these heights."""
        self._inches = sum(inches)
        axes = self._figure.subplots(
            len(inches), 1, sharex=share_x, squeeze=False, gridspec_kw={"height_ratios": list(inches)}
        )
        self._panels = [Panel(each) for each in axes[:, 0]]
        return self._panels

    def write(self, file: Path) -> None:
        """Lays the page out and writes it; the file appears whole. Raises StoreError."""
        self._lay_out()
        image, format_ = io.BytesIO(), file.suffix.lower().lstrip(".")
        self._figure.savefig(image, format=format_, dpi=DPI, metadata=dict(METADATA[format_]))
        try:
            with replacing(file) as out:
                out.write(image.getvalue())
        except OSError as error:
            raise StoreError(f"plot to {file}: {error}") from error

    def _lay_out(self) -> None:
        """Title, panels, legend and caption below one another, each as tall as its text."""
        labels = {label: handle for panel in self._panels for label, handle in panel.legend.items()}
        titles = textwrap.wrap(self.title, 46)
        words = [line for line in textwrap.wrap(shown(self.caption, 2000), 68) if line.strip()]
        columns = 2 if all(len(label) <= COLUMN for label in labels) else 1
        rows = -(-len(labels) // columns)
        head = len(titles) * TITLE * LINE + MARGIN
        legend, foot = rows * BODY * LINE, len(words) * SMALL * LINE + MARGIN
        height = head + self._inches + legend + foot + MARGIN
        self._figure.set_size_inches(WIDTH, height)
        below = (legend + foot + MARGIN) / height
        self._figure.set_layout_engine("constrained", rect=(0, below, 0.99, 1 - below - head / height), w_pad=0.03)
        self._figure.text(MARGIN / WIDTH, 1 - MARGIN / height, "\n".join(titles), va="top", size=TITLE)
        self._figure.text(
            MARGIN / WIDTH, MARGIN / height, "\n".join(words), va="bottom", size=SMALL, color="#444444", linespacing=1.3
        )
        if labels:
            self._legend(labels, columns, (MARGIN / WIDTH, (foot + legend) / height))
        self._figure.align_ylabels()
        self._figure.draw_without_rendering()
        self._figure.set_layout_engine("none")  # laid out once: labels find their points where they were
        for panel in self._panels:
            panel.place_labels()

    def _legend(self, labels: dict[str, Any], columns: int, corner: tuple[float, float]) -> None:
        legend = self._figure.legend(
            list(labels.values()),
            [shown(label, LONGEST if columns == 1 else COLUMN) for label in labels],
            loc="upper left",
            bbox_to_anchor=corner,
            ncols=columns,
            frameon=False,
            fontsize=BODY,
            handlelength=3,
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.3,
            columnspacing=1.2,
        )
        legend.set_in_layout(False)
