"""30 problems by vote(8) on a server that sleeps: the time a run takes beside that of bare asyncio sending the same.

    python benchmarks/makespan.py [rounds] [in flight]

The bare client sends the same requests in the same order, as many at a time, and keeps nothing; ours is a whole run
with its store and grades. The server (delayed_server.py) delays a request by its seed, once always a second and
once log-normally with sigma 1, so both wait for the same; `ideal` is what those delays add up to on so many slots
at no cost. Goal: at most 1.05 of the bare client. The peers' proxies are measured by serve.py.
"""

from __future__ import annotations

import asyncio
import heapq
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec
from delayed_server import seconds_of, serving

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.runs.simulated import MODEL, manifest

from scale_reasoning import endpoints
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import create
from scale_reasoning.types import Completion, OnDelta, Problem, Request

MEDIAN = 1.0
PROBLEMS = [Problem(id=f"p{n}", text=f"What is 2 + 2, and why? ({n:02})", answer="4") for n in range(30)]
PLAN = manifest([{"name": "vote"}], samples=1)


class Noted:
    """An engine that keeps what it was asked, in order."""

    def __init__(self, engine: OpenAI) -> None:
        self.engine = engine
        self.asked: list[Request] = []

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        self.asked.append(request)
        return await self.engine.generate(request, on_delta)


async def scale(base_url: str, in_flight: int) -> tuple[float, list[Request]]:
    """Seconds of the whole run, and what was asked."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        with create(Path(folder) / "run", PLAN, {"d": PROBLEMS}) as store:
            async with OpenAI(base_url) as server:
                noted = Noted(server)
                await run(store, {MODEL: endpoints(Retrying(Limited(noted, in_flight=in_flight)), "delayed")})
        return time.perf_counter() - started, noted.asked


async def bare(base_url: str, in_flight: int, asked: list[Request]) -> float:
    """Seconds to send the same and read every reply to its end."""
    started = time.perf_counter()
    left = iter(asked)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            for request in left:
                body = {"model": request.model, "messages": request.messages, "seed": request.seed, "stream": True}
                async with session.post(f"{base_url}/chat/completions", data=msgspec.json.encode(body)) as response:
                    await response.read()

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
    return time.perf_counter() - started


def ideal(asked: list[Request], in_flight: int, sigma: float) -> float:
    free = [0.0] * in_flight
    for request in asked:
        heapq.heapreplace(free, free[0] + seconds_of(request.seed, MEDIAN, sigma))
    return max(free)


def main() -> None:
    rounds, in_flight = (int(word) for word in (*sys.argv[1:], *("3", "64")[len(sys.argv) - 1 :]))
    for name, sigma in (("fixed", 0.0), ("heavy-tailed", 1.0)):
        ratios: list[float] = []
        with serving(MEDIAN, sigma) as base_url:
            for _ in range(rounds):
                began = time.process_time()
                ours, asked = asyncio.run(scale(base_url, in_flight))
                between = time.process_time()
                plain = asyncio.run(bare(base_url, in_flight, asked))
                ratios.append(ours / plain)
                print(f"{name}: scale {ours:.2f} s ({between - began:.2f} s of CPU), bare {plain:.2f} s "
                      f"({time.process_time() - between:.2f} s), ideal {ideal(asked, in_flight, sigma):.2f} s: "
                      f"{ours / plain:.3f}x", flush=True)  # fmt: skip
        print(f"{name}, {in_flight} in flight: median {statistics.median(ratios):.3f}x of bare asyncio "
              f"({min(ratios):.3f} to {max(ratios):.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
