"""CPU of a model call through strategy, LM and engine, beside a bare aiohttp client sending the same, in one run.

    python benchmarks/overhead.py [calls] [in flight] [rounds]

The servers are loopback servers in processes of their own: one answers at once, the other writes token after token, an
event each. Prints microseconds of CPU of this process a call of the first and a token of the second, and the ratios,
which are the figures to keep: machines differ, a ratio within one run does not. Goal: at most 1.5 a call.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import PIPE, Popen

import aiohttp
from token_server import TOKENS

from scale_reasoning import CoT, Mode, Problem, attempt, endpoints
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited, Retrying

TEXT = "What is 2 + 2? " * 40


async def cpu_seconds(count: int, in_flight: int, one: Callable[[int], Awaitable[None]]) -> float:
    """CPU seconds of this process for `count` runs of `one`, `in_flight` at a time, after a warm-up."""
    for numbers in (iter(range(2 * in_flight)), left := iter(range(count))):
        if numbers is left:
            before = time.process_time()

        async def worker(numbers: object = numbers) -> None:
            for number in numbers:
                await one(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
    return time.process_time() - before


async def bare(base_url: str, count: int, in_flight: int) -> float:
    """The same body, the same stream, read to its end, nothing made of it."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number: int) -> None:
            body = {
                "model": "zero",
                "messages": [{"role": "user", "content": TEXT}],
                "stream": True,
                "seed": number,
                "temperature": 0.6,
                "top_p": 0.95,
                "max_tokens": 16384,
                "stream_options": {"include_usage": True},
            }
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                async for _ in response.content:
                    pass

        return await cpu_seconds(count, in_flight, one)


async def scale(base_url: str, count: int, in_flight: int) -> float:
    """An attempt of one call: strategy, prompts, seed, journal, engine with policies, record."""
    async with OpenAI(base_url) as server:
        models = endpoints(Retrying(Limited(server, in_flight=in_flight)), "zero")

        async def one(number: int) -> None:
            problem = Problem(id=f"p{number}", text=TEXT)
            record = await attempt(problem, CoT(mode=Mode.SYSTEM2), models)
            assert record.solution is not None
            assert record.solution.answer == "4"

        return await cpu_seconds(count, in_flight, one)


def ratio(server: str, unit: str, units: int, count: int, in_flight: int, rounds: int) -> None:
    """Runs the two against a server in turn; a call makes so many units."""
    ratios = list[float]()
    with Popen([sys.executable, Path(__file__).with_name(server)], stdout=PIPE) as process:
        base_url = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        for _ in range(rounds):
            seconds = (asyncio.run(run(base_url, count, in_flight)) for run in (bare, scale))
            plain, ours = (each / count / units * 1e6 for each in seconds)
            ratios.append(ours / plain)
            print(f"bare {plain:.0f} us, scale {ours:.0f} us a {unit}: {ours / plain:.2f}x", flush=True)
        process.kill()
    print(f"median {statistics.median(ratios):.2f}x of the bare client a {unit}, {in_flight} in flight\n")


def main() -> None:
    """Calls, then tokens."""
    calls, in_flight, rounds = (int(word) for word in (*sys.argv[1:], *("2000", "64", "5")[len(sys.argv) - 1 :]))
    ratio("zero_server.py", "call", 1, calls, in_flight, rounds)
    ratio("token_server.py", "token", TOKENS, in_flight, in_flight, rounds)


if __name__ == "__main__":
    main()
