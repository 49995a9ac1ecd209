"""Model text as HTML: Markdown without raw HTML, links or images, its mathematics typeset.

Decides what is a formula and what is shown as typed. All text is hostile: it is bounded, every character is escaped,
and nothing in it can be fetched, followed or run. The only module that uses markdown-it.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup, escape

from scale_reasoning.printable import printable
from scale_reasoning.web.viewer.mathml import LONGEST, mathml

TYPESET = 40_000
"""Characters; a longer text, such as a long thought, is shown as typed, so that pages open fast."""
MOST_SHOWN = 1_000_000
"""Characters of any text; the longest known thoughts have a fifth of this."""
CLOSING = {"\\[": "\\]", "\\(": "\\)", "$$": "$$", "$": "$"}
OPENING = ("\\[", "\\(", "$$", "$", "\\begin{", "\\boxed{")
DISPLAYED = ("\\[", "$$", "\\begin{")
INLINE = "inline"
"""Marks the rendering of a preview, in which displayed formulas are within the line."""
BRACES = {"{": 1, "}": -1}


def plain(text: str) -> str:
    """The text without control, format and private characters, and of limited length."""
    return printable(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…")


def typeset(text: str) -> Markup:
    """Typesets the text as HTML blocks."""
    if len(text) > TYPESET:
        return Markup('<div class="typed">{}</div>').format(plain(text))
    return _as_markup(_markdown().render(plain(text)))


def typeset_line(text: str) -> Markup:
    """Typesets the text as HTML within a line: formulas and emphasis, no blocks."""
    if len(text) > TYPESET:
        return escape(plain(text))
    return _as_markup(_markdown().renderInline(plain(text)))


@lru_cache(maxsize=4096)
def preview(text: str, most: int) -> Markup:
    """Typesets the beginning of a text, in a line of `most` characters; it is cut between words, never in a formula."""
    cleaned = plain(text[: 4 * (most + LONGEST)])
    line = " ".join(cleaned.split())
    cut = line if len(line) <= most else line[: _find_cut(line, most)].rstrip()
    made = _as_markup(_markdown().renderInline(cut, {INLINE: True}))
    return made if cut == line else made + "…"


def _find_cut(line: str, most: int) -> int:
    """The last place up to `most` that is before a space and not within a formula; if there is none, the first place
    from `most` on that is not within one.
    """
    place = cut = 0
    while place < most:
        end = _formula_end(line, place, len(line))
        place = end if end is not None else place + (2 if line[place] == "\\" else 1)
        if place <= most and line[place : place + 1] in (" ", ""):
            cut = place
    return cut or place


def _as_markup(rendered: str) -> Markup:
    # Markdown decodes character references: "&#x202e;" is a mark that reorders text only now.
    return Markup(printable(rendered))  # noqa: S704  rendered with raw HTML off, formulas from a list


@cache
def _markdown() -> MarkdownIt:
    # Formulas come first: "_", "*" and "+" have another meaning in them, and escapes would remove their brackets.
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
    markdown.enable("table").disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    markdown.block.ruler.before("fence", "math", _block, {"alt": ["paragraph", "blockquote", "list"]})
    markdown.inline.ruler.before("escape", "math", _inline)
    markdown.add_render_rule("math", _math)
    markdown.add_render_rule("th_open", _table_cell)
    markdown.add_render_rule("td_open", _table_cell)
    return markdown


def _inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  markdown-it's signature
    end = _formula_end(state.src, state.pos, state.posMax)
    if end is None:
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def _block(state: StateBlock, first: int, last: int, silent: bool) -> bool:  # noqa: FBT001  as above
    """A displayed formula that begins a line and ends one."""
    start = state.bMarks[first] + state.tShift[first]
    if state.is_code_block(first) or not state.src.startswith(DISPLAYED, start):
        return False
    end = _formula_end(state.src, start, state.eMarks[last - 1])
    if end is None:
        return False
    line = first
    while state.eMarks[line] < end:
        line += 1
    if state.src[end : state.eMarks[line]].strip(" .,;"):
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[start:end]
        state.line = line + 1
    return True


def _formula_end(text: str, start: int, limit: int) -> int | None:
    """Where the formula that opens at `start` ends; None where none does. Looks ahead a bounded way."""
    opening = next((each for each in OPENING if text.startswith(each, start)), None)
    limit = min(limit, start + LONGEST)
    if opening is None:
        return None
    if opening == "\\boxed{":
        return _find_closing_brace(text, start + len(opening), limit)
    if opening == "\\begin{":
        name = text[start + len(opening) : limit].partition("}")[0]
        closing = f"\\end{{{name}}}"
    else:
        closing = CLOSING[opening]
    found = text.find(closing, start + len(opening), limit)
    if found < 0 or (opening == "$" and not _is_no_price(text, start, found)):
        return None
    return found + len(closing)


def _find_closing_brace(text: str, start: int, limit: int) -> int | None:
    depth = 1
    for place in range(start, limit):
        depth += BRACES.get(text[place], 0)
        if depth == 0:
            return place + 1
    return None


def _is_no_price(text: str, start: int, end: int) -> bool:
    """Pandoc's rule: text between the dollars, without spaces at its ends, and no digit after them."""
    within = text[start + 1 : end]
    return (
        bool(within.strip())
        and within == within.strip()
        and "\n\n" not in within
        and not text[end + 1 : end + 2].isdigit()
    )


def _math(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    typed = tokens[index].content
    displayed = typed.startswith(DISPLAYED) and INLINE not in env
    opening = next(each for each in OPENING if typed.startswith(each))
    inner = typed.removeprefix(opening).removesuffix(CLOSING[opening]) if opening in CLOSING else typed
    made = mathml(inner, "block" if displayed else "inline")
    return made or f'<code class="typed-math">{html.escape(typed)}</code>'


def _table_cell(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A cell without the style attribute, which the pages' policy forbids."""
    aligned = str(tokens[index].attrGet("style") or "").removeprefix("text-align:")
    return f'<{tokens[index].tag} class="{html.escape(aligned)}">' if aligned else f"<{tokens[index].tag}>"
