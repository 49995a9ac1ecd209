"""A finished run of 240 attempts gone on with, beside the run itself.

    python benchmarks/resume.py [seconds a call]

Three lines, each a share of the run's own: the CPU of resuming within one process, on a server that answers at once
(the harshest measure, for the run then waits for nothing); the time of `scale eval --resume`, its start included,
on a server that takes so many seconds a call; and, for comparison, the CPU of making all 240 attempts again from
the journal. Goal: under 1 % of the run's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
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
from scale_reasoning.runs.store import Store, create, resume

PROBLEMS, SAMPLES = 30, 8


async def work(store: Store, base_url: str) -> None:
    async with OpenAI(base_url) as server:
        await run(store, {MODEL: endpoints(Retrying(Limited(server, in_flight=64)), "delayed")})
    assert len(store.done()) == PROBLEMS * SAMPLES


def first(folder: Path, base_url: str) -> float:
    """CPU seconds of the run."""
    worked = time.process_time()
    with create(folder, manifest([{"name": "scale"}], samples=SAMPLES), {"d": problems(PROBLEMS)}) as store:
        asyncio.run(work(store, base_url))
    return time.process_time() - worked


def again(folder: Path, base_url: str) -> float:
    """CPU seconds of going on with it."""
    worked = time.process_time()
    with resume(folder) as store:
        asyncio.run(work(store, base_url))
    return time.process_time() - worked


def command(*words: object) -> float:
    """Seconds of `scale eval`, from its start to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "scale_reasoning", "eval", *map(str, words)], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(0) as base_url:
            run_cpu = first(folder / "warm-up", base_url) and first(folder / "here", base_url)
            resumed = sorted(again(folder / "here", base_url) for _ in range(5))[2]
            with contextlib.closing(sqlite3.connect(folder / "here" / "run.sqlite")) as db, db:
                db.execute("DELETE FROM attempts")
            remade = again(folder / "here", base_url)
        print(f"CPU in process: run {run_cpu:.2f} s, resume {1e3 * resumed:.1f} ms: {resumed / run_cpu:.2%}")
        print(f"CPU in process, all again from the journal: {remade:.2f} s: {remade / run_cpu:.0%}", flush=True)
        with serving(seconds) as base_url:
            run_seconds = command("arithmetic", "--limit", PROBLEMS, "--base-url", base_url, "--model", "delayed",
                                  "--in-flight", "64", "--out", folder / "run")  # fmt: skip
            times = sorted(command("--resume", folder / "run", "--base-url", base_url) for _ in range(5))
        print(f"scale eval, {seconds:g} s a call: run {run_seconds:.1f} s, resume {times[2]:.2f} s ({times[0]:.2f} to "
              f"{times[-1]:.2f}): {times[2] / run_seconds:.2%}")  # fmt: skip


if __name__ == "__main__":
    main()
