"""Text of unknown origin as it may be printed or shown: no terminal codes, no marks that reorder what is read."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """The text without control, format and private characters (escape sequences, reordering marks); lines stay."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or not unicodedata.category(c).startswith("C"))


def one_line(text: str, most: int = 2000) -> str:
    """The same on one line of at most `most` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= most else f"{line[:most]}…"
