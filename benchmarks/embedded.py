"""The model in the box on 8 problems at once, beside one after another: tokens a second.

    python benchmarks/embedded.py [rounds]

The same 8 problems by chain of thought, 64 tokens each, with the four slots that it has; same seeds, so the same tokens
either way. Then on one thread, with four slots and with eight: the CPU that a token takes less in company is what
batching can gain on this machine and, unlike the time, hardly depends on what else the machine does. Goal: 1.5x, or
that bound.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scale_reasoning import CoT, attempt, endpoints
from scale_reasoning.arithmetic.problems import problem
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.fetching import Reporter, fetch
from scale_reasoning.engines.llama import Llama
from scale_reasoning.together import together

PROBLEMS = [problem(index) for index in range(8)]
STRATEGY = CoT(system2_max_tokens=64)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """New tokens, and the seconds and CPU seconds of the model server that they took."""

    tokens: int
    seconds: float
    cpu: float

    def __str__(self) -> str:
        return (f"{self.tokens / self.seconds:.0f} tokens/s, {1e3 * self.cpu / self.tokens:.1f} ms of CPU a token, "
                f"{self.cpu / self.seconds:.2f} cores")  # fmt: skip


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def solve_all(llama: Llama, at_once: int) -> Pace:
    models, left, counts = endpoints(llama, "smollm2", window=llama.window), iter(PROBLEMS), list[int]()

    async def worker() -> None:
        for each in left:
            counts.append((await attempt(each, STRATEGY, models)).usage.total.completion_tokens or 0)

    started, worked = time.perf_counter(), cpu_seconds(llama.pid)
    await together(worker() for _ in range(at_once))
    seconds, cpu = time.perf_counter() - started, cpu_seconds(llama.pid) - worked
    return Pace(tokens=sum(counts), seconds=seconds, cpu=cpu)


async def measure(slots: int, threads: int | None, rounds: int) -> None:
    name = f"{slots} slots" + (f", {threads} thread" if threads else "")
    gains, bounds = list[float](), list[float]()
    async with await Llama.start(fetch(SMOLLM2, Reporter(say=print)), slots=slots, threads=threads) as llama:
        await solve_all(llama, 8)
        for _ in range(rounds):
            alone, at_once = await solve_all(llama, 1), await solve_all(llama, 8)
            assert alone.tokens == at_once.tokens
            gains.append(alone.seconds / at_once.seconds)
            bounds.append(alone.cpu / at_once.cpu)
            print(f"{name}, one after another: {alone}; 8 at once: {at_once}: {gains[-1]:.2f}x", flush=True)
    print(f"{name}: median {statistics.median(gains):.2f}x tokens a second ({min(gains):.2f} to {max(gains):.2f}); "
          f"{statistics.median(bounds):.2f}x less CPU a token")  # fmt: skip


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    for slots, threads in ((4, None), (4, 1), (8, 1)):
        asyncio.run(measure(slots, threads, rounds))


if __name__ == "__main__":
    main()
