"""Parses a JSON value with the common faults of models, and names each repair.

Decides which faults are unambiguous: a trailing comma, Python's or typographic quotes, a raw line break and similar
ones. Everything else is refused. The text of a string is not changed. The work is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from scale_reasoning.types import JSON

MAX_TRIES = 16
"""The number of brackets of one text that are tried."""
MAX_TOKENS = 20_000
"""The number of tokens, gaps between them and quotes in strings that are read in one text, over all tries."""
MAX_DEPTH = 32
"""Deeper nesting is not repaired."""

CLOSING_QUOTES = {'"': '"', "'": "'"} | dict.fromkeys("“”„", '“”"') | dict.fromkeys("‘’‚", "‘’'")  # noqa: RUF001
_QUOTES_BUT_JSONS = "".join(CLOSING_QUOTES).replace('"', "")
QUOTES = re.escape("".join(CLOSING_QUOTES))
_GAP = re.compile(r"\s+|//[^\n]*|#[^\n]*|/\*[^*]*\*++(?:[^/*][^*]*\*++)*+/")
_KEY = re.compile(r"(?P<key>[A-Za-z_0-9][\w-]{0,60}(?: [\w-]{1,60}){0,3})\s*:")
_WORD = re.compile(r"(?P<json>true|false|null)\b|(?P<python>True|False|None)\b|(?P<point>-?\.\d{1,30})(?![\w.])")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_WORDS: dict[str, JSON] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}

# What may follow the quote that ends a string; any other quote is part of the text.
_COLON = re.compile(r"\s*+:")
_COMMENT = re.compile(r"\s++(?:(?://|#)[^\n]{0,200}\n|/\*[^*]{0,200}\*/)\s*+[\]},]")
_NEXT_LINE = re.compile(rf"[ \t\r]*+\n\s*+[{QUOTES}]")
_END = re.compile(r"\s*+(?:```|\Z)")
_CLOSER = re.compile(r"\s*+([\]}])")
_AFTER_A_PART = re.compile(r"\s*+(?:[,\]}]|```|\Z)|[ \t\r]*+\n[ \t\r]*+\n")
_AFTER_THE_WHOLE = re.compile(r"[ \t\r]*+(?:\n|```|\Z)")
_PROSE = re.compile(r"\s")
_ITEM = re.compile(
    rf"\s*+,\s*+(?:[{QUOTES}{{\[\]}}]|(?://|#)[^\n]{{0,200}}\n|/\*|```|\Z|(?:true|false|null|True|False|None)\b"
    r"|-?\d[\d.]{0,30}\s*+[,\]}])"
)
_PAIR = re.compile(rf"\s*+,\s*+(?:[{QUOTES}}}]|(?://|#)[^\n]{{0,200}}\n|/\*|```|\Z|[A-Za-z_0-9][\w-]{{0,60}}\s*+:)")
_INNER_QUOTE = re.compile(r'[\s(]"(?![\s,:.\]})])')
_NEXT_QUOTE = re.compile(r'[ \t]++"')
_UNFIT = re.compile(r'\\(?P<escaped>.)|(?P<raw>["\x00-\x1f])', re.DOTALL)


@dataclass(slots=True)
class _Open:
    """A list or an object that is being read. `after` is its last token."""

    closer: str
    into: list[JSON] | dict[str, JSON]
    after: Literal["bracket", "value", "comma", "key"] = "bracket"
    key: str = ""


class Repair:
    """Parses values that are almost JSON. All values of one text share a budget of work."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tries, self.tokens = MAX_TRIES, MAX_TOKENS
        self.at = 0
        self.open: list[_Open] = []
        self.repairs: dict[str, None] = {}

    def read(self, start: int) -> tuple[JSON, int, tuple[str, ...]]:
        """Parses the value at the bracket at `start`; returns it with its end and its repairs. Raises ValueError."""
        if not self.tries:
            self._fail("too many brackets")
        self.tries -= 1
        self.at, self.open, self.repairs = start, [], {}
        self._enter()
        outermost = self.open[0]
        while self.open:
            self._step()
        return outermost.into, self.at, tuple(self.repairs)

    def _fail(self, what: str) -> NoReturn:
        raise ValueError(f"{what} at {self.at}")

    def _spend(self) -> None:
        self.tokens -= 1
        if self.tokens < 0:
            self._fail("too much to repair")

    def _note(self, repair: str) -> None:
        self.repairs[repair] = None

    def _step(self) -> None:
        """Reads one token."""
        gap = self._skip()
        top, mark = self.open[-1], self.text[self.at : self.at + 1]
        if mark and mark in "]}":
            self._close(mark)
        elif not mark or self.text.startswith("```", self.at):
            self._end()
        elif top.after == "value":
            self._separate(top, mark, gap)
        elif top.after == "key" or isinstance(top.into, list):
            self._value(mark)
        else:
            self._key(top, mark)

    def _skip(self) -> str:
        """Skips white space and comments, and returns them."""
        start = self.at
        while gap := _GAP.match(self.text, self.at):
            self._spend()
            if not gap.group().isspace():
                self._note("comment")
            self.at = gap.end()
        return self.text[start : self.at]

    def _enter(self) -> None:
        if len(self.open) == MAX_DEPTH:
            self._fail("too deep")
        is_list = self.text[self.at] == "["
        self.open.append(_Open("]", []) if is_list else _Open("}", {}))
        self.at += 1

    def _separate(self, top: _Open, mark: str, gap: str) -> None:
        if mark == ",":
            self.at += 1
            top.after = "comma"
        elif "\n" in gap and mark in CLOSING_QUOTES:
            self._note("missing comma")
            top.after = "comma"
        elif gap.count("\n") > 1:
            self._end()
        else:
            self._fail("no comma")

    def _close(self, mark: str) -> None:
        if mark != self.open[-1].closer:
            if len(self.open) < 2 or mark != self.open[-2].closer:
                self._fail("an unopened bracket")
            self._note("missing bracket")
            self._leave()
        self._leave()
        self.at += 1

    def _end(self) -> None:
        """Closes all brackets, because the text ends before the value."""
        if self.open[-1].after != "value":
            self._fail("an item is missing")
        self._note("missing bracket")
        while self.open:
            self._leave()

    def _leave(self) -> None:
        top = self.open.pop()
        if top.after == "key":
            self._fail("no value")
        if top.after == "comma":
            self._note("trailing comma")
        if self.open:
            self._put(top.into)

    def _put(self, value: JSON) -> None:
        top = self.open[-1]
        if isinstance(top.into, list):
            top.into.append(value)
        else:
            top.into[top.key] = value
        top.after = "value"

    def _key(self, top: _Open, mark: str) -> None:
        if mark in CLOSING_QUOTES:
            top.key = self._string(mark, is_key=True)
            self._skip()
            if not self.text.startswith(":", self.at):
                self._fail("no colon")
            self.at += 1
        elif key := _KEY.match(self.text, self.at):
            self._spend()
            self._note("key without quotes")
            top.key, self.at = key["key"], key.end()
        else:
            self._fail("no key")
        top.after = "key"

    def _value(self, mark: str) -> None:
        if mark in "{[":
            self._spend()
            self._enter()
        elif mark in CLOSING_QUOTES:
            self._put(self._string(mark, is_key=False))
        elif number := _NUMBER.match(self.text, self.at):
            self._spend()
            self._put(json.loads(number.group()))
            self.at = number.end()
        elif word := _WORD.match(self.text, self.at):
            self._spend()
            if not word["json"]:
                self._note("Python literals" if word["python"] else "number without its 0")
            self._put(float(word.group()) if word["point"] else _WORDS[word.group()])
            self.at = word.end()
        else:
            self._fail("no value")

    def _string(self, quote: str, *, is_key: bool) -> str:
        """Reads the string that opens here. A quote ends it if JSON can continue after it; any other belongs to the
        text.
        """
        stop = re.compile(rf"[\\{re.escape(CLOSING_QUOTES[quote])}]")
        start = at = self.at + 1
        inside, inner = {"}": 0, "]": 0}, False
        while found := stop.search(self.text, at):
            self._spend()
            self._count(inside, at, found.start())
            at = found.end()
            if found.group() == "\\":
                at += 1
            elif _COLON.match(self.text, at) if is_key else self._ends(at, inside, plain=quote == '"'):
                break
            elif quote == '"':
                inner = not inner
                if inner and not _INNER_QUOTE.match(self.text, found.start() - 1):
                    self._fail("no comma")
                self._note("quotes not escaped")
        if not found or inner:
            self._fail("a string without its end")
        if quote != '"':
            self._note("single quotes" if quote == "'" else "typographic quotes")
        self.at = at
        return self._unescape(self.text[start : found.start()], quote)

    def _count(self, inside: dict[str, int], start: int, end: int) -> None:
        """Counts the brackets that are open in a string, by their closing bracket."""
        for closer, opener in ("}{", "]["):
            inside[closer] += self.text.count(opener, start, end) - self.text.count(closer, start, end)

    def _ends(self, at: int, inside: Mapping[str, int], *, plain: bool) -> bool:
        """Whether the quote before `at` ends a value. A quote that is not JSON's may be a prime, so `inside` counts the
        brackets that are open in the string.
        """
        top = self.open[-1]
        onward = _ITEM if isinstance(top.into, list) else _PAIR
        if any(pattern.match(self.text, at) for pattern in (onward, _END, _NEXT_LINE, _COMMENT)):
            return True
        found = _CLOSER.match(self.text, at)
        if found is None:
            if plain and _NEXT_QUOTE.match(self.text, at):
                self._fail("no comma")
            return False
        closer, after = found[1], found.end()
        if not plain and (closer != top.closer or (closer == "}" and inside["}"] > 0)):
            return False
        if len(self.open) > 1 + (closer != top.closer):
            return _AFTER_A_PART.match(self.text, after) is not None
        in_prose = plain or (inside[closer] <= 0 and _PROSE.match(self.text, after) is not None)
        return in_prose or _AFTER_THE_WHOLE.match(self.text, after) is not None

    def _unescape(self, content: str, quote: str) -> str:
        """The string for the text between two quotes."""

        def fit(match: re.Match[str]) -> str:
            escaped, raw = match["escaped"], match["raw"]
            if raw is None:
                if escaped not in _QUOTES_BUT_JSONS:
                    return match.group()
                if quote == '"':
                    self._note("backslash before an apostrophe")
                return escaped
            if raw == '"':
                return '\\"'
            self._note("line break in a string" if raw in "\r\n" else "control character in a string")
            return f"\\u{ord(raw):04x}"

        return json.loads(f'"{_UNFIT.sub(fit, content)}"')
