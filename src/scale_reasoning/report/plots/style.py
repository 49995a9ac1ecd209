"""How plots look: Okabe and Ito's colours, also distinct without colour, in letters for a column's width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scale_reasoning.report.formats import plain

WIDTH = 3.3
"""Inches: a column of a two-column paper."""
DPI = 300
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without yellow, which is hard to see on white paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
PAPER = "paper"
VERDICTS = {
    "compatible": ("#009E73", "o"),
    "above": ("#0072B2", "^"),
    "below": ("#D55E00", "v"),
    "cannot tell": ("#777777", "s"),
    PAPER: ("#000000", "D"),
}
"""Colours and markers of the verdicts of `scale reproduce`, and of the paper's numbers."""
PAPER_DASHES = (0, (3, 2))
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
QUIET = "#777777"
BODY, SMALL, TITLE = 7.0, 6.0, 8.0
"""Sizes in points."""
LONGEST = 44
"""Characters of a label in a column's width."""

RC: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
    "font.size": BODY,
    "axes.labelsize": BODY,
    "axes.titlesize": BODY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": BODY,
    "ytick.labelsize": BODY,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.6,
    "lines.markeredgewidth": 0.8,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.hashsalt": "scale",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # as publishers ask
}

METADATA: Mapping[str, Mapping[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "scale-reasoning"},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "scale-reasoning"},
}
"""By format. Without dates and versions, the same plot is the same bytes."""


def style_line(place: int, *, paper: bool = False) -> dict[str, Any]:
    """Colour, marker and dashes at a place of their cycles; the paper's are dashed and hollow."""
    colour = COLOURS[place % len(COLOURS)]
    return {
        "color": colour,
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": PAPER_DASHES if paper else DASHES[place % len(DASHES)],
        "markerfacecolor": "white" if paper else colour,
    }


def style_verdict(verdict: str) -> dict[str, Any]:
    """Colour and marker of a verdict on a number of the paper; the paper's own mark is hollow."""
    colour, marker = VERDICTS[verdict]
    fill = "white" if verdict == PAPER else colour
    return {"color": colour, "marker": marker, "linestyle": "none", "markerfacecolor": fill}


def style_bar(place: int) -> dict[str, Any]:
    """Colour and hatching at a place of their cycles."""
    look = {"color": COLOURS[place % len(COLOURS)], "hatch": HATCHES[place % len(HATCHES)]}
    return {**look, "edgecolor": "white", "linewidth": 0.4}


def shorten(text: str, most: int = LONGEST) -> str:
    """The text of a user or a model on one line of at most `most` characters, with its beginning and its end."""
    line = plain(text)
    if len(line) > most:
        line = f"{line[: most // 2 - 1]}…{line[-(most - most // 2) :]}"
    return f" {line}" if line.startswith("_") else line  # matplotlib hides labels that begin with an underscore


def compact(number: float) -> str:
    """A short number: 25.6k."""
    if abs(number) >= 999.5e6:
        return f"{number:.3g}"
    if abs(number) >= 999_950:
        return f"{number / 1e6:.3g}M"
    return f"{number / 1000:.3g}k" if abs(number) >= 999.5 else f"{number:.3g}"
