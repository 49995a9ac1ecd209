"""LaTeX to MathML, or None where it does not parse; the one door to latex2mathml.

The library's output is taken apart and written anew from lists of known elements and attributes, for it lets markup in
text, `style` and `href` through. Knows nothing of where formulas stand in a text.
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

ELEMENTS = frozenset(
    {
        "menclose",
        "merror",
        "mfrac",
        "mi",
        "mmultiscripts",
        "mn",
        "mo",
        "mover",
        "mpadded",
        "mphantom",
        "mroot",
        "mrow",
        "ms",
        "mspace",
        "msqrt",
        "mstyle",
        "msub",
        "msubsup",
        "msup",
        "mtable",
        "mtd",
        "mtext",
        "mtr",
        "munder",
        "munderover",
    }
)
CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
"""How many parts an element must have; one that lacks some was not typed to its end."""
SCRIPTED = frozenset({"msub", "msup", "msubsup"})
ATTRIBUTES = frozenset(
    {
        "accent",
        "accentunder",
        "columnalign",
        "columnlines",
        "columnspacing",
        "depth",
        "displaystyle",
        "fence",
        "form",
        "height",
        "largeop",
        "linebreak",
        "linethickness",
        "lspace",
        "mathbackground",
        "mathcolor",
        "mathsize",
        "mathvariant",
        "maxsize",
        "minsize",
        "movablelimits",
        "notation",
        "rowalign",
        "rowlines",
        "rowspacing",
        "rspace",
        "scriptlevel",
        "separator",
        "stretchy",
        "symmetric",
        "width",
    }
)
VALUE = re.compile(r"[\w.%# +-]{0,40}")
DEFINES = re.compile(r"\\(?:(?:re)?new|provide)(?:command|environment)|\\DeclareMathOperator|\\[egx]?def\b|\\let\b")
"""Definitions can grow without bound."""
SIDESETS = 4
"""Most `\\sideset` in a formula: the library converts what follows each of them twice, so they double its size."""


@lru_cache(maxsize=8192)
def mathml(latex: str, display: str = "inline") -> str | None:
    """A `<math>` element as safe HTML; `display` is inline or block."""
    if len(latex) > LONGEST:
        return None
    latex = printable(latex)
    if not latex.strip() or DEFINES.search(latex) or latex.count("\\sideset") > SIDESETS:
        return None
    try:
        body = "".join(_written(child) for child in _converter.convert_to_element(latex.strip()))
    except Exception:  # noqa: BLE001  the library's kinds have no parent, and hostile input finds more than those
        return None
    return f'<math display="{display}" alttext="{html.escape(latex.strip())}">{body}</math>'


def _written(element: Element) -> str:
    """The element as HTML. Raises ValueError for what a formula cannot be made of."""
    name, text = element.tag, printable(html.unescape(element.text or ""))
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
    return f"<{name}{attributes}>{html.escape(text)}{''.join(map(_written, element))}</{name}>"
