"""Options that are a short table of numbers, written in one word or several: `0.3:none 0.7:2048 1:max`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from scale_reasoning.errors import ConfigError

T = TypeVar("T")


def read_pairs(option: str, text: str, read: Callable[[str], T]) -> Sequence[tuple[float, T]]:
    """The pairs of a number in [0, 1] and a value that `read` understands, by rising numbers.

    Raises ConfigError that names the option and what is wrong with it.
    """
    pairs: list[tuple[float, T]] = []
    for word in text.split():
        number, colon, value = word.partition(":")
        try:
            pair = (float(number), read(value))
        except ValueError:
            colon = ""
        if not colon or not 0 <= pair[0] <= 1:
            raise ConfigError(f"{option}: {word!r} must be NUMBER:VALUE with a number from 0 to 1")
        pairs.append(pair)
    if not pairs:
        raise ConfigError(f"{option}: must have at least one NUMBER:VALUE")
    if any(low[0] >= high[0] for low, high in pairwise(pairs)):
        raise ConfigError(f"{option} = {text!r}: the numbers must rise")
    return pairs
