import pytest

from scale_reasoning.answers import normalise, rational
from scale_reasoning.answers.numbers import is_relation, other_variable, stated_number

VALUES = [
    "x = 5", "x_1 = 5", "5 = x", "S = m+n = 5", "m+n = 5", "100m + n = 5", "p+q+r = 5", "a - b = 5", "AB = 5",
    r"\angle ABC = 5^\circ", "f(2) = 5", "P(A) = 5", "P(X=2) = 5", r"\frac{m}{n} = 5",
    "|AB| = 5", "[ABC] = 5", r"\text{Area} = 5", "x_1 + x_2 = 5",
    r"\alpha+\beta = 5", r"\cos A = 5", "total number of ways = 5",
]  # fmt: skip
RELATIONS = [
    "x^2 + y^2 = 5", "3x + 4y = 5", "xy = 5", "x + y = 5", "2x = 5", "x + y + z = 5", "x^2 = 5", "|x| = 5", "mn = 5",
    "a^2 + b^2 = 5", r"\frac{y}{x} = 5", "n^2 = 5", "2^x = 5", "m+n+x = 5", r"\sin x = 5", "x + 1 = 5",
]  # fmt: skip


@pytest.mark.parametrize("equation", VALUES)
def test_an_equation_may_name_a_value(equation: str):
    assert rational(equation) == 5
    assert not is_relation(normalise(equation))


@pytest.mark.parametrize("equation", RELATIONS)
def test_the_right_side_of_a_relation_is_no_answer(equation: str):
    assert rational(equation) is None
    assert is_relation(normalise(equation))


def test_an_answer_may_state_a_number_with_any_left_side():
    assert stated_number("a^2+b^2=25") == 25
    assert stated_number("x^2-5x+6=0") is None
    assert stated_number("115=116") is None


def test_two_variables_are_not_one():
    assert other_variable("x=5", "y=5")
    assert not other_variable("x=5", "X=5")
    assert not other_variable("x=5", "5")
    assert not other_variable("m+n=5", "n=5")
    assert not other_variable("y=2x", "x=y/2")
