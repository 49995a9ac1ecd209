r"""Reads the number that an answer is, exactly.

Decides which equations name a value (`x = 5`, `m+n = 116`) and which state a relation (`x^2+y^2 = 25`, `xy = 1`), whose
right side alone is no answer.
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
_EQUALS = re.compile(r"(?<![<>!:=\\])=(?!=)(?![^()]*\))")  # the one in P(X=2) is inside
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
    r"""The number an answer is: an integer, a decimal, a fraction, a mixed number or `1.5\times10^{3}`, in any usual
    notation; or the one it gives to a name (`x = 5`, `m+n = 116`).

    None for anything else: equations that name no value, sets, expressions, percentages, approximations, numerals of
    more than `MAX_DIGITS` digits.
    """
    return rational_of(normalise(answer))


def rational_of(text: str) -> Fraction | None:
    """The same of a text that `normalise` or `compact` made."""
    names, value = _sides(text)
    number = _numeral(value)
    if number is None or not all(_gives(name, number) for name in names):
        return None
    return number


def stated(text: str) -> Fraction | None:
    """The number on the right of any equation, for an answer to a gold that is a number: `a^2+b^2 = 25` gives 25.

    None where that would be no value either: `x^2-5x+6 = 0`. Of a text that is no equation, what `rational_of` says.
    """
    names, value = _sides(text)
    number = _numeral(value)
    if number is None or any(number == 0 and _STANDARD_FORM.fullmatch(name) for name in names):
        return None
    return number if all(_ONE_SIDE.fullmatch(name) and _numeral(name) in (None, number) for name in names) else None


def is_relation(text: str) -> bool:
    """Whether a text that `compact` made is an equation between variables, rather than a value with its name."""
    names, value = _sides(text)
    return any(not _NAME.fullmatch(name) and not _is_sum(name, value) and re.search("[a-zA-Z]", name) for name in names)


def other_variable(gold: str, answer: str) -> bool:
    """Whether both texts, as `compact` makes them, give a value to a variable, and not the same one: `x=5`, `y=5`."""
    one, other = (_VARIABLE.match(text) for text in (gold, answer))
    return one is not None and other is not None and one[1].lower() != other[1].lower()


_VARIABLE = re.compile(r"([A-Za-z])=(?:[^=A-Za-z\\]|\\[a-z]+)+$")


def _sides(text: str) -> tuple[list[str], str]:
    """The left sides of a chain of equations and the last right one; of `7 = x`, the name and the number."""
    *names, value = _EQUALS.split(text)
    if len(names) == 1 and _numeral(value) is None and _numeral(names[0]) is not None:
        return [value], names[0]
    return names, value


def _gives(name: str, number: Fraction) -> bool:
    if not re.search("[A-Za-z]", name):  # an earlier step of the same calculation
        return _ONE_SIDE.fullmatch(name) is not None and _numeral(name) in (None, number)
    return _NAME.fullmatch(name) is not None or (number != 0 and _SUM.fullmatch(name) is not None)


def _is_sum(name: str, value: str) -> bool:
    """Whether the sum is asked for, as in competitions (`m+n`): no coordinates, and a number on the other side."""
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
