"""What two wordings of a problem have in common: its words, and its words with their signs.

Decides which notation says nothing (case, dollars, LaTeX's spacing and fonts, thousands separators), for duplicates and
contamination alike. Knows nothing of what is compared with what.
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


def words(text: str) -> list[str]:
    r"""Its runs of letters and its runs of digits, in lower case; `$2x$`, `2 X` and `\(2\,x\)` are the same two."""
    return _WORD.findall(_plain(text))


def words_and_signs(text: str) -> list[str]:
    """The same with operators, relations and brackets between them: `3 + 4` is not `3 - 4`."""
    return _SIGN_OR_WORD.findall(_plain(text))


def _plain(text: str) -> str:
    plain = compose(text, "NFKC").casefold()
    for pattern, replacement in _NOTATION:
        plain = pattern.sub(replacement, plain)
    return plain
