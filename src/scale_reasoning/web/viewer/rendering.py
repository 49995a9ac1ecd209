"""Renders templates to HTML, for the server, for an export and for one file that loads nothing.

The only module that uses Jinja. Everything is escaped but the output of text.py and mathml.py.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scale_reasoning.web.viewer.grid import GLYPHS, KINDS
from scale_reasoning.web.viewer.text import MOST_SHOWN, plain, typeset, typeset_line
from scale_reasoning.web.viewer.words import WORDS

HERE = Path(__file__).parent
FILES = {"viewer.css": "text/css", "viewer.js": "text/javascript"}
"""The files that pages load."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)
"""What a page may do; a header adds `frame-ancestors`, which a page cannot set."""


def render(template: str, **shown: Any) -> str:
    """Renders a page."""
    return _environment().get_template(template).render(**shown)


def render_alone(template: str, **shown: Any) -> str:
    """Renders a page as one file that loads nothing; its style and its script are allowed by their hashes."""
    css, js = read_asset("viewer.css"), read_asset("viewer.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(js)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    inlined = {"css": Markup(css), "js": Markup(js)}  # noqa: S704  files of this package
    return render(template, inlined=inlined, policy=policy, **shown)


@cache
def read_asset(name: str) -> str:
    """Reads a file that the pages load."""
    return (HERE / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _clean(value: Any) -> Any:
    """Cleans any text that enters a page: no control characters, and a limited length."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return plain(value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}…")


@cache
def _environment() -> Environment:
    environment: Any = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_clean,
    )
    environment.globals.update(
        glyphs=GLYPHS, kinds=KINDS, inlined=None, policy=None, live=False, here="", home="index.html"
    )
    environment.filters.update({each.__name__: each for each in (plain, typeset, typeset_line, *WORDS)})
    return environment
