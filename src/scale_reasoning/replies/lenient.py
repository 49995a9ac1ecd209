"""JSON as models write it: read strictly where that is possible, else with its common faults repaired.

Decides which faults leave no doubt about what was meant; each repair is named, and everything else is refused. The work
is linear in the text and bounded. Knows nothing of what the values are for.
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
"""How many brackets are tried as the start of JSON inside prose."""
BACKSLASHES = "backslashes not escaped"
"""The one repair that is made in JSON which could be read without it."""
BROKEN = "taken from broken JSON"
"""A value after a bracket at which no value could be read: it may have been a part of a larger one."""

# LaTeX commands whose first letter makes a valid JSON escape: "\theta" would be read as a tab and "heta". A backspace,
# a form feed or a carriage return before a letter is never meant; a tab or a line break, where it spells no command.
_LATEX = (
    "[bfr][a-zA-Z]+|nabla|natural|ncong|ne|nearrow|neg|neq|newline|ngeq|ngeqslant|ni|nleq|nleqslant|nmid|nolimits"
    "|nonumber|not|notag|notin|nparallel|nsim|nsubseteq|nsupseteq|nu|nwarrow|tag|tan|tanh|tau|tbinom|text|textbf"
    "|textcolor|textit|textnormal|textrm|textsf|textstyle|texttt|tfrac|therefore|theta|thickapprox|tilde|times|to|top"
    "|triangle|triangleleft|trianglelefteq|triangleq|triangleright|trianglerighteq"
)
# An escaped apostrophe is Python's: it is left for the repairs.
_BACKSLASH = re.compile(rf"""\\(?:\\|(?P<latex>(?:{_LATEX})(?![a-zA-Z]))|(?P<valid>["'/bfnrt]|u[0-9a-fA-F]{{4}})|)""")
_DECODER = json.JSONDecoder()

_BRACKET = re.compile(
    rf"\{{(?=\s*(?:[{QUOTES}]|/[/*]|[A-Za-z_]\w{{0,40}}\s*:|\d{{1,3}}\s*:))|\[(?=\s*(?:[{QUOTES}{{\[]|/[/*]))"
)
_WITHIN = frozenset(CLOSING_QUOTES) | frozenset("[{,")
_QUOTED_KEY = re.compile(rf"[{QUOTES}](?P<key>[^{QUOTES}\n]{{1,60}})[{QUOTES}]\s*:\s*$")
_BARE_KEY = re.compile(r"[{,]\s*(?P<key>[A-Za-z_]\w{0,60})\s*:\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A JSON value in a text. `repairs` names what was repaired in it.

    `part` says that it may be a part of JSON that could not be read; `key` is the key before it then, if there is one.
    """

    value: JSON
    repairs: tuple[str, ...] = ()
    part: bool = False
    key: str | None = None


def json_values(text: str) -> Iterator[Found]:
    """The JSON in a text, in order: the whole of it, else each value that starts at a bracket."""
    escaped, places = _escaped(text.strip())
    try:
        value = json.loads(escaped)
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            value = json.loads(value)
        yield Found(value=value, repairs=_backslashes(places))
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
        key, inner = _before(escaped, start)
        yield Found(value=value, repairs=repairs, part=failed and inner, key=key if failed else None)
        at = end


def _value(text: str, start: int, repair: Repair) -> tuple[JSON, int, tuple[str, ...]]:
    try:
        return (*_DECODER.raw_decode(text, start), ())
    except ValueError:
        return repair.read(start)


def _before(text: str, start: int) -> tuple[str | None, bool]:
    """The key before a bracket, and whether it stands where a part of a larger value would."""
    lead = text[max(0, start - 80) : start]
    key = _QUOTED_KEY.search(lead) or _BARE_KEY.search(lead)
    return (key["key"], True) if key else (None, text[start] == "{" or lead.rstrip()[-1:] in _WITHIN)


def _backslashes(places: list[int]) -> tuple[str, ...]:
    return (BACKSLASHES,) if places else ()


def escape_latex(text: str) -> str:
    """The text with every backslash doubled that cannot have been meant as JSON's own."""
    return _escaped(text)[0]


def _escaped(text: str) -> tuple[str, list[int]]:
    """The text with LaTeX's backslashes doubled, and where in it that was done."""
    places: list[int] = []

    def escape(match: re.Match[str]) -> str:
        whole = match.group()
        if whole == "\\\\" or match["valid"]:
            return whole
        places.append(match.start() + len(places))
        return "\\" + whole

    return _BACKSLASH.sub(escape, text), places
