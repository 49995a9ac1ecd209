import pytest

from scale_reasoning.answers.notation import plain
from scale_reasoning.answers.units import LABEL, Measured, split_unit, without_units


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        (r"12 \text{ cm}", "12", "cm^1"),
        (r"12 \text{ cm}^2", "12", "cm^2"),
        ("12 square centimeters", "12", "cm^2"),
        ("12 meters per second", "12", "m^1 s^-1"),
        (r"12\ \mathrm{m\,s^{-1}}", "12", "m^1 s^-1"),
        ("12 mph", "12", "h^-1 mi^1"),
        ("€12", "12", "EUR"),
        (r"-\$12", "-12", "dollar"),
        ("The price is €12", "The price is 12", "EUR"),
        ("45°", "45", "degree^1"),
        ("20°C", "20", "C"),
        (r"3 \pmod{7}", "3", "mod 7"),
        ("12 ways", "12", LABEL),
        ("12", "12", ""),
        ("12 million", "12 million", ""),
        ("6m", "6m", ""),
        ("7 - 5t", "7 - 5t", ""),
        (r"6\cdot m", r"6\cdot m", ""),
        (r"2\mathrm{e}", r"2\mathrm{e}", ""),
        (r"5\text{x}", r"5\text{x}", ""),
    ],
)
def test_a_unit_comes_off_a_number_and_a_variable_does_not(text: str, value: str, unit: str):
    assert split_unit(plain(text)) == Measured(value=value, unit=unit)


@pytest.mark.parametrize("text", ["6 m", "6 m/s", "6m/s", "6cm", "6 km/h", "6 m^2"])
def test_what_may_be_a_factor_is_a_unit_only_where_the_other_answer_says_so(text: str):
    assert not split_unit(text).certain
    assert without_units("6", text) == ("6", "6")
    assert without_units("6x", text) == ("6x", text)


def test_units_that_contradict_each_other_are_told():
    assert without_units(r"5\text{ km}", r"5\text{ m}") is None
    assert without_units("5 minutes", "5 min") == ("5", "5")
    assert without_units("5 apples", "5 fruits") == ("5", "5")
