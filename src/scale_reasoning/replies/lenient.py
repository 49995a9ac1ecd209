"""Finds the JSON in a model's text, strictly if possible, otherwise with repairs of common faults.

Decides which faults are unambiguous. Each repair is named, and everything else is refused. The work is linear in the
text and bounded. Does not know what the values are for.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from scale_reasoning.replies.repair import CLOSING_QUOTES, QUOTES, Repair
from scale_reasoning.types import JSON

MAX_STARTS = 64
"""The number of brackets that are tried as the start of JSON in prose."""
BACKSLASHES = "backslashes not escaped"
"""The only repair of JSON that could be parsed without it."""
BROKEN = "taken from broken JSON"
"""A value after a bracket where parsing failed; it may be a part of a larger value."""

# LaTeX commands whose first letter makes a valid JSON escape: "\theta" would be a tab and "heta". A backspace, a form
# feed or a carriage return before a letter is never intended. A tab or a line break is, unless it forms a command.
_LATEX = (
    "[bfr][a-zA-Z]+|nabla|natural|ncong|ne|nearrow|neg|neq|newline|ngeq|ngeqslant|ni|nleq|nleqslant|nmid|nolimits"
    "|nonumber|not|notag|notin|nparallel|nsim|nsubseteq|nsupseteq|nu|nwarrow|tag|tan|tanh|tau|tbinom|text|textbf"
    "|textcolor|textit|textnormal|textrm|textsf|textstyle|texttt|tfrac|therefore|theta|thickapprox|tilde|times|to|top"
    "|triangle|triangleleft|trianglelefteq|triangleq|triangleright|trianglerighteq"
)
# An escaped apostrophe is Python's and left to the repairs.
_BACKSLASH = re.compile(rf"""\\(?:\\|(?P<latex>(?:{_LATEX})(?![a-zA-Z]))|(?P<valid>["'/bfnrt]|u[0-9a-fA-F]{{4}})|)""")
_DECODER = json.JSONDecoder()

_BRACKET = re.compile(
    rf"\{{(?=\s*(?:[{QUOTES}]|/[/*]|[A-Za-z_]\w{{0,40}}\s*:|\d{{1,3}}\s*:))|\[(?=\s*(?:[{QUOTES}{{\[]|/[/*]))"
)
_WITHIN = frozenset(CLOSING_QUOTES) | frozenset("[{,")
_QUOTED_KEY = re.compile(rf"[{QUOTES}](?P<key>[^{QUOTES}\n]{{1,60}})[{QUOTES}]\s*:\s*$")
_BARE_KEY = re.compile(r"[{,]\s*(?P<key>[A-Za-z_]\w{0,60})\s*:\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValue:
    """A JSON value in a text. `repairs` names the repairs in it.

    `part` says whether it may be a part of JSON that could not be parsed; `key` is then the key before it, if any.
    """

    value: JSON
    repairs: tuple[str, ...] = ()
    part: bool = False
    key: str | None = None


def json_values(text: str) -> Iterator[JsonValue]:
    """The JSON in a text: the whole text, or else each value that starts at a bracket, in order."""
    escaped, places = _escape(text.strip())
    try:
        value = json.loads(escaped)
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            value = json.loads(value)
        yield JsonValue(value=value, repairs=_backslashes(places))
        return
    except (ValueError, RecursionError):
        pass
    repair, at, failed = Repair(escaped), 0, False
    for _ in range(MAX_STARTS):
        bracket = _BRACKET.search(escaped, at)
        if bracket is None:
            return
        start = bracket.start()
        try:
            value, end, repairs = _value(escaped, start, repair)
        except (ValueError, RecursionError):
            at, failed = bracket.end(), True
            continue
        repairs = (*_backslashes(places[bisect_left(places, start) : bisect_left(places, end)]), *repairs)
        repairs = (*repairs, BROKEN) if failed else repairs
        key, inner = _key_before(escaped, start)
        yield JsonValue(value=value, repairs=repairs, part=failed and inner, key=key if failed else None)
        at = end


def _value(text: str, start: int, repair: Repair) -> tuple[JSON, int, tuple[str, ...]]:
    try:
        return (*_DECODER.raw_decode(text, start), ())
    except ValueError:
        return repair.read(start)


def _key_before(text: str, start: int) -> tuple[str | None, bool]:
    """The key before a bracket, and whether its position is that of a part of a larger value."""
    lead = text[max(0, start - 80) : start]
    key = _QUOTED_KEY.search(lead) or _BARE_KEY.search(lead)
    return (key["key"], True) if key else (None, text[start] == "{" or lead.rstrip()[-1:] in _WITHIN)


def _backslashes(places: list[int]) -> tuple[str, ...]:
    return (BACKSLASHES,) if places else ()


def escape_latex(text: str) -> str:
    """The text with every backslash doubled that cannot be a JSON escape."""
    return _escape(text)[0]


def _escape(text: str) -> tuple[str, list[int]]:
    """The text with LaTeX's backslashes doubled, and the positions where that was done."""
    places: list[int] = []

    def escape(match: re.Match[str]) -> str:
        whole = match.group()
        if whole == "\\\\" or match["valid"]:
            return whole
        places.append(match.start() + len(places))
        return "\\" + whole

    return _BACKSLASH.sub(escape, text), places
