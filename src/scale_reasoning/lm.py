"""The model as a strategy sees it, within one attempt.

Gives every call a path, derives the call's seed from the path, looks in the journal before it pays, records the calls
and turns a mode into an endpoint. Knows nothing of prompts, methods, retries or sockets.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from scale_reasoning.endpoint import Endpoint, Endpoints, Thinking, check_thinking, request_for
from scale_reasoning.errors import ConfigError, ContextOverflow, ScaleError
from scale_reasoning.events import Event, Finished, Listener, Location, Started, Streamed
from scale_reasoning.fit import Fit
from scale_reasoning.journal import Journal, key
from scale_reasoning.profiles import NO_PAIR, Seen
from scale_reasoning.together import Turn
from scale_reasoning.types import (
    NO_USAGE,
    Attempt,
    Call,
    Completion,
    Delta,
    Message,
    Mode,
    Problem,
    Request,
    Schema,
    Solution,
    Stage,
    Usage,
)


class Strategy(Protocol):
    """A method of spending calls on a problem: a frozen dataclass whose fields are its options."""

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """Solves the problem with bounded calls. Raises a StrategyError when the model's replies do not allow it."""
        ...

    def most_calls(self) -> int:
        """How many model calls one attempt makes at most, whatever the model replies."""
        ...


CANCELLED = "cancelled"
"""The finish reason of a call that was cancelled."""


@dataclass(slots=True)
class _Ledger:
    """The state that all `LM`s of one attempt share."""

    attempt: Attempt
    seed: int
    endpoints: Endpoints
    journal: Journal | None
    listener: Listener | None
    turn: Turn | None
    paths: set[str] = field(default_factory=set[str])
    calls: list[Call] = field(default_factory=list[Call])


class LM:
    """The model in one attempt. `lm.at("step3").at("assess")` has the path of one call; each path is called once."""

    __slots__ = ("_chain", "_ledger", "path")

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        attempt: Attempt,
        seed: int = 0,
        journal: Journal | None = None,
        listener: Listener | None = None,
        turn: Turn | None = None,
    ) -> None:
        """`seed` is the run's; every call's own seed is derived from it, the attempt and the call's path. Without a
        journal every call is paid for: within one attempt no two requests are equal. `turn` paces what a strategy
        starts concurrently (see together.py).
        """
        self._ledger = _Ledger(attempt, seed, endpoints, journal, listener, turn)
        self.path = ""
        self._chain: int | None = None

    def at(self, name: str) -> LM:
        """The same model with one more part in its path: `lm.at("step3").at("assess").path == "step3/assess"`."""
        return self._child(name, self._chain)

    def chain(self, number: int) -> LM:
        """The same model for the chain of that number in a vote, from 1; in a vote of votes the outer number stays."""
        return self._child(f"chain{number}", number if self._chain is None else self._chain)

    def as_chain(self, number: int) -> LM:
        """The same model and path as chain `number`: for a strategy that votes with others under its own paths."""
        child = object.__new__(LM)
        child._ledger, child.path = self._ledger, self.path
        child._chain = number if self._chain is None else self._chain
        return child

    def location(self, stage: Stage = Stage.SOLVE, *, final: bool | None = False) -> Location:
        """Path, stage and chain, for events."""
        return Location(path=self.path, stage=stage, chain=self._chain, final=final)

    def _child(self, name: str, chain: int | None) -> LM:
        child = object.__new__(LM)
        child._ledger, child._chain = self._ledger, chain
        child.path = f"{self.path}/{name}" if self.path else name
        return child

    @property
    def sample(self) -> int:
        """Which sample of the problem this attempt is."""
        return self._ledger.attempt.sample

    @property
    def calls(self) -> tuple[Call, ...]:
        """The finished calls so far, by path (step2 before step10), so that concurrency cannot reorder them."""
        return tuple(sorted(self._ledger.calls, key=lambda call: _natural(call.path)))

    @property
    def turn(self) -> Turn | None:
        """What a strategy waits for before it starts one more call or chain concurrently; None: start all at once."""
        return self._ledger.turn

    def derived_seed(self) -> int:
        """The seed of this path: a hash, so that no order of calls can change it; 31 bits, which all servers accept."""
        ledger = self._ledger
        name = f"{ledger.seed}\x1f{ledger.attempt.problem_id}\x1f{ledger.attempt.sample}\x1f{self.path}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1

    def draw(self) -> float:
        """A number in [0, 1) derived from this path's seed."""
        return self.derived_seed() / 2**31

    @property
    def prompts(self) -> str:
        """The prompt set of the model's family; "" where it has none, or System 1 is of a family that has another."""
        sets = {endpoint.profile.prompts for endpoint in self._ledger.endpoints.values()}
        return sets.pop() if len(sets) == 1 else ""

    @property
    def candidates(self) -> int | None:
        """How many decompositions System 1's family is worth, None where it does not say."""
        endpoint = self._ledger.endpoints.get(Mode.SYSTEM1)
        return None if endpoint is None else endpoint.profile.candidates

    @property
    def steps_see(self) -> Seen | None:
        """What steps should see of a problem, by System 2's family; None where it does not say."""
        endpoint = self._ledger.endpoints.get(Mode.SYSTEM2)
        return None if endpoint is None else endpoint.profile.steps_see

    def has(self, mode: Mode) -> bool:
        """Whether there is a model for the mode."""
        return mode in self._ledger.endpoints

    def keeps_budget(self, mode: Mode) -> bool:
        """Whether the mode's server is known to enforce a budget of thinking tokens."""
        return self.has(mode) and self._ledger.endpoints[mode].keeps_budget

    def check_thinking(self, mode: Mode, thinking: Thinking) -> None:
        """Raises ConfigError where the mode's model or server cannot think like this."""
        check_thinking(self._ledger.endpoints, mode, thinking)

    def tell(self, event: Event) -> None:
        """Passes an event to the listener, if there is one."""
        if self._ledger.listener is not None:
            self._ledger.listener(event)

    def spent(self) -> Mapping[Mode, Usage]:
        """Usage so far by mode."""
        return {mode: _sum(c.usage for c in self._ledger.calls if c.mode is mode) for mode in Mode}

    async def chat(
        self,
        messages: tuple[Message, ...],
        *,
        mode: Mode,
        stage: Stage = Stage.SOLVE,
        final: bool | None = False,
        max_tokens: int | None = None,
        schema: Schema | None = None,
        logprobs: int | None = None,
        thinking: Thinking | None = None,
    ) -> Completion:
        """One completion in the given mode; with a journal it is paid for at most once.

        Its tokens are accounted to `stage`; `final` is for listeners (see events.Location). `max_tokens` caps new
        tokens and is clipped to the window; `logprobs`: see Request. A budget of `thinking` is left out where
        `keeps_budget` is false. Raises RuntimeError when this path was called before, ConfigError when the mode has no
        endpoint or cannot think like this, ContextOverflow when the prompt leaves no room, and the engine's
        EngineErrors.
        """
        ledger = self._ledger
        if self.path in ledger.paths:
            raise RuntimeError(f"two calls at one path: {self.path!r}; give each its own lm.at(name)")
        ledger.paths.add(self.path)
        endpoint = self._endpoint(mode)
        seed = self.derived_seed()
        request = request_for(ledger.endpoints, messages, mode, seed, max_tokens, schema, logprobs, thinking)
        started, location = _now(), self.location(stage, final=final)
        self.tell(Started(location=location, mode=mode))
        try:
            completion = await self._paid_once(endpoint, request, location)
        except BaseException as error:
            self.tell(Finished(location=location, request=request, call=None, completion=None))
            if isinstance(error, ScaleError):
                error.path = self.path
            raise
        call = Call(
            path=self.path,
            stage=stage,
            mode=mode,
            seed=request.seed,
            usage=completion.usage,
            finish_reason=completion.finish_reason,
            seconds=completion.seconds if completion.seconds is not None else _now() - started,
        )
        ledger.calls.append(call)
        self.tell(Finished(location=location, request=request, call=call, completion=completion))
        return completion

    def record_cancelled(self, mode: Mode, stage: Stage) -> None:
        """Records that this path's call was cancelled. Its usage is unknown, never zero; its seconds are those of the
        longest call so far, the one that was waited for.
        """
        calls = self._ledger.calls
        calls.append(
            Call(
                path=self.path,
                stage=stage,
                mode=mode,
                seed=self.derived_seed(),
                usage=Usage(),
                finish_reason=CANCELLED,
                seconds=max((call.seconds for call in calls), default=0.0),
            )
        )

    async def _paid_once(self, endpoint: Endpoint, request: Request, location: Location) -> Completion:
        journal = self._ledger.journal
        if journal is None:
            return await self._generate(endpoint, request, location)
        filed = key(request)
        completion = await journal.get(filed, request)
        if completion is None:
            started = _now()
            completion = await self._generate(endpoint, request, location)
            completion = replace(completion, seconds=_now() - started)
            await journal.put(filed, request, completion)
        return completion

    def _endpoint(self, mode: Mode) -> Endpoint:
        endpoint = self._ledger.endpoints.get(mode)
        if endpoint is None:
            other = next(iter(self._ledger.endpoints.values()), None)
            named, mend = (other.model, other.profile.pair_hint) if other else ("this run", NO_PAIR)
            raise ConfigError(f"{named} has no {'System 1' if mode is Mode.SYSTEM1 else 'System 2'}: {mend}")
        return endpoint

    async def _generate(self, endpoint: Endpoint, request: Request, location: Location) -> Completion:
        def stream(delta: Delta) -> None:
            self.tell(Streamed(location=location, delta=delta))

        on_delta = stream if self._ledger.listener is not None else None
        fit = Fit(request, endpoint.window)
        while True:
            try:
                return await endpoint.engine.generate(fit.request, on_delta)
            except ContextOverflow as error:
                fit.shrink(error)


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, NO_USAGE)


def _now() -> float:
    return asyncio.get_running_loop().time()
