import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_reasoning.errors import GradeError
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.graders.workers import MAX_BYTES, WorkerDeath, Workers

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, or at a limit that Linux enforces")
ENDLESS = ["9^{9^{9}}", "2^{3^{4^{5}}}", "99999999!", "7^{7^{8}}"]


def workers(function: str, *, count: int = 1, timeout_seconds: float = 5, wall_seconds: float | None = None) -> Workers:
    name = f"tests.graders.odd_functions:{function}"
    return Workers(name, count=count, timeout_seconds=timeout_seconds, wall_seconds=wall_seconds)


@pytest.fixture
def busy() -> Iterator[None]:
    """A machine with four times as much to do as it has processors."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
    yield
    for process in spinning:
        process.kill()
        process.wait()


def test_a_call_that_uses_up_its_processor_time_is_killed():
    pool = workers("spin", timeout_seconds=0.3)
    assert asyncio.run(pool.call(5.0)) == WorkerDeath(timed_out=True)
    assert asyncio.run(pool.call(0.01)) == "done"


@pytest.mark.slow
def test_time_that_a_busy_machine_takes_does_not_count(busy: None):
    pool = workers("spin", timeout_seconds=1.0)
    asyncio.run(pool.call(0.0))
    start = time.monotonic()
    assert asyncio.run(pool.call(0.7)) == "done"
    assert time.monotonic() - start > 0.7


@pytest.mark.slow
def test_a_call_that_stalls_runs_again_alone(tmp_path: Path):
    pool = workers("sleep_once", count=2, wall_seconds=1.0)
    assert asyncio.run(pool.call(str(tmp_path / "seen"))) == "done"


@pytest.mark.slow
def test_a_call_that_stalls_twice_is_an_error_of_the_world():
    pool = workers("sleep", wall_seconds=0.3)
    with pytest.raises(GradeError, match=r"stopped twice \(after 0\.3 s\).*machine is too busy") as error:
        asyncio.run(pool.call(60.0))
    assert error.value.blame == "world"
    assert asyncio.run(pool.call(0.01)) == "done"


def test_a_grader_says_so_instead_of_calling_the_answer_wrong():
    grader = Symbolic(workers=1)
    object.__setattr__(grader, "_workers", workers("stall", wall_seconds=0.3))
    with pytest.raises(GradeError):
        asyncio.run(grader.same("x+1", "x+2"))


@LINUX
def test_a_process_has_no_more_memory_than_stated():
    pool = workers("fill")
    assert asyncio.run(pool.call(MAX_BYTES // 4 >> 20)) == MAX_BYTES // 4
    assert asyncio.run(pool.call(MAX_BYTES >> 20)) == WorkerDeath(timed_out=False)


@pytest.mark.slow
@LINUX
def test_no_more_processes_run_than_stated():
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, len(children()))

    before = set(children())
    watcher = threading.Thread(target=watch)
    watcher.start()

    async def grade() -> list[bool]:
        async with Symbolic(timeout_seconds=0.7, workers=2) as grader, asyncio.TaskGroup() as group:
            tasks = [group.create_task(grader.same("5", answer)) for answer in ENDLESS]
        return [task.result().correct for task in tasks]

    assert not any(asyncio.run(grade()))
    done.set()
    watcher.join()
    assert most - len(before) <= 2


@pytest.mark.slow
def test_slow_right_answers_stay_right_with_answers_that_never_end():
    async def grade() -> list[bool]:
        series = r"\sum_{n=1}^{\infty}\frac{1}{n^2}"
        async with Symbolic(timeout_seconds=3) as grader, asyncio.TaskGroup() as group:
            endless = [group.create_task(grader.same("5", answer)) for answer in ENDLESS[:2]]
            slow = [group.create_task(grader.same(r"\frac{\pi^2}{6}", series)) for _ in range(2)]
        assert not any(task.result().correct for task in endless)
        return [task.result().correct for task in slow]

    assert asyncio.run(grade()) == [True, True]


def children() -> list[str]:
    """The processes that this one has started."""
    return [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]
