r"""Finds the box that holds the answer.

Decides that the last balanced `\boxed{}` with something in it counts, and what an empty box is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Backslashes without a box after them are matched in pairs, so that a long run is read only once.
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
"""A box with more characters is always an answer."""


def final_answer(text: str) -> str | None:
    r"""The content of the last balanced `\boxed{...}` (or `\fbox{...}`, or `\boxed 5`), None if there is none.

    Of nested boxes the inner one counts. An empty box (`\boxed{}`, `\boxed{\ }`) is not an answer, and a placeholder
    (`\boxed{?}`, `\boxed{\ldots}`) only if there is no other box. Linear in the length of the text.
    """
    box = last_box(text)
    return text[box].strip() if box else None


def last_box(text: str) -> slice | None:
    """The position of the content of the last balanced box, see `final_answer`."""
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
    """The contents of the balanced boxes, in the order of their ends."""
    opened: list[int | None] = []  # the start of a box's content, None for any other brace
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
