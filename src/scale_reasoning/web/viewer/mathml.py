"""Converts LaTeX to MathML, or to None if it does not parse. The only module that uses latex2mathml.

The library lets markup in text, `style` and `href` through, so its output is written again from lists of known elements
and attributes.
"""

from __future__ import annotations

import html
import importlib
import re
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

from scale_reasoning.printable import printable

_converter: Any = importlib.import_module("latex2mathml.converter")  # it has no types

LONGEST = 2_000
"""Characters of a formula; a longer one is shown as typed."""

ELEMENTS = frozenset({
    "menclose", "merror", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom", "mroot",
    "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr",
    "munder", "munderover"
})  # fmt: skip
CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
"""The number of parts that an element must have; one with fewer is incomplete."""
SCRIPTED = frozenset({"msub", "msup", "msubsup"})
ATTRIBUTES = frozenset({
    "accent", "accentunder", "columnalign", "columnlines", "columnspacing", "depth", "displaystyle", "fence",
    "form", "height", "largeop", "linebreak", "linethickness", "lspace", "mathbackground", "mathcolor",
    "mathsize", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowalign", "rowlines",
    "rowspacing", "rspace", "scriptlevel", "separator", "stretchy", "symmetric", "width"
})  # fmt: skip
VALUE = re.compile(r"[\w.%# +-]{0,40}")
DEFINES = re.compile(r"\\(?:(?:re)?new|provide)command|\\[egx]?def\b|\\let\b")
"""Definitions, which can grow without bound."""


@lru_cache(maxsize=8192)
def mathml(latex: str, display: str = "inline") -> str | None:
    """Converts a formula to a `<math>` element, as safe HTML; `display` is inline or block."""
    if not latex.strip() or len(latex) > LONGEST or DEFINES.search(latex):
        return None
    latex = printable(latex)
    try:
        body = "".join(_write_element(child) for child in _converter.convert_to_element(latex.strip()))
    except Exception:  # noqa: BLE001  the library's errors have no common class, and hostile input raises others
        return None
    return f'<math display="{display}" alttext="{html.escape(latex.strip())}">{body}</math>'


def _write_element(element: Element) -> str:
    """Writes the element as HTML. Raises ValueError for anything that a formula cannot have."""
    name, text = element.tag, html.unescape(element.text or "")
    if name not in ELEMENTS or CHILDREN.get(name, len(element)) != len(element):
        raise ValueError(name)
    if text.startswith("\\") and len(text) > 1 and name != "mtext":
        raise ValueError(f"no command {text}")
    if name in SCRIPTED:  # an operator in a script (a degree sign) has no space around it
        for child in list(element)[1:]:
            child.attrib |= {"lspace": "0em", "rspace": "0em"} if child.tag == "mo" else {}
    attributes = "".join(
        f' {key}="{value}"' for key, value in element.attrib.items() if key in ATTRIBUTES and VALUE.fullmatch(value)
    )
    return f"<{name}{attributes}>{html.escape(text)}{''.join(map(_write_element, element))}</{name}>"
