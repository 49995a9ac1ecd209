"""The pieces that one text comes in: joins halves of a character, and notices pieces that each repeat the whole.

Knows nothing of what the text says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

TELLING = 16
"""Characters of a first piece, or half as many pieces' worth of evidence, that no second piece repeats by chance."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Pieces:
    """Give it the pieces as they come; `count` are those with text in them, `last` is the latest of these."""

    __slots__ = ("_first", "_half", "_repeating", "count", "last")

    def __init__(self) -> None:
        self.count, self.last = 0, ""
        self._first, self._half, self._repeating = 0, "", True

    def add(self, piece: str) -> str:
        """The piece with whole characters only: a half at its end waits for the next piece."""
        if self._half or not (piece.isascii() or _SURROGATE.search(piece) is None):
            piece, self._half = self._half + piece, ""
            if "\ud800" <= piece[-1:] <= "\udbff":
                piece, self._half = piece[:-1], piece[-1]
            piece = whole_text(piece)
        if self._repeating and piece:
            self._first = self._first or len(piece)
            self._repeating = piece.startswith(self.last)
            self.last = piece
        self.count += bool(piece)
        return piece

    def end(self) -> str:
        """What stands for a half that was left over."""
        left, self._half = self._half, ""
        return whole_text(left)

    @property
    def repeats(self) -> bool:
        """Whether each piece holds all before it (DashScope, MiniMax): then `last` is the whole text."""
        surely = self.count > 2 or (self.count > 1 and self._first >= TELLING)
        return self._repeating and surely and len(self.last) >= TELLING and len(self.last) > self._first


def whole_text(text: str) -> str:
    """The text with pairs of surrogates joined, and those without a partner replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def joined(pieces: Sequence[str]) -> str:
    """The text of pieces that follow each other, or that each hold all before them."""
    said = [piece for piece in pieces if piece]
    repeated = len(said) > 1 and said[-1] != said[0] and all(b.startswith(a) for a, b in pairwise(said))
    return said[-1] if repeated else "".join(said)
