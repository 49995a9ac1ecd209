r"""Separates a number from its unit, currency, modulus or label.

Decides what is a unit and what a variable. A letter directly after a digit (`6m`) is a variable. A text in `\text{}`
and a known unit of several letters after a space are units. Between the two (`6 m`, `12m/s`, `5cm`) it is a unit only
if the other answer is a bare number or has the same unit. Units are never converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scale_reasoning.answers.wording import words_of

LABEL = "*"
"""The unit of a number with other words after it (`12 ways`), which agrees with every unit."""

_NAMES = {
    "m": "m meter meters metre metres", "km": "km kilometer kilometers kilometre kilometres",
    "cm": "cm centimeter centimeters centimetre centimetres", "mm": "mm millimeter millimeters millimetre millimetres",
    "dm": "dm", "nm": "nm nanometers", "in": "in inch inches", "ft": "ft foot feet", "yd": "yd yds yard yards",
    "mi": "mi mile miles", "g": "g gram grams gm", "kg": "kg kilogram kilograms kilo kilos", "mg": "mg milligrams",
    "lb": "lb lbs", "oz": "oz ounce ounces", "ton": "ton tons tonne tonnes", "s": "s sec secs second seconds",
    "ms": "ms milliseconds", "min": "min mins minute minutes", "h": "h hr hrs hour hours", "day": "day days",
    "week": "week weeks", "month": "month months", "year": "year years yr yrs", "L": "L l liter liters litre litres",
    "mL": "ml mL milliliter milliliters millilitre millilitres", "gal": "gal gallon gallons", "qt": "qt quart quarts",
    "pt": "pint pints", "acre": "acre acres", "ha": "hectare hectares", "degree": "degree degrees deg",
    "rad": "rad radian radians", "K": "K kelvin kelvins", "C": "celsius", "F": "fahrenheit", "J": "J joule joules",
    "kJ": "kJ", "W": "W watt watts", "kW": "kW kilowatt kilowatts", "N": "N newton newtons", "Pa": "Pa pascal pascals",
    "kPa": "kPa", "V": "V volt volts", "A": "A amp amps ampere amperes", "ohm": "ohm ohms", "Hz": "Hz hertz",
    "kHz": "kHz", "MHz": "MHz", "mol": "mol mole moles", "cal": "cal calorie calories", "kcal": "kcal", "pm": "pm",
    "am": "am", "unit": "unit units", "rpm": "rpm", "knot": "knot knots", "mi/h": "mph", "km/h": "kph kmh kmph",
    "dollar": "dollar dollars USD usd", "cent": "cent cents", "EUR": "EUR euro euros", "GBP": "GBP", "JPY": "JPY yen",
    "INR": "INR Rs rupee rupees", "CNY": "CNY RMB yuan", "KRW": "KRW won", "CAD": "CAD", "AUD": "AUD", "CHF": "CHF",
    "RUB": "RUB", "SEK": "SEK", "BRL": "BRL", "MXN": "MXN pesos peso", "GB": "GB", "MB": "MB", "KB": "KB kB",
    "TB": "TB", "mA": "mA", "kV": "kV", "mW": "mW", "MW": "MW", "GW": "GW", "kWh": "kWh", "us": "us", "ns": "ns",
    "um": "um", "hp": "hp", "MPa": "MPa",
}  # fmt: skip
_UNITS = {spelling: name for name, spellings in _NAMES.items() for spelling in spellings.split()}
_SIGNS = {
    "$": "dollar", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "¢": "cent", "₺": "TRY",
    "₪": "ILS", "฿": "THB", "₫": "VND", "₱": "PHP", "₦": "NGN", "₴": "UAH",
    "pounds": "GBP", "euro": "EUR", "yen": "JPY", "cent": "cent", "textdollar": "dollar", "rupee": "INR",
}  # fmt: skip
_NO_LABEL = words_of("""
    and or not if when for mod base approx approximately about pct percent percentage tenth tenths half halves third
    thirds quarter quarters dozen hundred thousand million billion trillion hundreds thousands millions billions
    squared cubed pi sqrt sin cos tan log ln exp over plus minus times factorial choose is are no never none odd
    even prime primes composite more less fewer greater least most except only modulo divides to than but remainder
    all with where such from between above below under cup cap in on at by does do
""")

_WRAPPER = r"\\(?:text|mbox|mathrm|textrm|textbf|textit|operatorname)\{"
_FONT = re.compile(_WRAPPER + r"([^{}\\]*)\}")
_TAIL_CHARS = 80
_TAIL = re.compile(
    r"(?:(?<=[0-9.)}\]])|(?<=\\pi)|(?<=\\pi )|(?<=[A-Za-z])(?=\s*\\(?:text|mbox)))(?P<gap>\s*)"
    rf"(?P<tail>(?=[A-Za-z]|\\(?!cdot))(?:{_WRAPPER}[^{{}}\\]*\}}"
    r"|\\cdot(?![A-Za-z])|[A-Za-z]|[/. ]|(?<=[A-Za-z]{3})-(?=[A-Za-z]{3})|(?<=[A-Za-z}])\^-?[1-9])++)$"
)
_WRAPPED = re.compile(rf"\s*{_WRAPPER}[^{{}}\\]*\}}(?:\^-?[1-9])?$")
_FRACTION_TAIL = re.compile(
    r"(?<=[0-9.)}])\s*\\frac\{((?:" + _WRAPPER + r"[^{}\\]*\}|[^{}])*)\}\{((?:" + _WRAPPER + r"[^{}\\]*\}|[^{}])*)\}$"
)
_TOKEN = re.compile(r"[A-Za-z]+|\^-?[1-9]|/")
_MARK = r"[$€£¥₹₩₽¢₺₪฿₫₱₦₴]|(?:pounds|euro|yen|cent|textdollar|rupee)(?![A-Za-z])"
_MONEY = re.compile(
    rf"(?:^|(?<=[=: ]))(?P<sign>[+-]?)\s*(?:(?:US|CA|AU|HK|NZ|NT|MX|[ACSR]|{_WRAPPER})?\s*\\?(?P<mark>{_MARK})"
    rf"|(?:{_WRAPPER})?\s*(?P<code>[A-Z]{{3}}|Rs)(?![A-Za-z])\.?)"
    r"\s*\}?\s*(?=[0-9.+-])"
)
_MONEY_AFTER = re.compile(rf"(?<=[0-9.])\s*(?:{_WRAPPER})?\s*\\?(?P<mark>{_MARK})\s*\}}?$")
_DEGREES = re.compile(rf"\s*\^\\circ\s*(?:{_WRAPPER}\s*([CFK])\s*\}}|([CFK]))?$")
_MODULUS = re.compile(
    r"\s*(?:\\pmod\s*(?:\{([^{}]*)\}|(\w))|\\[bp]?mod\s*(?:\{([^{}]*)\}|([0-9]+|[a-z]))|\(\\?b?mod\s*([^()]*)\))$"
)
_NUMBER = re.compile(r"(?:[0-9.,:/+ =!^_{}()\[\]-]|\\(?:frac|pi|sqrt|times|cdot)(?![A-Za-z]))*+")
_LAST_NUMBER = re.compile(r"(?<=[A-Za-z] )[0-9][0-9.,/]*$")
_LETTERS = "".join(letter for letter in _UNITS if len(letter) == 1)
_COMPATIBLE = frozenset(("degree^1", "C", "F", "K", "C^1", "F^1", "K^1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value and its unit, "" if it has none. A unit that is not `certain` may be a factor."""

    value: str
    unit: str = ""
    certain: bool = True


def split_unit(text: str) -> Measured:
    """Separates the unit of a text in plain notation (see `notation.plain`)."""
    if modulus := _MODULUS.search(text[-_TAIL_CHARS:]):
        value = text[: len(text) - (modulus.end() - modulus.start())]
        return Measured(value=value, unit=f"mod {next(filter(None, modulus.groups()), '').strip()}")
    if (money := _MONEY.search(text)) and (unit := _currency(money)):
        amount = _with_tail(text[money.end() :])  # `$5 dollars` has its unit twice
        return Measured(value=text[: money.start()] + money["sign"] + amount.value, unit=unit)
    if money := _MONEY_AFTER.search(text):
        return Measured(value=text[: money.start()], unit=_SIGNS[money["mark"]])
    if degrees := _DEGREES.search(text):
        return Measured(value=text[: degrees.start()], unit=degrees[1] or degrees[2] or "degree^1")
    if (ratio := _FRACTION_TAIL.search(text)) and (unit := _unit_of(f"{_words(ratio[1])}/{_words(ratio[2])}")):
        return Measured(value=text[: ratio.start()], unit=unit)
    return _with_tail(text)


def without_units(gold: str, answer: str) -> tuple[str, str] | None:
    """Both texts, in plain notation, without their units; None if the units contradict each other."""
    one, other = split_unit(gold), split_unit(answer)
    if one.unit and other.unit:
        if _agree(one.unit, other.unit):
            return one.value, other.value
        return None if one.certain and other.certain else (gold, answer)
    if _same_letter(one, answer) or _same_letter(other, gold):
        return one.value.rstrip(_LETTERS), other.value.rstrip(_LETTERS)
    return _remove_unit(one, gold, answer), _remove_unit(other, answer, gold)


def class_value(text: str) -> str:
    """The text without its unit, for a class: the single letter of `6 m` stays, because `6 s` is not the same."""
    found = split_unit(text)
    return found.value if found.certain or len(text) - len(found.value.rstrip()) > 2 else text


def _same_letter(found: Measured, other: str) -> bool:
    r"""Whether the other text ends in the letter of this certain unit: `6m` and `6\text{ m}`."""
    letter = other[-1:]
    return found.certain and bool(found.unit) and found.unit == f"{_UNITS.get(letter)}^1" and other[-2:-1].isdigit()


def _remove_unit(found: Measured, text: str, other: str) -> str:
    return found.value if found.certain or _is_number(other) else text


def _is_number(text: str) -> bool:
    value = text.rpartition("=")[2]
    return _NUMBER.fullmatch(value) is not None and bool(re.search(r"[0-9]|\\pi", value))


def _agree(one: str, other: str) -> bool:
    return one == other or LABEL in (one, other) or "unit" in one + other or {one, other} <= _COMPATIBLE


def _currency(money: re.Match[str]) -> str:
    if money["mark"]:
        return _SIGNS[money["mark"]]
    return _UNITS.get(money["code"], "")


def _words(tail: str) -> str:
    return _FONT.sub(r" \1 ", tail).replace(r"\cdot", " ")


def _with_tail(text: str) -> Measured:
    head, end = text[:-_TAIL_CHARS], _NEGATIVE_POWER.sub(r"^\1", text[-_TAIL_CHARS:])
    match = _TAIL.search(end)
    if match is None:
        return Measured(value=text)
    value, tail = head + _BARE_POWER.sub(r"^{\1}", end[: match.start()]), match["tail"]
    wrapped = tail.startswith("\\")
    spaced = bool(match["gap"]) and not value.rstrip().endswith(r"\pi")  # there LaTeX needs the space
    words = _words(tail).strip()
    if unit := _unit_of(words):
        if not wrapped and not spaced and _ONE_LETTER.fullmatch(words):
            return Measured(value=text)
        certain = wrapped or (spaced and len(re.split(r"[^A-Za-z]", words)[0]) > 2)
        return Measured(value=value, unit=unit, certain=certain)
    if (last := _WRAPPED.search(end)) and (unit := _unit_of(_words(last[0]))):
        return Measured(value=head + _BARE_POWER.sub(r"^{\1}", end[: last.start()]), unit=unit)
    if (wrapped or spaced) and _is_label(words) and (_is_number(value) or _LAST_NUMBER.search(value)):
        return Measured(value=value, unit=LABEL)
    return Measured(value=text)


_ONE_LETTER = re.compile(r"[A-Za-z](?:\^[1-9])?")
_NEGATIVE_POWER, _BARE_POWER = re.compile(r"\^\{(-[1-9])\}"), re.compile(r"\^(-[1-9])")


def _unit_of(words: str) -> str:
    """The canonical name of a unit (`h^-1 km^1`), "" if the words are not a unit."""
    powers: dict[str, int] = {}
    sign, power, last = 1, 1, ""
    for word in _TOKEN.findall(words):
        if word in ("/", "per"):
            sign = -1
        elif word in _POWERS_BEFORE:
            power = _POWERS_BEFORE[word]
        elif last and (word[0] == "^" or word in _POWERS_AFTER):
            powers[last] *= _POWERS_AFTER.get(word) or int(word[1:])
        elif name := _UNITS.get(word) or _UNITS.get(word.lower() if len(word) > 1 else word):
            for part, direction in zip(name.split("/"), (1, -1), strict=False):
                powers[part] = powers.get(part, 0) + direction * sign * power
                last = part
            power = 1
        else:
            return ""
    return " ".join(sorted(f"{name}^{exponent}" for name, exponent in powers.items()))


_POWERS_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWERS_AFTER = {"squared": 2, "cubed": 3}


def _is_label(words: str) -> bool:
    found = re.findall("[A-Za-z]+", words)
    return (
        re.fullmatch(r"[A-Za-z .-]+", words) is not None
        and not any(word.lower() in _NO_LABEL for word in found)
        and any(len(word) > 2 for word in found)
    )
