"""A written working: every line true, every digit worked out, the result there to be copied."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.speed import limit_examples

from scale_reasoning.arithmetic.chains import OPERATIONS, Turn, result_of
from scale_reasoning.arithmetic.working import expression, write_working


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    """Any operation that the dataset has, and larger ones."""
    operation = draw(st.sampled_from(OPERATIONS))
    left, right = draw(st.integers(1, 99_999)), draw(st.integers(1, 9_999))
    if operation == "sub":
        left += right
    if operation == "div":
        right = draw(st.integers(1, 999))
        left *= right
    return Turn(operation=operation, left=left, right=right, result=result_of(operation, left, right))


SIDES = re.compile(r"\d+(?: ?(?:[-+×÷]|mod) ?\d+)*(?: ?[=<] ?\d+(?: ?(?:[-+×÷]|mod) ?\d+)*)+")
SIGNED = re.compile(r"([-+×÷]|mod) ?(\d+)")


def value(side: str) -> Fraction:
    first, *_ = re.findall(r"\d+", side)
    total = Fraction(first)
    for sign, number in SIGNED.findall(side):
        match sign:
            case "+":
                total += int(number)
            case "-":
                total -= int(number)
            case "×":
                total *= int(number)
            case "mod":
                total %= int(number)
            case _:
                total /= int(number)
    return total


def assert_true(text: str) -> None:
    """Every equation and every comparison in it holds."""
    for statement in SIDES.findall(text):
        sides = re.split("([=<])", statement)
        for left, sign, right in zip(sides[::2], sides[1::2], sides[2::2], strict=False):
            assert value(left) == value(right) if sign == "=" else value(left) < value(right), statement


def read_off(turn: Turn, lines: list[str]) -> int:
    """What one gets who only copies: a quotient's written digits, else the last columns' digits from below."""
    if turn.operation == "div":
        return int("".join(digit for line in lines for digit in re.findall(r"take .*write (\d)", line)))
    return int((re.findall(r"write (\d+)", lines[-1]) or re.findall(r"\d+", lines[-1]))[-1])


@given(turn=turns())
@settings(max_examples=limit_examples(1500), deadline=None)
def test_a_working_states_nothing_false_and_leads_to_the_result(turn: Turn):
    lines = write_working(turn)
    assert_true("\n".join(lines))
    if lines:
        assert read_off(turn, lines) == turn.result, lines
    else:
        by_heart = max(turn.right, turn.result) < 10 or max(turn.left, turn.right) < 10
        assert by_heart or turn.left == turn.right or 1 in (turn.left, turn.right), expression(turn)


@given(turn=turns())
@settings(max_examples=limit_examples(500), deadline=None)
def test_a_column_is_worked_out_one_digit_at_a_time(turn: Turn):
    columns = [
        line
        for line in write_working(turn)
        if re.match(r"(?:ones|tens|.*hundreds|.*thousands|millions|10\^\d+):", line)
    ]
    for left, sign, right in re.findall(r"(\d+)([-+×])(\d+)=", "\n".join(columns)):
        assert int(right) <= 10
        assert int(left) < (100 if sign == "+" else 20 if sign == "-" else 10)


def test_the_checker_of_workings_sees_a_false_one():
    assert_true("ones: 2<8, 2-8, 12-8=4, carry 1\n36 = 6 + 30, 4 = 2 + 2 = 1 × 4")
    for false in ("12-8=5", "8<2", "4 = 2 + 2 = 5", "6 ÷ 4 = 1"):
        with pytest.raises(AssertionError):
            assert_true(false)


@pytest.mark.parametrize(
    ("operation", "left", "right", "lines"),
    [
        ("add", 8, 6, []),
        ("add", 478, 56, ["478 + 056", "ones: 8+6=14, write 4, carry 1", "tens: 7+5=12, 12+1=13, write 34, carry 1",
                          "hundreds: 4+0=4, 4+1=5, write 534"]),
        ("sub", 302, 178, ["ones: 2-8, 12-8=4, write 4, carry 1", "tens: 7+1=8, 0-8, 10-8=2, write 24, carry 1",
                           "hundreds: 1+1=2, 3-2=1, write 124"]),
        ("mul", 9, 52, ["9 × 52 = 52 × 9", "ones: 2×9=18, write 8, carry 1", "tens: 5×9=45, 45+1=46, write 468"]),
        ("mul", 52, 30, ["52 × 3", "ones: 2×3=6, write 6", "tens: 5×3=15, write 156", "52 × 3 = 156, 52 × 30 = 1560"]),
        ("div", 1836, 36, ["36×2=72, 36×3=108, 36×4=144, 36×5=180, 36×6=216",
                           "take 183: 36×5=180, write 5, 183-180=3",
                           "bring down 6, take 36: 36×1=36, write 1, 36-36=0"]),
    ],
)  # fmt: skip
def test_workings_read_as_on_paper(operation: Any, left: int, right: int, lines: list[str]):
    turn = Turn(operation=operation, left=left, right=right, result=result_of(operation, left, right))
    assert write_working(turn) == lines
