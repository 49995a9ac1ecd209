"""What the viewer says of a run's dates, its name and whether it is running; and runs that appear while it looks."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.runs.simulated import Broken, Fuse, fresh, manifest
from tests.web.test_viewer_text import tags
from tests.web.viewed import Viewer, sweep, viewing

from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.runs.folder import locked
from scale_reasoning.web.viewer.activity import Activity, State, read_activity
from scale_reasoning.web.viewer.pages import Pages
from scale_reasoning.web.viewer.shelf import Shelf

NOW = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)
FILES = ("manifest.json", "run.sqlite", "lock")
DAY = timedelta(days=1)


def unfinished(folder: Path) -> Path:
    with pytest.raises(Broken):
        fresh(folder, manifest([{"name": "cot"}], samples=1), 4, Fuse(Sim(Speeds(spread=0.1)), 2), attempts=1)
    return folder


def age(folder: Path, **ages: timedelta) -> None:
    """Gives files other times: `run=` is that of run.sqlite."""
    for file in folder.iterdir():
        when = (datetime.now(UTC) - ages.get(file.name.partition(".")[0].partition("-")[0], timedelta(0))).timestamp()
        os.utime(file, (when, when))


@pytest.mark.parametrize(
    ("ago", "locked", "pending", "state"),
    [
        (timedelta(seconds=5), True, 3, State.RUNNING),
        (DAY, True, 3, State.RUNNING),
        (timedelta(seconds=5), False, 3, State.UNSURE),
        (timedelta(minutes=10), False, 3, State.STOPPED),
        (timedelta(seconds=5), True, 0, State.FINISHED),
    ],
)
def test_only_a_lock_proves_that_a_run_is_running(
    ago: timedelta,
    locked: bool,
    pending: int,
    state: State,
) -> None:
    assert Activity(begun=NOW - DAY, written=NOW - ago, locked=locked).find_state(pending, NOW) == state


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists locks")
def test_the_lock_of_a_process_that_writes_is_seen(tmp_path: Path) -> None:
    sweep(tmp_path, [{"name": "cot"}], problems=1, samples=1)
    assert not read_activity(tmp_path).locked
    with locked(tmp_path):
        assert read_activity(tmp_path).locked
    assert not read_activity(tmp_path).locked


def test_a_run_was_begun_when_its_oldest_file_was_made_and_written_when_its_database_was(tmp_path: Path) -> None:
    sweep(tmp_path, [{"name": "cot"}], problems=1, samples=1)
    age(tmp_path, lock=3 * DAY, manifest=DAY, run=2 * DAY)
    found = read_activity(tmp_path)
    assert found.begun is not None
    assert found.written is not None
    now = datetime.now(UTC)
    assert abs(now - found.begun - 3 * DAY) < timedelta(minutes=1)
    assert abs(now - found.written - 2 * DAY) < timedelta(minutes=1)


def test_a_link_in_place_of_a_file_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in FILES:
        (tmp_path / "run" / name).symlink_to("/proc/locks")
    assert read_activity(tmp_path / "run") == Activity(begun=None, written=None, locked=False)


def test_the_pages_say_that_a_run_has_stopped_and_when(tmp_path: Path) -> None:
    age(unfinished(tmp_path / "run"), lock=DAY, manifest=DAY, run=DAY)
    with viewing(tmp_path / "run") as viewer:
        for page in ("", "r0-c0.html"):
            text = viewer.get(page).text
            assert 'class="state stopped"' in text
            assert 'data-live="30"' in text
            times = [attributes["datetime"] for tag, attributes in tags(text) if tag == "time"]
            assert len(times) == 2
            assert all(str(each).endswith("Z") for each in times)
            assert [attributes["value"] for tag, attributes in tags(text) if tag == "progress"] == ["2"]


def wait_for_numbers(viewer: Viewer, page: str) -> str:
    for _ in range(100):
        if "computed" not in (text := viewer.get(page).text):
            return text
        time.sleep(0.05)
    pytest.fail("the numbers never came")


def test_a_finished_run_is_not_asked_about_again(tmp_path: Path) -> None:
    sweep(tmp_path, [{"name": "cot"}], problems=1, samples=1)
    with viewing(tmp_path) as viewer:
        for page in ("", "r0-c0.html"):
            text = wait_for_numbers(viewer, page)
            assert 'class="state finished"' in text
            assert "data-live" not in text


def test_a_named_run_has_its_name_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(tmp_path / "run-7", [{"name": "cot"}], problems=1, samples=1)
    shelf = Shelf([tmp_path / "run-7"])
    try:
        cell: Any = shelf.cells[0]
        assert cell.title == "run-7"

        named = replace(cell.manifest, name="First <b>try</b>", created="2030-05-01T14:00:00+02:00")
        monkeypatch.setattr(cell, "manifest", named)
        assert cell.title == "First <b>try</b>"
        assert cell.created == NOW
        page = Pages(shelf, live=True).make_home()
        assert "First &lt;b&gt;try&lt;/b&gt;</a> " in page
        assert '<span class="times">begun <time datetime="2030-05-01T12:00:00Z">' in page
        monkeypatch.setattr(cell, "manifest", replace(named, created="yesterday"))
        assert cell.created is None
    finally:
        shelf.close()


def test_a_run_that_appears_in_the_folder_is_listed_without_a_restart(tmp_path: Path) -> None:
    sweep(tmp_path / "runs" / "b", [{"name": "cot"}], problems=1, samples=1)
    sweep(tmp_path / "a", [{"name": "cot"}], problems=1, samples=1)
    with viewing(tmp_path / "runs") as viewer:
        assert 'href="r0-c0.html"' in viewer.get().text
        shutil.move(tmp_path / "a", tmp_path / "runs" / "a")
        (tmp_path / "runs" / "c").mkdir()
        (tmp_path / "runs" / "c" / "manifest.json").write_text("{}")
        page = viewer.get().text
        assert "in 3 runs" in page
        assert "cannot be read" in page
        assert "runs/b" not in page
        assert viewer.get("r1-c0.html").status == 200
        assert '<span aria-current="page">b</span>' in viewer.get("r0-c0.html").text


def test_a_run_that_is_being_copied_in_is_read_once_it_is_whole(tmp_path: Path) -> None:
    for name in ("a", "z"):
        sweep(tmp_path / "runs" / name, [{"name": "cot"}], problems=1, samples=1)
    sweep(tmp_path / "m", problems=1, samples=1)
    (tmp_path / "runs" / "m").mkdir()
    shutil.copy(tmp_path / "m" / "manifest.json", tmp_path / "runs" / "m")
    with viewing(tmp_path / "runs") as viewer:
        before = viewer.get().text
        assert "cannot be read" in before
        assert 'data-live="' in before
        shutil.copytree(tmp_path / "m", tmp_path / "runs" / "m", dirs_exist_ok=True)
        after = viewer.get().text
        assert "cannot be read" not in after
        assert re.findall(r'<th scope="row" class="wide"><a href="(.*?)">', after) == [
            "r0-c0.html", "r1-c0.html", "r1-c1.html", "r2-c0.html"
        ]  # fmt: skip
        assert '<span aria-current="page">m</span>' in viewer.get("r1-c0.html").text
        assert '<span aria-current="page">z</span>' in viewer.get("r2-c0.html").text


def test_a_run_that_can_no_longer_be_read_has_neither_progress_nor_a_state(tmp_path: Path) -> None:
    sweep(tmp_path / "run", [{"name": "cot"}], problems=1, samples=1)
    shelf = Shelf([tmp_path])
    try:
        (tmp_path / "run" / "run.sqlite").write_bytes(b"no database")
        page = Pages(shelf, live=True).make_home()
    finally:
        shelf.close()
    assert "cannot be read" in page
    assert "of 1" not in page
    assert 'class="state' not in page
    assert "<progress" not in page
    assert 'data-live="30"' in page
