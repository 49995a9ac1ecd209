"""Whether `--in-flight auto` finds what a server takes without being told, on the simulator's virtual clock.

    python benchmarks/adaptive.py

New tokens a second of calls mixed as SCALE mixes them, always more waiting than the server takes, as shares of what the
best of several fixed limits (half to four times the slots) gets on the same server: over the whole time, the search
included, after a third of it, and, where the server loses half of its slots at half time, before that and soon after.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from scale_reasoning.engines.limit import Adaptive, Fixed, Limit, Slots
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.errors import Overloaded
from scale_reasoning.together import together
from scale_reasoning.types import Message, Mode, Request, Schema

SECONDS = 3000
CALLERS = 6
"""For each slot: how many would like to be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Tokens and the moments they came at, and how the limit moved."""

    tokens: list[tuple[float, int]]
    limits: list[tuple[float, int]]
    failed: int

    def rate(self, begin: float, end: float) -> float:
        return sum(tokens for at, tokens in self.tokens if begin <= at < end) / (end - begin)

    def limit(self, begin: float, end: float) -> float:
        held = [limit for at, limit in self.limits if begin <= at < end]
        return sum(held) / len(held)


def calls(seed: int) -> Request:
    """The seed-th call: decompositions at first, then an assessment before each solution, half of them in System 2."""
    kind = ("difficulty", "system1", "difficulty", "system2")[seed % 4] if seed > 500 else "decomposition"
    return Request(
        model="sim",
        messages=(Message("user", "x" * 4 * random.Random(seed).randint(100, 2000)),),
        mode=Mode.SYSTEM2 if kind == "system2" else Mode.SYSTEM1,
        seed=seed,
        schema=None if kind.startswith("system") else Schema(name=kind, body={}),
    )


def served(speeds: Speeds, limit: Limit, *, halved: bool = False) -> Served:
    async def run() -> Served:
        sim, loop, seeds = Sim(speeds), asyncio.get_running_loop(), count()
        engine = Retrying(Limited(sim, slots=Slots(limit)), retries=8)
        done = Served(tokens=[], limits=[], failed=0)
        failed = 0

        async def caller() -> None:
            nonlocal failed
            while loop.time() < SECONDS:
                try:
                    reply = await engine.generate(calls(next(seeds)))
                except Overloaded:
                    failed += 1
                    continue
                done.tokens.append((loop.time(), reply.usage.completion_tokens or 0))
                done.limits.append((loop.time(), limit.most))

        async def halving() -> None:
            await asyncio.sleep(SECONDS / 2)
            if halved:
                sim.resize(speeds.slots // 2)

        await together([halving(), *(caller() for _ in range(CALLERS * speeds.slots))])
        return replace(done, failed=failed)

    return run_virtual(run())


SERVERS: dict[str, Callable[[int, float], Speeds]] = {
    "queues": lambda slots, spread: Speeds(slots=slots, spread=spread),
    "slows": lambda slots, spread: Speeds(slots=slots, spread=spread, slowdown=1 / slots),
    "refuses": lambda slots, spread: Speeds(slots=slots, spread=spread, queue=0),
}
"""Those that want more than the slots wait; each is served slower the more there are, twice as slow when the server is
full; those that want more than the slots are answered 429."""


def best(speeds: Speeds, slots: int) -> Served:
    limits = (slots // 2, slots, 2 * slots, 4 * slots)
    return max((served(speeds, Fixed(most)) for most in limits), key=lambda one: one.rate(0, SECONDS))


def main() -> None:
    named = sys.argv[1:] or list(SERVERS)
    print("                      share of the best         mean |  halved: share       mean   calls")
    print("server    slots sigma  whole  settled        limit  |  before   after      limit  failed")
    for name in named:
        for slots in (8, 32, 64, 256):
            for spread in (0.4, 0.8) if slots != 256 else (0.6,):
                speeds = SERVERS[name](slots, spread)
                third, half = SECONDS / 3, SECONDS / 2
                found, top = served(speeds, Adaptive()), best(speeds, slots)
                lost = served(speeds, Adaptive(), halved=True)
                left = max((served(speeds, Fixed(most), halved=True) for most in (slots // 2, slots)),
                           key=lambda one: one.rate(1.2 * half, SECONDS))  # fmt: skip
                print(
                    f"{name:10}{slots:6}{spread:6}{found.rate(0, SECONDS) / top.rate(0, SECONDS):7.2f}"
                    f"{found.rate(third, SECONDS) / top.rate(third, SECONDS):9.2f}"
                    f"{found.limit(third, SECONDS):13.0f}  |{lost.rate(third, half) / top.rate(third, half):8.2f}"
                    f"{lost.rate(1.2 * half, SECONDS) / left.rate(1.2 * half, SECONDS):8.2f}"
                    f"{lost.limit(1.2 * half, SECONDS):11.0f}{found.failed + lost.failed:8}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
