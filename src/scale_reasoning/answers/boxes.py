r"""Finds the box that holds the answer.

Decides that the last balanced `\boxed{}` with something in it counts, and what an empty box is.
"""

from __future__ import annotations

import re

# Backslashes are taken in pairs once no box follows their run, so that a long run is read once, not from each of them.
_BOX = re.compile(
    r"(?<!\\)\\++(?:boxed|fbox)\s*(?:(?P<open>\{)|(?P<bare>[+-]?[\w./]+))|(?:\\\\)++|\\.|(?P<brace>[{}])", re.DOTALL
)
# What prints nothing, or only says that an answer belongs here: spaces, empty groups, dots, underscores, a question mark.
_BLANK = re.compile(
    r"(?:[\s{}$~.…?_-]|\\+[\s,;:!_]|\\+[()\[\]]|\\+(?:q?quad|text|mbox|mathrm|boxed|fbox|phantom|hphantom|hspace|underline"
    r"|[lc]?dots|hfill|rule|square|Box|null|empty)(?![A-Za-z])|(?<=hspace\{)[0-9]+(?:mm|cm|em|ex|pt))*+"
)
MAX_BLANK = 200
"""A longer box is not empty, whatever it holds."""


def final_answer(text: str) -> str | None:
    r"""What stands in the last balanced `\boxed{...}` (or `\fbox{...}`, or `\boxed 5`), None without one.

    Of nested boxes the inner one counts. A box with nothing in it (`\boxed{}`, `\boxed{\ }`, `\boxed{?}`) is passed
    over; where every box is empty there is no answer. Linear in the length of the text.
    """
    box = last_box(text)
    return text[box.start : box.stop].strip() or None if box else None


def last_box(text: str) -> slice | None:
    """Where the inside of the last balanced box that is not empty stands in the text."""
    if "box" not in text:
        return None
    last: slice | None = None
    opened: list[int | None] = []  # the start of a box's inside; None for any other brace
    for token in _BOX.finditer(text):
        if token["open"]:
            opened.append(token.end())
        elif token["brace"] == "{":
            opened.append(None)
        elif token["brace"] and opened:
            start = opened.pop()
            if start is not None and (last is None or start > last.start) and not _empty(text, start, token.start()):
                last = slice(start, token.start())
        elif token["bare"] and not _empty(text, token.start("bare"), token.end("bare")):
            last = slice(token.start("bare"), token.end("bare"))
    return last


def _empty(text: str, start: int, stop: int) -> bool:
    return stop - start <= MAX_BLANK and _BLANK.fullmatch(text, start, stop) is not None
