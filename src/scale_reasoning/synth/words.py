"""The words of a problem, without notation, for the search of duplicates and contamination.

Decides which notation is ignored: case, dollars, LaTeX's spacing and fonts, thousands separators.
"""

from __future__ import annotations

import re

from scale_reasoning.datasets.dataset import compose

_NOTATION = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        ("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]", ""),
        ("[\u2010-\u2015\u2212]", "-"),
        (r"(?<=\d)(?:\{,\}|,(?:\\[,!;:])?)(?=\d{3}(?!\d))", ""),
        (r"\\[,;:!> ()\[\]]|[$~]", " "),
        (r"\\[dtc]frac(?![a-z])", " frac"),
        (
            r"\\(?:q?quad|left|right|displaystyle|text|mbox|math(?:rm|bf|it)|text(?:rm|bf|it)|operatorname)(?![a-z])",
            " ",
        ),
    )
)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_SIGN_OR_WORD = re.compile(r"[^\W\d_]+|\d+|[^\s\w.,;:?'\"`^&\\{}\u2018\u2019\u201c\u201d]")


def split_words(text: str) -> list[str]:
    r"""Its runs of letters and runs of digits, in lower case: `$2x$`, `2 X` and `\(2\,x\)` give the same two words."""
    return _WORD.findall(_remove_notation(text))


def split_words_and_signs(text: str) -> list[str]:
    """The same with operators, relations and brackets in between: `3 + 4` is not `3 - 4`."""
    return _SIGN_OR_WORD.findall(_remove_notation(text))


def _remove_notation(text: str) -> str:
    plain = compose(text, "NFKC").casefold()
    for pattern, replacement in _NOTATION:
        plain = pattern.sub(replacement, plain)
    return plain
