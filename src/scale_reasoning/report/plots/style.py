"""How plots look: Okabe-Ito's colours, told apart without colour too, and letters to read at a column's width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WIDTH = 3.3
"""Inches: a column of a two-column paper."""
DPI = 300
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without its yellow, which white paper swallows."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
PAPER_DASHES = (0, (3, 2))
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
QUIET = "#777777"
BODY, SMALL, TITLE = 7.0, 6.0, 8.0
"""Sizes in points."""
LONGEST = 44
"""Letters of a label in a column's width."""

RC: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters everywhere
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
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # a dollar or an underscore in a name is just that
    "svg.hashsalt": "scale",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # what publishers ask for
}

METADATA: Mapping[str, Mapping[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "scale-reasoning"},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "scale-reasoning"},
}
"""No dates and no versions: the same picture is the same bytes."""


def colour(place: int) -> str:
    """The colour of a place in the cycle."""
    return COLOURS[place % len(COLOURS)]


def marker(place: int) -> str:
    """Its marker."""
    return MARKERS[place % len(MARKERS)]


def dashes(place: int) -> Any:
    """Its dashes."""
    return DASHES[place % len(DASHES)]


def hatch(place: int) -> str:
    """Its hatching."""
    return HATCHES[place % len(HATCHES)]


def shown(text: str, most: int = LONGEST) -> str:
    """What may be drawn of a user's or a model's words: one line, not too long, its ends kept."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > most:
        line = f"{line[: most // 2 - 1]}…{line[-(most - most // 2) :]}"
    return f" {line}" if line.startswith("_") else line  # matplotlib hides what begins with an underscore


def compact(number: float) -> str:
    """A count of tokens, short: 25.6k."""
    if abs(number) >= 999_950:
        return f"{number / 1e6:.3g}M"
    return f"{number / 1000:.3g}k" if abs(number) >= 999.5 else f"{number:.3g}"
