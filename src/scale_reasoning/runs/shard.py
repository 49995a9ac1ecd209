"""One machine's part of a run: which samples of which problems it makes.

Decided by names alone, so that machines need not know each other and a problem's position in its dataset does not
matter. A sample runs in all cells on one machine, where they share calls.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from scale_reasoning.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Part `number`, from 1, of `of` parts."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ConfigError(f"shard {self}: the first number must be from 1 to the second")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, dataset: str, problem_id: str, sample: int) -> bool:
        """Whether a sample of a problem belongs to this shard.

        The problem's hash decides the shard of its first sample, and the others follow in turn. So every shard has a
        part of each problem, and all take about the same time although some problems take far longer than others.
        """
        return (_turn(dataset, problem_id) + sample) % self.of == self.number - 1

    def count(self, dataset: str, problem_id: str, samples: int) -> int:
        """How many of a problem's samples belong to this shard."""
        first = (self.number - 1 - _turn(dataset, problem_id)) % self.of
        return len(range(first, samples, self.of))


def _turn(dataset: str, problem_id: str) -> int:
    digest = hashlib.sha256(f"{dataset}\x1f{problem_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def read(text: str) -> Shard:
    """Parses a shard such as `2/5`. Raises ConfigError."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None:
        raise ConfigError(f"--shard {text}: must be I/N, such as 2/5")
    return Shard(number=int(match[1]), of=int(match[2]))
