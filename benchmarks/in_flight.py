"""2,000 attempts in flight against a real server on loopback: peak memory, and CPU at 500 completions a second.

    python benchmarks/in_flight.py [attempts] [seconds a call]

A run of SCALE with its store; as many attempts as are made are in flight from first to last, and as many requests,
each answered after so many seconds, so that 2,000 and 4 s make 500 completions a second. Solutions come in one
piece; a tenth of the attempts are made again with solutions in 50 pieces, to see what a piece costs. CPU is this
process's alone, the server (delayed_server.py) has its own. Goals: under 1 GB, under one core.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from delayed_server import serving

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.runs.simulated import MODEL, manifest, problems

from scale_reasoning import endpoints
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import create

SAMPLES = 8


async def completions(folder: Path, base_url: str, attempts: int) -> int:
    """Runs them; how many calls it took."""
    with create(folder, manifest([{"name": "scale"}], samples=SAMPLES), {"d": problems(attempts // SAMPLES)}) as store:
        async with OpenAI(base_url) as server:
            models = {MODEL: endpoints(Retrying(Limited(server, in_flight=attempts)), "delayed")}
            await run(store, models, attempts_in_flight=attempts)
        assert len(store.done()) == attempts
        return store.paid()[0]


def measure(attempts: int, seconds: float, pieces: int) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(seconds, pieces=pieces) as base_url:
        started, worked = time.perf_counter(), time.process_time()
        count = asyncio.run(completions(Path(folder) / "run", base_url, attempts))
        took, cpu = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{attempts:,} attempts in flight, solutions in {pieces}: {count:,} completions in {took:.0f} s, "
          f"{count / took:.0f} a second, {1e3 * cpu / count:.2f} ms of CPU each: {500 * cpu / count:.2f} cores at 500 "
          f"a second; peak {peak:.0f} MB", flush=True)  # fmt: skip


def main() -> None:
    attempts, seconds = (float(word) for word in (*sys.argv[1:], *("2000", "4")[len(sys.argv) - 1 :]))
    measure(int(attempts), seconds, pieces=1)
    measure(int(attempts) // 10, seconds / 10, pieces=50)


if __name__ == "__main__":
    main()
