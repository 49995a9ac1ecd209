"""What is said of a name that is not known: the known names, and those near it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 3
"""How many names are suggested at most."""


def suggest(name: str, known: Iterable[str]) -> str:
    """` (did you mean scale?)`, with the near names among those that are known; empty if none is near.

    Swapped letters are the commonest fault in typing, so a name of the same letters, in any case, is the only one that
    is suggested.
    """
    names = list(dict.fromkeys(known))
    same = [each for each in names if sorted(each.lower()) == sorted(name.lower())]
    near = same or get_close_matches(name.lower(), names, MOST)
    return f" (did you mean {' or '.join(near[:MOST])}?)" if near else ""


def describe_unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """`no strategy 'sclae' (did you mean scale?); there are: scale, cot`, for a message."""
    names = list(known)
    return f"no {kind} {name!r}{suggest(name, names)}; there are: {', '.join(names)}"
