"""Text as it is printed or shown: without terminal codes or marks that reorder what is read, and numbers of things."""

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


def count(number: int, noun: str) -> str:
    """`1 call`, `1,234 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
