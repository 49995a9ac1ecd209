"""Whole runs of SCALE on a server that fails one reply in twenty, and in a process that is killed fifty times."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from aiohttp import web
from tests.engines.faults import running
from tests.reliability.flaky import WAYS, Flaky, named, reply_to
from tests.runs.simulated import content, problems
from tests.servers import serving, stream

from scale_reasoning.engines import Connection, connect
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import create

MODEL = ModelSpec(model="q")
PLAN = Manifest(
    cells=(CellSpec(dataset=DatasetSpec(name="d"), model=MODEL, strategy={"name": "scale", "candidates": 2}),)
).normalise()


def evaluated(folder: Path, flaky: Flaky) -> dict[str, Any]:
    """What a run of 30 problems by 8 samples leaves in its database."""

    async def all_of_it() -> None:
        with create(folder, PLAN, {"d": problems(30)}) as store:
            async with running(flaky) as server, connect(Connection(model="q", base_url=server.base_url)) as endpoints:
                await run(store, {MODEL: endpoints})

    asyncio.run(all_of_it())
    return content(folder)


@pytest.mark.slow
def test_a_server_that_fails_one_reply_in_twenty_costs_no_attempt_and_changes_no_answer(tmp_path: Path) -> None:
    clean, flaky = Flaky(0), Flaky(0.05)
    assert evaluated(tmp_path / "flaky", flaky) == evaluated(tmp_path / "clean", clean)
    outcomes = cells_of(tmp_path / "flaky")[0].outcomes
    assert len(outcomes) == 240
    assert not any(outcome.pending for outcome in outcomes)
    assert len({outcome.answer for outcome in outcomes}) == 4
    assert flaky.answered == clean.answered
    assert set(flaky.answered.values()) == {1}
    assert flaky.ways.keys() == set(WAYS)
    assert 0.03 < flaky.ways.total() / flaky.asked.total() < 0.07


# Kills

IN_FLIGHT = 4

SITTINGS = """
import json, os, sys
from scale_reasoning.cli import evaluate, main, progress
from scale_reasoning.engines import openai
from scale_reasoning.graders import symbolic
from scale_reasoning.runs import prepare, run, store
import aiohttp
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.close(0)
        os._exit(main(json.loads(line)))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs `scale` in a new process for every line of words, forked from one that has imported everything already."""


class Sittings:
    """Processes that work on a run, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.words: IO[str] = process.stdin
        self.told: IO[str] = process.stdout

    def begin(self, *words: object) -> int:
        self.words.write(json.dumps([str(word) for word in words]) + "\n")
        self.words.flush()
        return int(self.told.readline())

    def end(self) -> int:
        return int(self.told.readline())


@contextmanager
def sittings() -> Iterator[Sittings]:
    process = subprocess.Popen(
        [sys.executable, "-c", SITTINGS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    with process:
        yield Sittings(process)


class Log:
    """A handler that takes its time, and keeps what each sitting asked."""

    def __init__(self) -> None:
        self.sittings: list[list[str]] = [[]]

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "messages" in body:  # else it asks what the server is
            self.sittings[-1].append(named(body))
        await asyncio.sleep(0.01)
        return await stream(request, reply_to(body))

    def repeated(self) -> list[int]:
        """Of each sitting's requests, how many a later one made again."""
        counts, later = list[int](), set[str]()
        for asked in reversed(self.sittings):
            assert max(Counter(asked).values(), default=1) == 1, "a call was paid for twice in one sitting"
            counts.append(len(later.intersection(asked)))
            later.update(asked)
        return counts[::-1]


def dataset(folder: Path) -> Path:
    rows = [{"id": problem.id, "problem": problem.text, "answer": problem.answer} for problem in problems(12)]
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "d.jsonl"


def at_a_random_moment(chance: random.Random, log: Log) -> None:
    """Now and then at once, while the run is being opened; mostly between two requests, or within one."""
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0, 0.05))
        return
    asked, until = chance.randint(1, 24), time.monotonic() + 30
    while len(log.sittings[-1]) < asked:
        assert time.monotonic() < until, "the run does not go on"
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.02))


@pytest.mark.parametrize(("kills", "samples"), [(5, 2), pytest.param(50, 8, marks=pytest.mark.slow)])
def test_killed_at_random_moments_a_run_pays_again_for_what_was_in_flight_and_ends_as_it_would_have(
    kills: int, samples: int, tmp_path: Path
) -> None:
    chance, log, file = random.Random(7), Log(), dataset(tmp_path)
    with serving(log) as server, sittings() as sitting:
        at = ("--base-url", server.base_url, "--in-flight", IN_FLIGHT)
        plan = ("eval", file, "--model", "q", "--samples", samples, "--candidates", 2, *at)
        sitting.begin(*plan, "--out", tmp_path / "whole")
        assert sitting.end() == 0
        whole = log.sittings.pop()
        again: tuple[object, ...] = (*plan, "--out", tmp_path / "cut")
        for _ in range(kills):
            log.sittings.append([])
            child = sitting.begin(*again)
            at_a_random_moment(chance, log)
            os.kill(child, signal.SIGKILL)
            assert sitting.end() == -signal.SIGKILL
            if (tmp_path / "cut" / "manifest.json").exists():
                again = ("eval", "--resume", tmp_path / "cut", *at)
        log.sittings.append([])
        sitting.begin(*again)
        assert sitting.end() == 0
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert {name for asked in log.sittings for name in asked} == set(whole)
    # A reply may have come that was not yet on disk when its place went to the next request.
    assert max(log.repeated()) <= 2 * IN_FLIGHT
    assert sum(log.repeated()) <= kills * IN_FLIGHT
