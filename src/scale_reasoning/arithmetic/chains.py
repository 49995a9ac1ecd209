"""The numbers of an arithmetic problem: a chain of operations, each on the result of the previous one.

Decides which chains exist (positive whole results, operands of at most four digits) and the split of each. Does not
know the words. Draws by hashing, so a chain is the same on every version of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias, TypeVar, get_args

from scale_reasoning.errors import ConfigError

T = TypeVar("T")

Operation: TypeAlias = Literal["add", "sub", "mul", "div", "mod"]
Split: TypeAlias = Literal["train", "validation", "test"]

OPERATIONS: tuple[Operation, ...] = ("add", "sub", "mul", "div")
"""The operations of a level without moves."""
SPLITS: tuple[Split, ...] = get_args(Split)
MAX_STEPS = 8
MAX_DIGITS = 4
MAX_FACTOR = 99
"""The largest factor and divisor."""
MAX_TRIES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A kind of step of a level: the operation, and inclusive ranges of both operands and of the result. `weight` is
    its frequency relative to the other moves that are possible.
    """

    operation: Operation
    left: tuple[int, int]
    right: tuple[int, int]
    result: tuple[int, int]
    weight: int

    def allows(self, turn: Turn) -> bool:
        """Whether an operation on two numbers is of this kind."""
        ranges = ((self.left, turn.left), (self.right, turn.right), (self.result, turn.result))
        return self.operation == turn.operation and all(low <= number <= high for (low, high), number in ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How hard problems are: inclusive ranges of the number of steps, and of the digits of each given number.

    A result that is used again has at most four digits, whatever the digits of the given numbers. A level with `moves`
    has no other steps; its `digits` are those of the first number.
    """

    steps: tuple[int, int]
    digits: tuple[int, int]
    moves: tuple[Move, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high), most in (("steps", self.steps, MAX_STEPS), ("digits", self.digits, MAX_DIGITS)):
            if not 1 <= low <= high <= most:
                raise ConfigError(f"{name} must be a range within 1 to {most}, not {low} to {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One operation with its result: `left` is the previous result, `right` a number in the text."""

    operation: Operation
    left: int
    right: int
    result: int

    @property
    def kind(self) -> str:
        """The operation and the digits of its larger operand: `add2`, `mul4`."""
        return f"{self.operation}{max(len(str(self.left)), len(str(self.right)))}"


def split_of(turns: Sequence[Turn]) -> Split:
    """The split of a chain, 8 : 1 : 1, from its numbers and operations alone.

    It does not depend on seed, level or words, so a chain cannot be in two splits.
    """
    canonical = " ".join([str(turns[0].left), *(f"{turn.operation} {turn.right}" for turn in turns)])
    share = int.from_bytes(sha256(canonical.encode()).digest()[:8], "big") % 10
    return "test" if share == 0 else "validation" if share == 1 else "train"


def draw(level: Level, split: Split, key: str) -> tuple[Turn, ...]:
    """Draws a chain of this level and split; equal arguments give equal chains.

    Raises ConfigError if the level has so few chains that none of this split is found.
    """
    for attempt in range(MAX_TRIES):
        turns = _chain(level, Dice(f"{key}/{attempt}"))
        if turns and split_of(turns) == split:
            return turns
    raise ConfigError(f"hardly any chain of {level} is in the {split} split: widen steps or digits")


class Dice:
    """An endless stream of random choices, determined by a key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._rolls = 0

    def below(self, bound: int) -> int:
        """A number from 0 up to, not including, the bound. It comes from 64 bits, so its bias is negligible."""
        self._rolls += 1
        digest = sha256(f"{self._key}#{self._rolls}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % bound

    def one(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def shuffle(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in items]


def _chain(level: Level, dice: Dice) -> tuple[Turn, ...]:
    """A chain, () if no move is possible after some result."""
    value = dice.one(dice.one([_numbers(digits) for digits in _span(level.digits)]))
    turns: list[Turn] = []
    steps = dice.one(_span(level.steps))
    for step in range(steps):
        turn = _move(value, level, dice) if level.moves else _turn(value, level, dice, last=step == steps - 1)
        if turn is None:
            return ()
        turns.append(turn)
        value = turn.result
    return tuple(turns)


def _move(value: int, level: Level, dice: Dice) -> Turn | None:
    fitting = [
        (move, numbers)
        for move in level.moves
        if move.left[0] <= value <= move.left[1]
        and (numbers := [n for n in _span(move.right) if result_of(move.operation, value, n) in _span(move.result)])
    ]
    if not fitting:
        return None
    move, numbers = dice.one([each for each in fitting for _ in range(each[0].weight)])
    right = dice.one(numbers)
    return Turn(operation=move.operation, left=value, right=right, result=result_of(move.operation, value, right))


def _turn(value: int, level: Level, dice: Dice, *, last: bool) -> Turn:
    for operation in dice.shuffle(OPERATIONS):
        fitting = [_operands(operation, value, digits, last=last) for digits in _span(level.digits)]
        if any(fitting):
            right = dice.one(dice.one([numbers for numbers in fitting if numbers]))
            return Turn(operation=operation, left=value, right=right, result=result_of(operation, value, right))
    raise AssertionError(f"no operation is possible on {value}")  # sub always is above 8,999, add below it


def _operands(operation: Operation, value: int, digits: int, *, last: bool) -> Sequence[int]:
    """The numbers with this many digits that give a positive whole result, within bounds unless it is the last."""
    bound = 10**MAX_DIGITS - 1
    highest = {
        "add": bound if last else bound - value,
        "sub": value - 1,
        "mul": MAX_FACTOR if last else min(MAX_FACTOR, bound // value),
        "div": min(MAX_FACTOR, value),
        "mod": 0,
    }[operation]
    numbers = range(_numbers(digits).start, min(_numbers(digits).stop, highest + 1))
    return [number for number in numbers if value % number == 0] if operation == "div" else numbers


def _numbers(digits: int) -> range:
    """Numbers from 2: the words for one thing would need another grammar, and a factor of 1 is not a step."""
    return range(max(2, 10 ** (digits - 1)), 10**digits)


def _span(bounds: tuple[int, int]) -> range:
    return range(bounds[0], bounds[1] + 1)


def result_of(operation: Operation, left: int, right: int) -> int:
    """The result of an operation; of a division the whole part."""
    match operation:
        case "add":
            return left + right
        case "sub":
            return left - right
        case "mul":
            return left * right
        case "div":
            return left // right
        case "mod":
            return left % right
