"""Finds the final answer in a model's text and says which answers are the same one.

Decides what a box is, what of an answer is mere notation, and which numbers are equal (exactly, never by floats).
Refuses to do algebra: `x+1` and `1+x` are two classes here; a symbolic grader knows better.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_CHARS = 2_000
"""A longer answer is compared as it stands: nothing a person would call an answer is longer."""
MAX_DIGITS = 400
"""A longer numeral is text."""

# Backslashes are taken in pairs once no box follows their run, so that a long run is read once, not from each of them.
_BOX = re.compile(
    r"(?<!\\)\\++(?:boxed|fbox)\s*(?:(?P<open>\{)|(?P<bare>[+-]?[\w./]+))|(?:\\\\)++|\\.|(?P<brace>[{}])", re.DOTALL
)


def final_answer(text: str) -> str | None:
    r"""What stands in the last balanced `\boxed{...}` (or `\fbox{...}`, or `\boxed 5`), None without one.

    Of nested boxes the inner one counts. An empty box is no answer: None. Linear in the length of the text.
    """
    box = last_box(text)
    return (text[box.start : box.stop].strip() or None) if box else None


def last_box(text: str) -> slice | None:
    """Where the inside of the last balanced box stands in the text."""
    if "box" not in text:
        return None
    last: slice | None = None
    opened: list[int | None] = []  # the start of a box's inside; None for any other brace
    for token in _BOX.finditer(text):
        if token["open"]:
            opened.append(token.end())
        elif token["brace"] == "{":
            opened.append(None)
        elif token["brace"] and opened:
            start = opened.pop()
            if start is not None and (last is None or start > last.start):
                last = slice(start, token.start())
        elif token["bare"]:
            last = slice(token.start("bare"), token.end("bare"))
    return last


_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{\s*([^{}]*?)\s*\}|(\d))\s*(?:\{\s*([^{}]*?)\s*\}|([0-9a-zA-Z]))")
_FONT = re.compile(r"\\(?:text|mbox|mathrm|textrm|mathbf|textbf|textit|mathit|operatorname)\s*\{([^{}]*)\}")
_UNIT = re.compile(r"(?<=[0-9}).\s])\\(?:text|mbox|mathrm|textrm)\s*\{([^{}\\]*)\}(?:\^(?:[23]|\{[23]\}))?$")
_WORDS = re.compile(r"(?<=[0-9}])\s+([A-Za-z]{2,}(?:[ .-]+[A-Za-z]+)*)$")
_SHORT_UNITS = frozenset((
    "m", "g", "s", "h", "L", "J", "W", "V", "K", "C", "F", "cm", "mm", "km", "kg", "mg", "ml", "mL", "ft",
    "in", "lb", "oz", "hr", "ms", "Hz", "pm", "am",
))  # fmt: skip
_NO_UNITS = frozenset((
    "and", "or", "not", "if", "when", "for", "mod", "base", "approx", "approximately", "about", "pct",
    "percent", "percentage", "tenth", "tenths", "half", "dozen", "hundred", "thousand", "million", "billion",
    "trillion", "squared", "cubed", "pi", "sqrt", "sin", "cos", "tan", "log", "ln", "exp", "over", "plus",
    "minus", "times",
))  # fmt: skip
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        ("[\u2212\u2013\u2010\u2011]|\ufe63|\uff0d", "-"),
        ("[\u2009\u202f\u200a\u200b\u2061-\u2064]", ""),
        ("[\u00b0\u02da]", r"^\\circ"),
        (r",(?:\\[!,]\s*)+", ","),  # 1,\! 234 is one number, 1, 234 are two
        (r"(?<=[0-9])\\[,;:](?=[0-9])(?![0-9]{3}(?![0-9]))", " "),
        (r"(?<!\\)\\[,!;:]", ""),
        (r"(?<!\\)(?:\\?\$|\\[()\[\]])", ""),
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle)(?![A-Za-z])\.?", ""),
        (r"\\q?quad(?![A-Za-z])|(?<!\\)\\ |~", " "),
        (r"\{,\}", ","),
        (r"\\sqrt\s*([0-9])", r"\\sqrt{\1}"),
        (r"([_^])\s*\{\s*(\w)\s*\}", r"\1\2"),
        (r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\\degrees?(?![A-Za-z])", ""),
    )
)
_LOOSE_SPACE = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])|(?<=\\times) |(?<=\\cdot) ")
_LIST_OF_NUMBERS = re.compile(r"[+-]?[0-9]{1,3}(?:, ?[0-9]{3})+")


def normalise(answer: str) -> str:
    r"""The answer without notation that changes nothing: delimiters, spacing, `\left`, `\dfrac`, fonts, units after a
    number, degree signs, a full stop. What is left is for comparing, not for showing.
    """
    if len(answer) > MAX_CHARS:
        return answer.strip()
    text = final_answer(answer) or answer
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _FRACTION.sub(_plain_fraction, text).strip(" *`").rstrip(" .,;:")
    text = _WORDS.sub(_no_unit, _UNIT.sub(_no_unit, text))
    text = " ".join(_FONT.sub(r" \1 ", text).split())
    if _LIST_OF_NUMBERS.fullmatch(text):
        return text
    text = _LOOSE_SPACE.sub("", text)
    return text[1:-1] if re.fullmatch(r"\([A-Z]\)|\{[^{}]*\}", text) else text


def _plain_fraction(match: re.Match[str]) -> str:
    upper, upper_digit, lower, lower_digit = match.groups()
    return rf"\frac{{{upper if upper is not None else upper_digit}}}{{{lower if lower is not None else lower_digit}}}"


def _no_unit(match: re.Match[str]) -> str:
    """Nothing where the match is a unit of measure, else the match itself."""
    words = re.split(r"[^A-Za-z]+", match[1].strip())
    if any(word.lower() in _NO_UNITS for word in words) or any(letter.isdigit() for letter in match[1]):
        return match[0]
    alone = words[0] if len(words) == 1 else "words"
    return "" if len(alone) > 2 or alone in _SHORT_UNITS else match[0]


_DECIMAL = r"(?:[1-9][0-9]{,2}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?:(?P<whole>[0-9]+)?\\frac\{{(?P<upper>-?(?:{_DECIMAL}))\}}\{{(?P<lower>-?(?:{_DECIMAL}))\}}"
    rf"|(?P<number>{_DECIMAL})(?:/(?P<over>{_DECIMAL}))?)"
)
_EQUALS = re.compile(r"(?<![<>!:=\\])=(?!=)")
_ONE_SIDE = re.compile(
    r"(?!.*\\(?:approx|sim|neq?|l[et]|leq|g[et]|geq|pm|mp|not|lor|land|in)\b)"
    r"(?!.*(?:[0-9]|(?<![A-Za-z]))(?:and|or)(?![a-z]))[\w\s{}()|+*/^'\\.-]*",
    re.ASCII,
)

_ASSIGNED = re.compile(r"^[A-Za-z](?:_\w|\([a-z]\))?=(?=[^=]*$)")


def rational(answer: str) -> Fraction | None:
    """The number an answer is: an integer, a decimal, a fraction or a mixed number, in any usual notation.

    A left side before the last `=` is a name for it, unless it is another number or a list. None for anything else:
    sets, expressions, percentages, approximations, numerals of more than `MAX_DIGITS` digits.
    """
    *names, value = _EQUALS.split(normalise(answer))
    number = _numeral(value)
    if number is None or not all(_ONE_SIDE.fullmatch(name) and _numeral(name) in (None, number) for name in names):
        return None
    return number


def _numeral(text: str) -> Fraction | None:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > MAX_DIGITS:
        return None
    sign = -1 if match["sign"] == "-" else 1
    upper, lower = (match["upper"], match["lower"]) if match["upper"] else (match["number"], match["over"] or "1")
    top, bottom = (Fraction(part.replace(",", "")) for part in (upper, lower))
    if bottom == 0 or (match["whole"] and top / bottom < 0):
        return None
    return sign * (int(match["whole"] or 0) + top / bottom)


def answer_class(answer: str) -> str:
    """The name of the answer's equivalence class: equal names, equal answers. Total, and fast on any text.

    Numbers are named by their exact value (`1/2`, `-5`), everything else by its normalised text, without the one
    variable it is assigned to.
    """
    number = rational(answer)
    return str(number) if number is not None else _ASSIGNED.sub("", normalise(answer))
