"""A run of 100,000 attempts: `scale report` over it, and its page in `scale view`, first load and later ones.

    python benchmarks/hundred_thousand.py [rounds] [attempts]

The attempts are SCALE's on the simulated server: a few hundred are made, then kept again under other problems'
names, 8 samples a problem. Both commands are run as a user runs them, in processes of their own; their CPU and peak
memory are the kernel's count. The viewer is asked for the page the moment it has printed its address. Goals: the
report under 10 s and 500 MB, the page under 1 s.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.runs.simulated import fresh, manifest, problems

from scale_reasoning.engines.sim import Sim
from scale_reasoning.runs.store import create, reading
from scale_reasoning.types import Attempt

SAMPLES, MADE = 8, 50
PLAN = manifest([{"name": "scale"}], samples=SAMPLES)


def build(folder: Path, attempts: int) -> Path:
    """A run of so many attempts, as large as if each had been made, but for the journal's completions."""
    fresh(folder / "made", PLAN, MADE, Sim())
    with reading(folder / "made") as store:
        records = cycle(list(store.records(0)))
    listed = problems(attempts // SAMPLES)

    async def fill() -> None:
        with create(folder / "run", PLAN, {"d": listed}) as store:
            for problem in listed:
                named = (Attempt(problem_id=problem.id, sample=sample) for sample in range(SAMPLES))
                async with asyncio.TaskGroup() as group:
                    for attempt in named:
                        group.create_task(store.save(0, replace(next(records), attempt=attempt)))

    asyncio.run(fill())
    return folder / "run"


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "scale_reasoning", *map(str, words)]


def report(run: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and megabytes of `scale report`."""
    started = time.perf_counter()
    process = subprocess.Popen(command("report", run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, status
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


@contextmanager
def viewing(run: Path) -> Iterator[str]:
    """The address of a viewer that has only just started."""
    with subprocess.Popen(command("view", run, "--no-browser"), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def load(address: str) -> float:
    """Seconds until the page is here, whole."""
    started = time.perf_counter()
    with urllib.request.urlopen(address) as response:
        page = response.read().decode()
    assert page.count('class="box right') + page.count('class="box wrong') > SAMPLES
    return time.perf_counter() - started


def main() -> None:
    rounds, attempts = (int(word) for word in (*sys.argv[1:], *("5", "100000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        run = build(Path(folder), attempts)
        print(f"{attempts:,} attempts of SCALE, {(run / 'run.sqlite').stat().st_size / 1e6:.0f} MB", flush=True)
        loads: dict[str, list[float]] = {"first": [], "second": [], "page 40": [], "wrong ones": []}
        for _ in range(rounds):
            seconds, cpu, megabytes = report(run)
            print(f"scale report: {seconds:.1f} s ({cpu:.1f} s of CPU), peak {megabytes:.0f} MB", flush=True)
            with viewing(run) as address:
                pages = ("", "", "?page=40", "?show=wrong")
                for seen, page in zip(loads.values(), pages, strict=True):
                    seen.append(load(f"{address}r0-c0.html{page}"))
        for what, seconds in loads.items():
            print(f"run page, {what}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
