r"""Parses the number of an answer, exactly.

Decides which equations give a value a name (`x = 5`, `m+n = 116`) and which state a relation (`x^2+y^2 = 25`, `xy =
1`), whose right side alone is not an answer.
"""

from __future__ import annotations

import re
from fractions import Fraction

from scale_reasoning.answers.compact import normalise

MAX_DIGITS = 400
"""A longer numeral is text."""

_DECIMAL = r"(?:[1-9][0-9]{,2}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?:(?P<whole>[0-9]+)?\\frac\{{(?P<upper>-?(?:{_DECIMAL}))\}}\{{(?P<lower>-?(?:{_DECIMAL}))\}}"
    rf"|(?P<number>{_DECIMAL})(?:/(?P<over>{_DECIMAL})|(?:\\times|\\cdot|\*)10\^(?:\{{(?P<power>-?[0-9]+)\}}|(?P<digit>[0-9])))?)"
)
_EQUALS = re.compile(r"(?<![<>!:=\\])=(?!=)(?![^()]*\))")  # not the one in P(X=2)
_GREEK = r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|psi|omega|rho|sigma|tau|ell|Delta|Phi|Omega|epsilon|eta)"
_LETTER = rf"(?:[A-Za-z]|{_GREEK})(?:_(?:\w|\{{[^{{}}]*\}}))?'*"
_UNKNOWN = rf"(?:(?![xyz](?![A-Za-z_']))(?:{_LETTER})|[A-Z]{{2,3}}'?)"
_NAME = re.compile(
    rf"{_LETTER}|[A-Z]{{2,5}}'?|{_LETTER}\([^()]*\)"  # x, x_1, AB, f(2)
    r"|m?\\(?:angle|measuredangle|triangle|overline|widehat|vec|hat|bar|widetilde|overrightarrow)"
    r" ?\{? ?[A-Za-z]{1,4}'?\}?"
    rf"|\|(?:{_UNKNOWN}|\\overline\{{[A-Z]+\}})\||\[[A-Z]{{3,}}\]"  # |AB|, the area [ABC]
    rf"|\\frac\{{{_UNKNOWN}\}}\{{{_UNKNOWN}\}}|{_UNKNOWN}/{_UNKNOWN}"
    r"|\\(?:sin|cos|tan|cot|sec|csc|det|deg|gcd|max|min|dim|log|ln)(?![A-Za-z])(?!.*(?<![A-Za-z])[xyz](?![A-Za-z_'])).*"
    r"|(?:[A-Za-z]{3,}|of|in|is|at|to|by|[A-Z]{1,3})(?:[ -](?:[A-Za-z]{2,}|[A-Z]|a))+|[A-Za-z]{4,}"  # area of ABC
)
_SUM = re.compile(rf"-?[0-9]*{_UNKNOWN}(?:[+-][0-9]*{_UNKNOWN})+")
_STANDARD_FORM = re.compile(r".*(?:^|[+-])[0-9.]+(?:$|[+-]).*")
_ONE_SIDE = re.compile(
    r"(?!.*\\(?:approx|sim|neq?|l[et]|leq|g[et]|geq|pm|mp|not|lor|land|in)\b)"
    r"(?!.*(?:[0-9]|(?<![A-Za-z]))(?:and|or)(?![a-z]))[\w\s{}()|+*/^'\\.\[\]-]*",
    re.ASCII,
)


def rational(answer: str) -> Fraction | None:
    r"""The number of an answer: an integer, a decimal, a fraction, a mixed number or `1.5\times10^{3}`, in any usual
    notation; or the number that it gives to a name (`x = 5`, `m+n = 116`).

    None for anything else: other equations, sets, expressions, percentages, approximations, numerals of more than
    `MAX_DIGITS` digits.
    """
    return rational_of(normalise(answer))


def rational_of(text: str) -> Fraction | None:
    """As `rational`, for a result of `normalise` or `compact`."""
    names, value = _sides(text)
    number = _numeral(value)
    if number is None or not all(_gives(name, number) for name in names):
        return None
    return number


def stated_number(text: str) -> Fraction | None:
    """The number on the right of any equation, if the gold answer is a number: 25 for `a^2+b^2 = 25`.

    None for an equation in standard form (`x^2-5x+6 = 0`). For a text that is not an equation, as `rational_of`.
    """
    names, value = _sides(text)
    number = _numeral(value)
    if number is None or any(number == 0 and _STANDARD_FORM.fullmatch(name) for name in names):
        return None
    return number if all(_ONE_SIDE.fullmatch(name) and _numeral(name) in (None, number) for name in names) else None


def is_relation(text: str) -> bool:
    """Whether a result of `compact` is an equation between variables, not a value with its name."""
    names, value = _sides(text)
    return any(not _NAME.fullmatch(name) and not _is_sum(name, value) and re.search("[a-zA-Z]", name) for name in names)


def other_variable(gold: str, answer: str) -> bool:
    """Whether two results of `compact` give values to different variables, as `x=5` and `y=5` do."""
    one, other = (_VARIABLE.match(text) for text in (gold, answer))
    return one is not None and other is not None and one[1].lower() != other[1].lower()


_VARIABLE = re.compile(r"([A-Za-z])=(?:[^=A-Za-z\\]|\\[a-z]+)+$")


def _sides(text: str) -> tuple[list[str], str]:
    """The left sides of a chain of equations and the last right side; for `7 = x`, the name and the number."""
    *names, value = _EQUALS.split(text)
    if len(names) == 1 and _numeral(value) is None and _numeral(names[0]) is not None:
        return [value], names[0]
    return names, value


def _gives(name: str, number: Fraction) -> bool:
    if not re.search("[A-Za-z]", name):  # an earlier step of the same calculation
        return _ONE_SIDE.fullmatch(name) is not None and _numeral(name) in (None, number)
    return _NAME.fullmatch(name) is not None or (number != 0 and _SUM.fullmatch(name) is not None)


def _is_sum(name: str, value: str) -> bool:
    """Whether a sum is what a competition asks for (`m+n`): without coordinates, with a number on the other side."""
    number = _numeral(value)
    return number is not None and number != 0 and _SUM.fullmatch(name) is not None


def _numeral(text: str) -> Fraction | None:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > MAX_DIGITS:
        return None
    sign = -1 if match["sign"] == "-" else 1
    upper, lower = (match["upper"], match["lower"]) if match["upper"] else (match["number"], match["over"] or "1")
    top, bottom = (Fraction(part.replace(",", "")) for part in (upper, lower))
    if bottom == 0 or (match["whole"] and top / bottom < 0):
        return None
    number = sign * (int(match["whole"] or 0) + top / bottom)
    power = int(match["power"] or match["digit"] or "0")
    if not power:
        return number
    return number * Fraction(10) ** power if abs(power) <= MAX_DIGITS else None
