r"""Finds the box that holds the answer.

Decides that the last balanced `\boxed{}` with something in it counts, and what an empty box is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Backslashes are taken in pairs once no box follows their run, so that a long run is read once, not from each of them.
_BOX = re.compile(
    r"(?<!\\)\\++(?:boxed|fbox)\s*(?:(?P<open>\{)|(?P<bare>[+-]?[\w./]+))|(?:\\\\)++|\\.|(?P<brace>[{}])", re.DOTALL
)
_NOTHING = (
    r"[\s{}$]|\\+[\s,;:!]|\\+[()\[\]]|\\+(?:q?quad|text|mbox|mathrm|boxed|fbox|phantom|hphantom|hspace|hfill|null|empty)"
    r"(?![A-Za-z])|(?<=hspace\{)[0-9]+(?:mm|cm|em|ex|pt)"
)
_EMPTY = re.compile(f"(?:{_NOTHING})*+")
_PLACEHOLDER = re.compile(rf"(?:{_NOTHING}|[~.…?_-]|\\+(?:underline|[lc]?dots|rule|square|Box|_)(?![A-Za-z]))*+")
MAX_PLACEHOLDER = 200
"""A box of more characters is an answer, whatever it holds."""


def final_answer(text: str) -> str | None:
    r"""What stands in the last balanced `\boxed{...}` (or `\fbox{...}`, or `\boxed 5`), None without one.

    Of nested boxes the inner one counts. A box with nothing in it (`\boxed{}`, `\boxed{\ }`) is no answer; one that
    holds a place (`\boxed{?}`, `\boxed{\ldots}`) is the answer only where no other box is. Linear in the length of the
    text.
    """
    box = last_box(text)
    return text[box].strip() if box else None


def last_box(text: str) -> slice | None:
    """Where the inside of the last balanced box stands in the text, see `final_answer`."""
    if "box" not in text:
        return None
    last: slice | None = None
    placeholder: slice | None = None
    for box in _boxes(text):
        if box.stop - box.start > MAX_PLACEHOLDER or not _PLACEHOLDER.fullmatch(text, box.start, box.stop):
            last = box if last is None or box.start > last.start else last
        elif not _EMPTY.fullmatch(text, box.start, box.stop):
            placeholder = box
    return last or placeholder


def _boxes(text: str) -> Iterator[slice]:
    """The insides of the balanced boxes, in the order in which they end."""
    opened: list[int | None] = []  # the start of a box's inside; None for any other brace
    for token in _BOX.finditer(text):
        if token["open"]:
            opened.append(token.end())
        elif token["brace"] == "{":
            opened.append(None)
        elif token["brace"] and opened:
            start = opened.pop()
            if start is not None:
                yield slice(start, token.start())
        elif token["bare"]:
            yield slice(token.start("bare"), token.end("bare"))
