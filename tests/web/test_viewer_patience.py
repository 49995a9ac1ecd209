"""How long a page waits for numbers that are still being counted."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.web.viewed import sweep

from scale_reasoning.web.viewer.pages import PATIENCE, Pages
from scale_reasoning.web.viewer.shelf import Shelf

CELLS = 6


def test_the_list_waits_once_for_numbers_that_do_not_come_not_once_a_cell(tmp_path: Path) -> None:
    taus = [{"name": "scale", "tau": number / 10} for number in range(CELLS)]
    shelf, free = Shelf([sweep(tmp_path / "run", taus, problems=1, samples=1)]), threading.Event()
    try:
        shelf.cells[0]._pool.submit(free.wait)  # the one thread that counts has something else to do
        started = time.monotonic()
        page = Pages(shelf, live=True).make_home()
        seconds = time.monotonic() - started
    finally:
        free.set()
        shelf.close()
    assert "0.5" in page
    assert PATIENCE <= seconds < (CELLS - 1) * PATIENCE
