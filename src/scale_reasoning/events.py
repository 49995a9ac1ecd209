"""What a listener hears while a strategy runs: calls that start, stream and end, and the method's own decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from scale_reasoning.types import Assessment, Call, Completion, Delta, Mode, Request, Stage, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where in an attempt something happens.

    `path` is unique to a call in its attempt. `chain` is the number of the voting chain, None outside a vote. `final`
    says whether the call's text is the attempt's answer, or its chain's; None where that is known only when it ended.
    """

    path: str
    stage: Stage = Stage.SOLVE
    chain: int | None = None
    final: bool | None = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A call was sent."""

    location: Location
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A piece of a call's reply came."""

    location: Location
    delta: Delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A call ended; `call` and `completion` are None when it failed."""

    location: Location
    request: Request
    call: Call | None
    completion: Completion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposed:
    """The decomposition was chosen (paper, eq 2)."""

    location: Location
    candidates: tuple[tuple[str, ...], ...]
    selected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """System 1 drafts of a sub-problem begin; `step` counts from 1, `of` is how many there are."""

    location: Location
    step: int
    of: int
    subproblem: str
    drafts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A sub-problem was given its mode (paper, eqs 3-4); `step` counts from 1, `of` is how many there are.

    reason: the allocator's, empty if it gave none. kept: the path of the draft that is its solution, empty if a call
    follows. assessment: where the difficulty is from ("given" if from the allocator), None if there is none. compared:
    the values that were compared with the allocator's number.
    """

    location: Location
    step: int
    of: int
    subproblem: str
    difficulty: float | None
    mode: Mode
    reason: str = ""
    kept: str = ""
    assessment: Assessment | None = None
    compared: tuple[float, ...] = ()

    @property
    def drafted(self) -> bool:
        """Whether a draft is the solution, so that no call follows."""
        return bool(self.kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A sub-problem has its solution; `number` counts from 1, `of` is how many there are."""

    location: Location
    number: int
    of: int
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundBegan:
    """A round of InftyThink begins; `number` counts from 1, None where the answer is forced after the last round."""

    location: Location
    number: int | None
    mode: Mode


Event: TypeAlias = Started | Streamed | Finished | Decomposed | Drafting | Routed | Solved | RoundBegan
Listener: TypeAlias = Callable[[Event], None]
