"""Writes out one operation digit by digit, as on paper: the teacher's thoughts.

Decides the layout: one equation per fact, a separate fact for a carry, columns from the ones up, and after "write" the
result's digits so far, so that the last column has the result. Every statement is true and follows from earlier ones.
Does not know requests or problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from scale_reasoning.arithmetic.chains import Operation, Turn

SIGNS: dict[Operation, str] = {"add": "+", "sub": "-", "mul": "×", "div": "÷", "mod": "mod"}
_PLACES = ("ones", "tens", "hundreds", "thousands", "ten thousands", "hundred thousands", "millions")


def expression(turn: Turn) -> str:
    """`52 × 9`."""
    return f"{turn.left} {SIGNS[turn.operation]} {turn.right}"


def write_working(turn: Turn) -> list[str]:
    """The lines between an operation and its result. There are none for the sum or product of two digits, the inverses
    of these, and what needs no computation (times 1, a number divided by itself, the last digits of a number).
    """
    match turn.operation:
        case "add":
            return _sum(turn.left, turn.right)
        case "sub":
            return _difference(turn.left, turn.right)
        case "mul":
            return _product(turn.left, turn.right)
        case "div":
            return _quotient(turn.left, turn.right)
        case "mod":
            return []


def _sum(left: int, right: int) -> list[str]:
    if max(left, right) < 10:
        return []
    columns = zip_longest(_digits(left), _digits(right), fillvalue=0)
    return [*_align(left, "+", right), *_add_columns([(f"{a}+{b}={a + b}", a + b) for a, b in columns])]


def _difference(left: int, right: int) -> list[str]:
    """By equal additions: an upper digit that is too small counts ten more, and the next lower digit one more."""
    if left < 20 and max(right, left - right) < 10:
        return []
    lines, carry, written = _align(left, "-", right), 0, ""
    for place, (upper, digit) in enumerate(zip_longest(_digits(left), _digits(right), fillvalue=0)):
        facts, lower = list[str](), digit + carry
        if carry:
            facts.append(f"{digit}+{carry}={lower}")
        carry = int(upper < lower)
        if carry:
            facts.append(f"{upper}-{lower}")
        rest = 10 * carry + upper - lower
        written = f"{rest}{written}"
        facts += [f"{10 * carry + upper}-{lower}={rest}", f"write {written}"]
        lines.append(_line(place, *facts, *(["carry 1"] if carry else [])))
    return lines


def _align(left: int, sign: str, right: int) -> list[str]:
    """Both numbers with equally many digits; no line if they have."""
    most = max(len(str(left)), len(str(right)))
    return [] if len(str(left)) == len(str(right)) else [f"{left:0{most}} {sign} {right:0{most}}"]


def _product(left: int, right: int) -> list[str]:
    """A row per digit of the shorter factor, each added to the sum of the previous rows."""
    if 1 in (left, right):
        return []
    if len(str(left)) < len(str(right)):
        return [f"{left} × {right} = {right} × {left}", *_product(right, left)]
    if right < 10:
        return _times(left, right)
    parts = [(digit, 10**place) for place, digit in enumerate(_digits(right)) if digit]
    lines = [f"{right} = {' + '.join(str(digit * unit) for digit, unit in parts)}"] if len(parts) > 1 else []
    total = 0
    for digit, unit in parts:
        row = left * digit * unit
        lines += _row(left, digit, unit)
        if total:
            lines += [f"{row} + {total}", *_sum(row, total)]
        total += row
        if row < total < left * right:  # the last sum is the result, which the caller writes
            lines.append(f"{row} + {total - row} = {total}")
    return lines


def _row(left: int, digit: int, unit: int) -> list[str]:
    """`left` times one digit of the other factor, with the zeros of the digit's place."""
    short = f"{left} × {digit} = {left * digit}"
    inner = _times(left, digit)
    opened = [f"{left} × {digit}", *inner] if inner else []
    return [*opened, short if unit == 1 else f"{short}, {left} × {digit * unit} = {left * digit * unit}"]


def _times(left: int, digit: int) -> list[str]:
    if left < 10 or digit == 1:
        return []
    return _add_columns([(f"{each}×{digit}={each * digit}", each * digit) for each in _digits(left)])


def _add_columns(columns: Sequence[tuple[str, int]]) -> list[str]:
    """One line per column, from the fact that gives its number and the number."""
    lines, carry, written = list[str](), 0, ""
    for place, (fact, number) in enumerate(columns):
        facts, total = [fact], number + carry
        if carry:
            facts.append(f"{number}+{carry}={total}")
        carry = total // 10 if place < len(columns) - 1 else 0
        written = f"{total - 10 * carry}{written}"
        facts.append(f"write {written}")
        lines.append(_line(place, *facts, *([f"carry {carry}"] if carry else [])))
    return lines


def _quotient(left: int, right: int) -> list[str]:
    """Long division. Multiples of a divisor of several digits are listed as far as needed."""
    if right in (1, left) or (right < 10 and left < 10 * right):
        return []
    lines, listed, rest, text = list[str](), 1, 0, str(left)
    first = next(count for count in range(1, len(text) + 1) if int(text[:count]) >= right)
    for count in range(first, len(text) + 1):
        part = int(text[:first]) if count == first else 10 * rest + int(text[count - 1])
        opened = f"take {part}" if count == first else f"bring down {text[count - 1]}, take {part}"
        digit, rest = divmod(part, right)
        if right >= 10 and min(digit + 1, 9) > listed:
            more = range(listed + 1, min(digit + 1, 9) + 1)
            lines.append(", ".join(f"{right}×{factor}={right * factor}" for factor in more))
            listed = more[-1]
        lines += _divide_part(opened, part, digit, right)
    return lines


def _divide_part(opened: str, part: int, digit: int, right: int) -> list[str]:
    """One digit of a quotient, and the rest."""
    times, rest = digit * right, part - digit * right
    if digit == 0:
        return [f"{opened}: {part}<{right}, write 0"]
    written = f"{opened}: {right}×{digit}={times}, write {digit}"
    if rest < 10:
        return [f"{written}, {part}-{times}={rest}"]
    return [written, f"{part} - {times}", *_difference(part, times), f"{part} - {times} = {rest}"]


def _digits(number: int) -> Iterator[int]:
    """The digits of a number, from the ones up."""
    return map(int, reversed(str(number)))


def _line(place: int, *facts: str) -> str:
    name = _PLACES[place] if place < len(_PLACES) else f"10^{place}"
    return f"{name}: {', '.join(facts)}"
