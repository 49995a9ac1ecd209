"""Options that are a short table of numbers, written in one word or several: `0.3:none 0.7:2048 1:max`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from scale_reasoning.errors import ConfigError

T = TypeVar("T")


def read_pairs(option: str, text: str, read: Callable[[str], T]) -> Sequence[tuple[float, T]]:
    """The pairs of a number in [0, 1] and a value that `read` understands, by rising numbers.

    Raises ConfigError that names the option and what is wrong with it, as the ValueError of `read` says.
    """
    pairs: list[tuple[float, T]] = []
    for word in text.split():
        number, _, value = word.partition(":")
        try:
            pairs.append((float(number), read(value)))
        except ValueError as error:
            raise ConfigError(f"{option}: {word!r} is not NUMBER:VALUE: {error}") from None
        if not 0 <= pairs[-1][0] <= 1:
            raise ConfigError(f"{option}: in {word!r}, the number must be from 0 to 1")
    if not pairs:
        raise ConfigError(f"{option}: must have at least one NUMBER:VALUE")
    if any(low[0] >= high[0] for low, high in pairwise(pairs)):
        raise ConfigError(f"{option} = {text!r}: the numbers must rise")
    return pairs
