"""A simulated model server on a virtual clock: slots, prefill and decode speed, failures. Minutes pass in milliseconds.

For measuring schedulers, limits and retries. All that it does follows from the request's seed.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from scale_reasoning.engines.limit import Fixed, Slots, take_slot
from scale_reasoning.errors import Overloaded
from scale_reasoning.types import Completion, Delta, Mode, OnDelta, Request, Token, Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """The simulated server: concurrent `slots`, tokens per second for reading and writing, and lengths of replies.

    Lengths are log-normal around the medians with the given spread (sigma), so the tail is heavy, as on real servers.
    `failures` is the share of requests answered with 503. `queue` requests may wait for a slot, further ones get a 429.
    With `slowdown` s, a reply concurrent with n others takes 1 + s * n times longer, as on a GPU whose batch grows.
    """

    slots: int = 64
    prefill_tokens_per_second: float = 5000.0
    decode_tokens_per_second: float = 50.0
    system1_median_tokens: int = 300
    system2_median_tokens: int = 3000
    spread: float = 0.8
    failures: float = 0.0
    queue: int | None = None
    slowdown: float = 0.0


PIECES = 16
"""Pieces of a reply on a server with `slowdown`; each has the speed of its moment."""


class Sim:
    """Answers every stage of every strategy in the right form. `busy_seconds` is the total time of used slots,
    `tries` the number of requests by seed.
    """

    def __init__(self, speeds: Speeds | None = None) -> None:
        self.speeds = speeds or Speeds()
        self._slots = Slots(Fixed(self.speeds.slots))
        self.tries: dict[int, int] = {}
        self.requests = self.in_flight = self.most_in_flight = 0
        self.busy_seconds = 0.0

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises Overloaded for the share of requests that fail; a retry of the same request may pass."""
        self.requests += 1
        tries = self.tries[request.seed] = self.tries.get(request.seed, 0) + 1
        if random.Random(f"{request.seed} {tries}").random() < self.speeds.failures:
            raise Overloaded("simulated: 503")
        queue = self.speeds.queue
        if queue is not None and not self._slots.has_free and self._slots.waiting >= queue:
            raise Overloaded("simulated: 429")
        chance = random.Random(request.seed)
        completion = self._completion(request, chance)
        await take_slot((self._slots,))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            seconds = self._seconds(completion.usage)
            await self._write(seconds)
            self.busy_seconds += seconds
        finally:
            self.in_flight -= 1
            self._slots.release()
        if on_delta is not None:
            on_delta(Delta(text=completion.text, reasoning=completion.reasoning))
        return completion

    def resize(self, slots: int) -> None:
        """Changes the number of slots; requests being answered are not affected."""
        self._slots.limit = Fixed(slots)
        self._slots.fill()

    async def _write(self, seconds: float) -> None:
        pieces = PIECES if self.speeds.slowdown else 1
        for _ in range(pieces):
            await asyncio.sleep(seconds / pieces * (1 + self.speeds.slowdown * (self.in_flight - 1)))

    def _seconds(self, usage: Usage) -> float:
        read, written = usage.prompt_tokens or 0, usage.completion_tokens or 0
        return read / self.speeds.prefill_tokens_per_second + written / self.speeds.decode_tokens_per_second

    def _completion(self, request: Request, chance: random.Random) -> Completion:
        prompt = sum(len(message.content) for message in request.messages) // 4
        form = request.schema.name if request.schema else None
        if form == "decomposition":
            parts = ", ".join(f'"sub-problem {n} of {chance.random():.6f}"' for n in range(1, chance.randint(3, 8)))
            text, tokens, reasoning = f'{{"subproblems": [{parts}]}}', 120, ""
        elif form == "choice":
            text, tokens, reasoning = '{"choice": 1}', 8, ""
        elif form == "difficulty":
            text, tokens, reasoning = f'{{"difficulty": {chance.random():.2f}}}', 8, ""
        else:
            thinks = request.mode is Mode.SYSTEM2
            median = self.speeds.system2_median_tokens if thinks else self.speeds.system1_median_tokens
            tokens = max(1, int(chance.lognormvariate(math.log(median), self.speeds.spread)))
            how, reasoning = ("Thought through", "Let me think.") if thinks else ("At once", "")
            text = f"{how}, the result is \\boxed{{{chance.randint(0, 3)}}}."
        cut = request.max_tokens is not None and tokens > request.max_tokens
        if cut:
            tokens, text = request.max_tokens or 0, ""
        return Completion(
            text=text,
            reasoning=reasoning,
            finish_reason="length" if cut else "stop",
            usage=Usage(
                prompt_tokens=prompt,
                completion_tokens=tokens,
                reasoning_tokens=int(tokens * 0.9) if reasoning else 0,
                cached_tokens=0,
            ),
            model="sim",
            logprobs=None if request.logprobs is None else _draw_logprobs(text, request.seed, request.logprobs),
        )


def _draw_logprobs(text: str, seed: int, alternatives: int) -> tuple[Token, ...]:
    """A token for each digit and each word. The alternatives of a digit are the others, with shares that shrink."""
    chance = random.Random(f"logprobs {seed}")
    tokens: list[Token] = []
    for written in _TOKEN.findall(text):
        digit = written.isdecimal()
        others = [each for each in "0123456789" if each != written] if digit else [f" word{n}" for n in range(20)]
        chance.shuffle(others)
        left, shares = 1.0, list[float]()
        for _ in range(1 + len(others)):
            shares.append(left * chance.uniform(0.4, 0.95))
            left -= shares[-1]
        drawn = min(int(chance.expovariate(2)), len(others))  # nearly always the first
        others.insert(drawn, written)
        top = sorted(zip(others, map(math.log, shares), strict=True), key=lambda pair: -pair[1])
        tokens.append(Token(text=written, logprob=math.log(shares[drawn]), top=tuple(top[:alternatives])))
    return tuple(tokens)


_TOKEN = re.compile(r"\d|\s*[^\s\d]+|\s+")


class _VirtualSelector(selectors.SelectSelector):
    """Moves the clock instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("deadlock: every task waits and no timer is set")
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time: an hour of sleep takes no time, and two runs are equal."""

    def __init__(self) -> None:
        self._clock = _VirtualSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._clock.now


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a virtual clock. Nothing in it may do real I/O or use threads."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
