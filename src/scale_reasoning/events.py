"""What a listener hears while a strategy runs: calls as they start, stream and end, and the method's own decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from scale_reasoning.types import Call, Completion, Delta, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A call was sent."""

    path: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A piece of a call's reply came."""

    path: str
    delta: Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A call ended; `completion` is None when it failed."""

    path: str
    call: Call | None
    completion: Completion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposed:
    """The decomposition was chosen (paper, eq 2)."""

    path: str
    candidates: tuple[tuple[str, ...], ...]
    selected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A sub-problem was given its mode (paper, eqs 3-4); `step` counts from 1, `of` is how many there are."""

    path: str
    step: int
    of: int
    subproblem: str
    difficulty: float | None
    mode: Mode


Event: TypeAlias = Started | Streamed | Finished | Decomposed | Routed
Listener: TypeAlias = Callable[[Event], None]
