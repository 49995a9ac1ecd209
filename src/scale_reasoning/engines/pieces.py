"""The pieces of one text: joins the halves of a character, and finds out when each piece repeats the whole text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

TELLING = 16
"""Characters that a second piece does not repeat by chance."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Pieces:
    """Add the pieces as they come. `count` is the number of pieces with text, `last` the last of them."""

    __slots__ = ("_first", "_half", "_repeating", "count", "last")

    def __init__(self) -> None:
        self.count, self.last = 0, ""
        self._first, self._half, self._repeating = 0, "", True

    def add(self, piece: str) -> str:
        """The piece in whole characters: half a character at its end waits for the next piece."""
        if self._half or not (piece.isascii() or _SURROGATE.search(piece) is None):
            piece, self._half = self._half + piece, ""
            if "\ud800" <= piece[-1:] <= "\udbff":
                piece, self._half = piece[:-1], piece[-1]
            piece = join_surrogates(piece)
        if self._repeating and piece:
            self._first = self._first or len(piece)
            self._repeating = piece.startswith(self.last)
            self.last = piece
        self.count += bool(piece)
        return piece

    def end(self) -> str:
        """The text for half a character that was left over."""
        left, self._half = self._half, ""
        return join_surrogates(left)

    @property
    def repeats(self) -> bool:
        """Whether each piece contains all earlier ones (DashScope, MiniMax): then `last` is the whole text."""
        surely = self.count > 2 or (self.count > 1 and self._first >= TELLING)
        return self._repeating and surely and len(self.last) >= TELLING and len(self.last) > self._first


def join_surrogates(text: str) -> str:
    """The text with each pair of surrogates as one character, and U+FFFD for a single one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def join_pieces(pieces: Sequence[str]) -> str:
    """The text of pieces that follow each other, or of which each contains all earlier ones."""
    said = [piece for piece in pieces if piece]
    repeated = len(said) > 1 and said[-1] != said[0] and all(b.startswith(a) for a, b in pairwise(said))
    return said[-1] if repeated else "".join(said)
