"""Parses the sub-problems in a numbered list or under numbered headings, with the text that belongs to each.

Items that say "sub-problem" or "step" are preferred to bare numbers, and a list under a heading that names sub-problems
to other lists. Text before the first item and a closing remark are ignored. If several lists remain, none is used.
Linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

NESTED = 2
"""Columns of additional indentation from which an item belongs to the one above it."""

_WORD = r"(?:sub[ _-]?(?:problem|question|task|goal|step)|step|question|task|part|stage|goal|problem)"
_RANKS = ("sub", "step", "question", "task", "part", "stage", "goal", "problem", "")
"""Words before the number, the clearest first; the bare number is last."""
_ITEM = re.compile(
    rf"(?P<word>{_WORD}|q)[ \t_-]{{0,4}}#?(?P<at>\d{{1,3}})(?!\d)(?: of \d{{1,3}}|/\d{{1,3}})?"
    r"(?:[ ]?\([^()]{1,40}\))?"
    r"(?:[ \t*_]{0,4}(?:[.):\u2192]|[-\u2013\u2014](?!\d))|[ \t*_]*$)(?:[*_]{1,2}(?![^ \t]))?[ \t]*(?P<titled>.*)"
    r"|\(?(?P<bare>\d{1,3})(?!\d)[*_ \t]{0,4}[.):](?!\d)(?:[*_]{1,2}(?![^ \t]))?[ \t]*(?P<text>.*)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"\A(?:[*_#]{{0,6}}[ \t]{{0,4}}(?:{_WORD}|q)[ \t]{{0,4}}\d{{1,3}}"
    r"[*_]{0,2}[ \t]{0,4}[.):\u2013\u2014-][*_]{0,2}"
    r"|\(\d{1,3}\)|\d{1,3}[.)])[ \t]+",
    re.IGNORECASE,
)
_BOLD = re.compile(r"(?<![\w*)\]}])\*\*(?=[^\s*])([^*\n]*)(?<=\S)\*\*(?![\d*])")
_BULLET = re.compile(r"[-+*\u2022][ \t]|\(?[a-z0-9]{1,3}[.)][ \t]|(?:\d{1,2}\.){1,3}\d{1,2}[.)]?[ \t]")
_HEADING = re.compile(r"#{1,6}[ \t]")
_RULE = re.compile(r"(?:-{3,}|\*{3,}|_{3,}|={3,}|`{3,}\w*)[ \t]*$")
_NAMES_THE_LIST = (
    re.compile(r"sub[ -]?(?:problem|question|task|goal|step)|decompos|break\w{0,6} (?:it )?down", re.IGNORECASE),
    re.compile(r"\bsteps?\b|\boutline\b|\bplan\b", re.IGNORECASE),
)
"""Words before a list that name it, the clearest first."""
_NAMES_ANOTHER = re.compile(
    r"\W*(?:(?:the|some|our|all|key|useful|relevant|known|given|final|we|what|is|are|problem's?)\W+){0,3}"
    r"(?:conditions?|notes?|givens?|facts?|known?|assum(?:e|ed|ptions?)|constraints?|hints?|definitions?|remarks?"
    r"|observations?|answers?|solutions?|results?|formulas?|theorems?|variables?|references?|requirements?|checks?)"
    r"(?: (?:are|is|here|known|given|from|of|in|about)\b.{0,60})?\W*",
    re.IGNORECASE,
)
"""A line before a list that says it is something else."""
_ANSWER = re.compile(
    r"[*_ \t>+-]{0,6}(?:final )?(?:answers?|a\d{1,3}|solutions?|results?|explanations?|reasoning|rationale)\b"
    r"[*_ \t]{0,4}:",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:this|these|the above|each of|each (?:sub|step)|by (?:solving|following|working)|i hope|let me|together"
    r"|in summary|in short|with these|following these|note(?: that|:)|solving (?:these|them)|once (?:all|these)"
    r"|the decomposition)\b",
    re.IGNORECASE,
)
"""The beginning of a remark about the whole list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line: its indentation in columns and, if it is an item, its word, number and title."""

    text: str
    indent: int
    is_heading: bool
    word: str | None = None
    number: int = 0
    title: str = ""


@dataclass(slots=True, kw_only=True)
class _Step:
    """An item and the lines up to the next one."""

    head: _Line
    body: list[_Line] = field(default_factory=list[_Line])


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """A list with the last line of text before it."""

    before: str
    steps: list[_Step]


def numbered_steps(text: str) -> tuple[str, ...]:
    """The items of a text's list of sub-problems, numbered from 1 or 0; () if there is none, or it is ambiguous."""
    lines = [_line(line) for line in text.splitlines()]
    first = [line for line in lines if line.word is not None and line.number < 2]
    outermost = min((line.indent for line in first), default=0)
    for word in _RANKS:
        if not any(line.word == word for line in first):
            continue
        lists = [
            each for each in _lists(lines, word) if word == "sub" or each.steps[0].head.indent < outermost + NESTED
        ]
        if steps := _texts(_select(lists, is_bare=word == "")):
            return steps
    return ()


def remove_label(text: str) -> str:
    """An item's text without its label in the list: `Find b.` of `Step 2: Find b.`."""
    return _remove_bold(_LABEL.sub("", text.strip(), count=1))


def _line(line: str) -> _Line:
    bare = line.strip()
    indent = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip()) if bare else 0
    marked = _BOLD.sub(r"\1", bare).lstrip("#>*_ \t")
    if marked[:2] in ("- ", "+ "):
        marked = marked[2:].lstrip("#>*_ \t")
    is_heading = bool(_HEADING.match(bare)) or (bare.startswith("**") and bare.endswith("**") and bare.count("**") == 2)
    item = _ITEM.match(marked)
    if item is None:
        return _Line(text=bare, indent=indent, is_heading=is_heading)
    word = (item["word"] or "").lower()
    return _Line(
        text=bare,
        indent=indent,
        is_heading=is_heading,
        word="sub" if word.startswith("sub") else "question" if word == "q" else word,
        number=int(item["at"] or item["bare"]),
        title=_remove_bold(item["titled"] if word else item["text"]),
    )


def _remove_bold(text: str) -> str:
    """The text without Markdown's bold marks, in pairs or with the other half in the label."""
    text = _BOLD.sub(r"\1", text.strip())
    if text.count("**") % 2:
        text = text.removesuffix("**")
    return text.strip()


def _lists(lines: Sequence[_Line], word: str) -> Iterator[_List]:
    """The lists whose items have this word before the number."""
    steps, before, last, is_nested = list[_Step](), "", "", False
    for line in lines:
        is_own = line.word == word
        is_deeper = bool(steps) and line.indent >= steps[0].head.indent + NESTED
        is_next = is_own and bool(steps) and line.number == steps[0].head.number + len(steps)
        if is_next and not (is_deeper and is_nested):
            steps.append(_Step(head=line))
            is_nested = False
        elif is_own and line.number < 2 and not is_deeper:
            if steps:
                yield _List(before=before, steps=steps)
            steps, before, is_nested = [_Step(head=line)], last, False
        elif steps:
            steps[-1].body.append(line)
            is_nested = is_nested or (is_own and line.number < 2)
        last = line.text or last
    if steps:
        yield _List(before=before, steps=steps)


def _select(lists: Sequence[_List], *, is_bare: bool) -> list[_Step]:
    """The list under a heading that names it, or else one without the name of something else.

    Bare numbers do not say what a list is: if several such lists have no name, none is used.
    """
    others = [each for each in lists if not _NAMES_ANOTHER.fullmatch(each.before)]
    for name in _NAMES_THE_LIST:
        if named := [each for each in others if name.search(each.before)]:
            return named[0].steps
    if is_bare:
        return others[0].steps if len(others) == 1 else []
    return (others or lists)[0].steps if lists else []


def _texts(steps: Sequence[_Step]) -> tuple[str, ...]:
    """The texts of the items. The last item gets no more lines than the other items have."""
    if not steps:
        return ()
    *before, last = steps
    texts = [_text(step) for step in before]
    has_lines = any(line.text and line.indent <= step.head.indent for step in before for line in step.body[:1])
    alone = max(map(_paragraphs, before), default=int(last.head.is_heading))
    texts.append(_text(last, has_lines=has_lines, alone=alone))
    return tuple(texts) if all(texts) else ()


def _paragraphs(step: _Step) -> int:
    """The number of a step's paragraphs that follow a blank line and are not indented."""
    pairs = zip([step.head, *step.body], step.body, strict=False)
    return sum(bool(line.text) and not before.text and line.indent <= step.head.indent for before, line in pairs)


def _text(step: _Step, *, has_lines: bool = True, alone: int | None = None) -> str:
    """The item with its lines, up to a rule, a heading or an answer.

    For the last item, `alone` is the number of separate paragraphs that belong to it, and `has_lines` says whether the
    line directly below it does if its own text is a whole sentence.
    """
    head, after_blank = step.head, False
    parts = [head.title] if head.title else []
    for line in step.body:
        if not line.text:
            after_blank = True
            continue
        if _ends(head, line):
            break
        if alone is not None and parts and line.indent <= head.indent:
            alone -= after_blank
            whole = parts[-1][-1] in ".?!" and not head.is_heading and not has_lines and not after_blank
            if alone < 0 or whole or _CLOSING.match(line.text):
                break
        if parts and not after_blank and _wraps(step, parts, line):
            parts[-1] = f"{parts[-1]} {line.text}"
        else:
            parts.append(_remove_bold(line.text.lstrip("#").lstrip() if line.is_heading else line.text))
        after_blank = False
    return "\n".join(parts)


def _ends(head: _Line, line: _Line) -> bool:
    """Whether an item ends before this line, although no other item begins there."""
    level = _level(line)
    is_section = level > 0 and not 0 < _level(head) < level
    return bool(is_section or _RULE.match(line.text) or _ANSWER.match(line.text))


def _level(line: _Line) -> int:
    """The level of a Markdown heading, 0 for any other line."""
    return len(line.text) - len(line.text.lstrip("#")) if _HEADING.match(line.text) else 0


def _wraps(step: _Step, parts: Sequence[str], line: _Line) -> bool:
    """Whether a line continues the sentence of the line above."""
    if _BULLET.match(line.text) or line.is_heading or (step.head.is_heading and len(parts) == 1):
        return False
    return line.text[0].islower() or (not step.head.word and parts[-1][-1] not in ".:?!")
