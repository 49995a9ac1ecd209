"""Read the three structured replies out of a model's text: an outline, a choice, a number.

The schema's own JSON is tried first, then the forms models fall back to. Pure and linear; what cannot be read raises
ValueError and is never guessed at. Text of models is hostile input: it is matched, never evaluated.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import cast

from scale_reasoning.types import JSON, Schema


def outline_schema(at_most: int) -> Schema:
    """A decomposition: an array of 1 to `at_most` strings."""
    strings = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": at_most}
    return Schema(
        name="decomposition",
        body={
            "type": "object",
            "properties": {"subproblems": strings},
            "required": ["subproblems"],
            "additionalProperties": False,
        },
    )


CHOICE = Schema(
    name="choice",
    body={
        "type": "object",
        "properties": {"choice": {"type": "integer"}},
        "required": ["choice"],
        "additionalProperties": False,
    },
)
NUMBER = Schema(
    name="difficulty",
    body={
        "type": "object",
        "properties": {"difficulty": {"type": "number"}},
        "required": ["difficulty"],
        "additionalProperties": False,
    },
)

MAX_CHARACTERS = 100_000
"""A longer reply is not read: none of the three is that long."""
MAX_STARTS = 64
"""How many brackets are tried as the start of JSON inside prose."""

# LaTeX commands whose first letter makes a valid JSON escape: "\frac" would be read as a form feed and "rac".
_LATEX = (
    "bar|begin|beta|bf|big|Big|binom|bmod|boldsymbol|bot|boxed|bullet|fbox|flat|forall|frac|nabla|ne|neg|neq|newline"
    "|ni|nmid|not|notin|nu|rangle|rbrace|rceil|rfloor|rho|right|rightarrow|rm|root|tan|tanh|tau|tbinom|text|textbf"
    "|textit|tfrac|theta|tilde|times|to|top|triangle|uparrow|underline|union|uplus|upsilon"
)
_DECODER = json.JSONDecoder()
_BRACKET = re.compile(r"[\[{]")
_BACKSLASH = re.compile(rf'\\(?:\\|(?P<latex>(?:{_LATEX})(?![a-zA-Z]))|(?P<valid>["/bfnrt]|u[0-9a-fA-F]{{4}})|)')
_NUMBERED = re.compile(
    r"^[ \t]*(?:[*#]+[ \t]*)?(?:(?:sub-?problem|step)[ \t]*)?(\d{1,3})[ \t]*[.):][ \t*]*(.*)$", re.IGNORECASE
)
_LABEL = re.compile(r"^(?:(?:sub-?problem|step)[ \t]*\d{1,3}[ \t]*[.):-]|\d{1,3}[.)])[ \t]+", re.IGNORECASE)
_STEP_KEY = re.compile(r"^(?:sub-?problem|step|s)?[ _-]*(\d{1,3})$", re.IGNORECASE)


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
    for value in _json_values(text):
        chosen = _named_value(value, "choice")
        if isinstance(chosen, str) and re.fullmatch(r"\d{1,3}", chosen.strip()):
            chosen = int(chosen)
        if isinstance(chosen, int) and not isinstance(chosen, bool) and 1 <= chosen <= of:
            return chosen
    named = {int(number) for number in re.findall(r"(?<![\d.])\d{1,3}(?![\d.]*\d)", _bounded_text(text))}
    if len(named) != 1 or not 1 <= (chosen := named.pop()) <= of:
        raise ValueError(f"no single choice from 1 to {of}")
    return chosen


def parse_number(text: str) -> float:
    """A difficulty in [0, 1]; `70%` is 0.7. Raises ValueError when none, several or one out of range is given."""
    for value in _json_values(text):
        number = _named_value(value, "difficulty")
        if isinstance(number, str):
            try:
                number = float(number)
            except ValueError:
                continue
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
            return _in_unit(float(number))
    found = {
        float(number) / (100 if percent else 1)
        for number, percent in re.findall(
            r"(?<![\w.])(\d{1,4}(?:\.\d{1,20})?|\.\d{1,20})(?!\.?\w)\s*(%?)", _bounded_text(text)
        )
    }
    if len(found) != 1:
        raise ValueError("no single number")
    return _in_unit(found.pop())


def _in_unit(number: float) -> float:
    if not 0 <= number <= 1:
        raise ValueError(f"{number} is not in [0, 1]")
    return number


def _bounded(steps: tuple[str, ...], at_most: int) -> tuple[str, ...]:
    if len(steps) > at_most:
        raise ValueError(f"{len(steps)} sub-problems, at most {at_most} are taken")
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


def _steps(value: JSON) -> tuple[str, ...]:
    """The sub-problems in a JSON value, () when it holds none."""
    if isinstance(value, list):
        texts = [_step_text(item) for item in cast("list[JSON]", value)]
        return tuple(texts) if texts and all(texts) else ()
    if isinstance(value, dict):
        table = cast("dict[str, JSON]", value)
        numbered = {int(m.group(1)): v for k, v in table.items() if (m := _STEP_KEY.match(k))}
        if numbered:
            return _steps([numbered[number] for number in sorted(numbered)])
        lists = [steps for inner in table.values() if isinstance(inner, list | dict) and (steps := _steps(inner))]
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
