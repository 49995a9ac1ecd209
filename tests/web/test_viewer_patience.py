"""How long a page waits for numbers that are still being counted, and what it shows until they are there."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.runs.simulated import Broken, Fuse, Sim, Speeds, again, fresh, manifest
from tests.web.viewed import sweep

from scale_reasoning.web.viewer.finding import Latest
from scale_reasoning.web.viewer.grid import Filter
from scale_reasoning.web.viewer.pages import PATIENCE, Pages
from scale_reasoning.web.viewer.shelf import Shelf

CELLS = 6


def test_the_list_waits_once_for_numbers_that_do_not_come_not_once_a_cell(tmp_path: Path) -> None:
    taus = [{"name": "scale", "tau": number / 10} for number in range(CELLS)]
    shelf, free = Shelf([sweep(tmp_path / "run", taus, problems=1, samples=1)]), threading.Event()
    try:
        shelf.pool.submit(free.wait)  # the one thread that counts has something else to do
        started = time.monotonic()
        page = Pages(shelf, live=True).make_home()
        seconds = time.monotonic() - started
    finally:
        free.set()
        shelf.close()
    assert "0.5" in page
    assert PATIENCE <= seconds < (CELLS - 1) * PATIENCE


def test_the_last_result_is_found_while_each_change_has_another_computed() -> None:
    free, results = threading.Semaphore(0), iter("abc")

    def compute() -> str:
        free.acquire()
        return next(results)

    with ThreadPoolExecutor(1) as pool:
        latest = Latest(pool, compute)
        assert latest.find(1, time.monotonic()) is None
        free.release()
        pool.submit(lambda: None).result()  # the first is computed, and no page has had it
        found = latest.find(2, time.monotonic())
        assert found is not None
        assert (found.value, found.newest) == ("a", False)
        free.release()
        pool.submit(lambda: None).result()
        again = latest.find(3, time.monotonic())
        assert again is not None
        assert (again.value, again.newest) == ("b", False)
        assert again.at > found.at
        free.release()
        last = latest.find(3, None)
        assert last is not None
        assert (last.value, last.newest) == ("c", True)


def test_a_result_of_which_nothing_newer_is_computed_yet_says_so() -> None:
    started, free = threading.Event(), threading.Event()

    def compute() -> int:
        started.set()
        return int(free.wait())

    with ThreadPoolExecutor(1) as pool:
        latest = Latest(pool, compute)
        latest.find(1, time.monotonic())
        started.wait()
        threading.Timer(0.05, free.set).start()
        found = latest.find(2, None)  # the run changed while its first result was computed
        assert found is not None
        assert not found.newest


def test_the_pages_of_a_run_that_changes_faster_than_it_is_computed_show_the_last_numbers(tmp_path: Path) -> None:
    strategies = [{"name": "cot"}, {"name": "scale", "route": "system2"}]
    with pytest.raises(Broken):
        fresh(tmp_path, manifest(strategies), 4, Fuse(Sim(Speeds(spread=0.1)), 20), attempts=1)
    shelf, free = Shelf([tmp_path]), threading.Event()
    pages, whole = Pages(shelf, live=True), shelf.list_cells(0)
    makers = (
        pages.make_home,
        lambda: pages.make_run(whole[0], Filter(), 1),
        lambda: pages.make_losses(whole),
        lambda: pages.make_reliability(whole),
    )
    try:
        for make in makers:
            while "being computed" in make() or "being measured" in make():
                pass
        again(tmp_path, Sim(Speeds(spread=0.1)))
        shelf.pool.submit(free.wait)  # the one thread that computes has something else to do
        later = [make() for make in makers]
    finally:
        free.set()
        shelf.close()
    assert " of 8</td>" in later[0]
    assert "The numbers are as of" in later[1]
    assert "The losses are as of" in later[2]
    assert all("data-live" in page for page in later)
