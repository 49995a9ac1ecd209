"""Read the three structured replies out of a model's text: an outline, a choice, a number.

The schema's own JSON is tried first, then the forms models fall back to. Pure and linear; what cannot be read raises
ValueError and is never guessed at. Text of models is hostile input: it is matched, never evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from scale_reasoning.types import JSON, Schema


def _object_of(name: str, key: str, value: Mapping[str, JSON]) -> Schema:
    """An object with one value: strict schemas must be objects at their top."""
    body = {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}
    return Schema(name=name, body=body)


def outline_schema(at_most: int) -> Schema:
    """A decomposition: an array of 1 to `at_most` strings."""
    strings = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": at_most}
    return _object_of("decomposition", "subproblems", strings)


def choice_schema(of: int) -> Schema:
    """A choice: a whole number from 1 to `of`."""
    # A list, which more servers keep to than to bounds.
    return _object_of("choice", "choice", {"type": "integer", "enum": list(range(1, of + 1))})


# Without bounds: llama.cpp drops those of a number, and the reply is checked in any case.
NUMBER = _object_of("difficulty", "difficulty", {"type": "number"})

MAX_CHARACTERS = 100_000
"""A longer reply is not read: none of the three is that long."""
MAX_STARTS = 64
"""How many brackets are tried as the start of JSON inside prose."""
MAX_DEPTH = 8
"""Sub-problems nested deeper in a JSON value are not looked for."""

# LaTeX commands whose first letter makes a valid JSON escape: "\frac" would be read as a form feed and "rac".
_LATEX = (
    "backslash|bar|because|begin|beta|bf|big|bigcap|bigcup|bigg|biggl|biggr|bigl|bigoplus|bigr|bigvee|bigwedge|binom"
    "|bmod|boldsymbol|bot|boxed|bullet|fbox|flat|forall|frac|nabla|ne|neg|neq|newline|ngeq|ni|nleq|nmid|nolimits"
    "|nonumber|not|notag|notin|nsubseteq|nu|rangle|rbrace|rbrack|rceil|rfloor|rho|right|rightarrow"
    "|rightleftharpoons|rm|root|rvert|rVert|tan|tanh|tau|tbinom|text|textbf|textit|textrm|textstyle|tfrac|therefore"
    "|theta|tilde|times|to|top|triangle|triangleq"
)
_DECODER = json.JSONDecoder()
_BRACKET = re.compile(r"""\{(?=\s*")|\[(?=\s*["{\[])""")
_BACKSLASH = re.compile(rf'\\(?:\\|(?P<latex>(?:{_LATEX})(?![a-zA-Z]))|(?P<valid>["/bfnrt]|u[0-9a-fA-F]{{4}})|)')
_NUMBERED = re.compile(
    r"^[ \t]*(?:[*#]+[ \t]*)?(?:(?:sub-?problem|step)[ \t]*)?(\d{1,3})[ \t]*[.):](?!\d)[ \t*]*(.*)$", re.IGNORECASE
)
_LABEL = re.compile(r"^(?:(?:sub-?problem|step)[ \t]*\d{1,3}[ \t]*[.):-]|\d{1,3}[.)])[ \t]+", re.IGNORECASE)
_STEP_KEY = re.compile(r"^(?:sub-?problem|step|s)?[ _-]*(\d{1,3})$", re.IGNORECASE)
# Numbers in prose stand alone (not the 1 of <h1>, x1 or 1.5) and have no sign; a hyphen after a word is none.
_WHOLE = re.compile(r"(?<![\w.])(?<!(?<!\w)[-\u2212])\d{1,3}(?!\w|\.\d)")
_DECIMAL = re.compile(r"(?<![\w.])(?<!(?<![\d%])[-\u2212])(\d{1,4}(?:\.\d{1,20})?|\.\d{1,20})(?!\w|\.\d)\s*(%?)")


def parse_outline(text: str, at_most: int) -> tuple[str, ...]:
    """The sub-problems of a decomposition, 1 to `at_most`, in order.

    Reads a JSON array of strings, an object that holds one, a `{"step1": ...}` map, any of these inside prose or code
    fences or with LaTeX's backslashes unescaped, and a numbered list. Raises ValueError.
    """
    for value in _json_values(text):
        steps = _steps(value)
        if steps:
            return _bounded(steps, at_most)
    steps = _numbered_list(text)
    if not steps:
        raise ValueError("no list of sub-problems")
    return _bounded(steps, at_most)


def parse_choice(text: str, of: int) -> int:
    """Which of `of` candidates was chosen, counted from 1. Raises ValueError when none, several or another is named."""
    values = (_named_value(value, "choice") for value in _json_values(text))
    named = {chosen for value in values if (chosen := _choice(value)) is not None} or _whole_numbers(text)
    if len(named) != 1 or not 1 <= (chosen := named.pop()) <= of:
        raise ValueError(f"no single choice from 1 to {of}")
    return chosen


def parse_number(text: str) -> float:
    """A difficulty in [0, 1]; `70%` is 0.7. Raises ValueError when none, several or one out of range is given."""
    values = (_named_value(value, "difficulty") for value in _json_values(text))
    found = {number for value in values if (number := _difficulty(value)) is not None} or _decimal_numbers(text)
    if len(found) != 1 or not 0 <= (number := found.pop()) <= 1:
        raise ValueError("no single number from 0 to 1")
    return float(number)


def _choice(value: JSON) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _difficulty(value: JSON) -> float | None:
    if isinstance(value, str):
        written = _decimal_numbers(value)
        return written.pop() if len(written) == 1 else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole_numbers(text: str) -> set[int]:
    return {int(number) for number in _WHOLE.findall(text)}


def _decimal_numbers(text: str) -> set[float]:
    return {float(number) / (100 if percent else 1) for number, percent in _DECIMAL.findall(text)}


def _bounded(steps: tuple[str, ...], at_most: int) -> tuple[str, ...]:
    if len(steps) > at_most:
        raise ValueError(f"{len(steps)} sub-problems, at most {at_most} are taken")
    "".join(steps).encode()  # half of a surrogate pair ("\\ud83d") is no text, and could not be sent on
    return steps


def _bounded_text(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"a reply of {len(text)} characters")
    return text


def _json_values(text: str) -> Iterator[JSON]:
    """The JSON in a text: the whole of it, else every value that starts at a bracket."""
    mended = _escape_latex(_bounded_text(text).strip())
    try:
        yield json.loads(mended)
        return
    except (ValueError, RecursionError):
        pass
    at = 0
    for _ in range(MAX_STARTS):
        bracket = _BRACKET.search(mended, at)
        if bracket is None:
            return
        try:
            value, at = _DECODER.raw_decode(mended, bracket.start())
        except (ValueError, RecursionError):
            at = bracket.end()
        else:
            yield value


def _escape_latex(text: str) -> str:
    """Doubles every backslash that cannot have been meant as JSON's own."""

    def mend(match: re.Match[str]) -> str:
        whole = match.group()
        return whole if whole == "\\\\" or match.group("valid") else "\\" + whole

    return _BACKSLASH.sub(mend, text)


def _steps(value: JSON, depth: int = MAX_DEPTH) -> tuple[str, ...]:
    """The sub-problems in a JSON value, () when it holds none."""
    if depth == 0:
        return ()
    if isinstance(value, list):
        texts = [_step_text(item) for item in cast("list[JSON]", value)]
        return tuple(texts) if texts and all(texts) else ()
    if isinstance(value, dict):
        table = cast("dict[str, JSON]", value)
        numbered = {int(m.group(1)): v for k, v in table.items() if (m := _STEP_KEY.match(k))}
        if numbered:
            return _steps([numbered[number] for number in sorted(numbered)], depth - 1)
        lists = [steps for inner in table.values() if (steps := _steps(inner, depth - 1))]
        return lists[0] if len(lists) == 1 else ()
    return ()


def _step_text(item: JSON) -> str:
    """One sub-problem's text, "" when the item has none: a string, or an object's longest string."""
    if isinstance(item, Mapping):
        values = cast("Mapping[str, JSON]", item).values()
        item = max((v for v in values if isinstance(v, str)), key=len, default="")
    return _LABEL.sub("", item.strip()).strip() if isinstance(item, str) else ""


def _numbered_list(text: str) -> tuple[str, ...]:
    """Items of a list numbered 1, 2, 3, ...; a line that continues an item is joined to it."""
    steps: list[str] = []
    for line in text.splitlines():
        item = _NUMBERED.match(line)
        if item and int(item.group(1)) == len(steps) + 1:
            steps.append(item.group(2).strip(" *"))
        elif steps and line.strip() and line[0].isspace():
            steps[-1] = f"{steps[-1]} {line.strip()}".strip()
    return tuple(steps) if steps and all(steps) else ()


def _named_value(value: JSON, name: str) -> JSON:
    """The value itself, or the named one in an object, or the only one."""
    if isinstance(value, dict):
        table = cast("dict[str, JSON]", value)
        return table[name] if name in table else next(iter(table.values())) if len(table) == 1 else None
    return value
