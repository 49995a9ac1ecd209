"""A run's folder that came from anybody: looking at it changes nothing, follows nothing and ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.commands import scale
from tests.patience import ends_in_time
from tests.runs.simulated import Broken, Fuse, Sim, Speeds, again, content, fresh, go, manifest
from tests.speed import mark_slow
from tests.web.viewed import TAUS, sweep

from scale_reasoning.cli import main
from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.runs import database
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.folder import locked, read_manifest, write_manifest
from scale_reasoning.runs.store import create, reading, resume
from scale_reasoning.web.viewer.grid import Filter
from scale_reasoning.web.viewer.pages import Pages
from scale_reasoning.web.viewer.shelf import Shelf

FAST = Sim(Speeds(spread=0.1))


def state(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Every file by name: its number, size, time of change and content."""
    return {
        file.name: ((found := file.lstat()).st_ino, found.st_size, found.st_mtime_ns, file.read_bytes())
        for file in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep(tmp_path_factory.mktemp("finished") / "run", problems=2, samples=2)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("left")
    with pytest.raises(Broken):
        fresh(folder / "live", manifest(TAUS), 2, _Copying(folder / "live", folder / "run"), attempts=1)
    assert (folder / "run" / "run.sqlite-wal").stat().st_size
    return folder / "run"


@pytest.fixture
def killed(left: Path, tmp_path: Path) -> Path:
    """A run as a killed process leaves it: what was written is in the log."""
    return shutil.copytree(left, tmp_path / "killed")


class _Copying(Fuse):
    """An engine that copies the run's folder before it breaks: as if the process were killed there."""

    def __init__(self, folder: Path, copy: Path) -> None:
        super().__init__(Sim(Speeds(spread=0.1)), 40)
        self.folder, self.copy = folder, copy

    async def generate(self, *args: object, **more: object) -> object:  # type: ignore[override]
        try:
            return await super().generate(*args, **more)  # type: ignore[arg-type]
        except Broken:
            if not self.copy.exists():
                shutil.copytree(self.folder, self.copy)
            raise


# Looking changes nothing


LOOKS: dict[str, Callable[[Path, Path], list[str]]] = {
    "report": lambda run, _: ["report", str(run)],
    "cells": lambda run, _: ["report", str(run), "--format", "json"],
    "compare": lambda run, _: ["compare", f"{run}:1", f"{run}:2"],
    "export": lambda run, out: ["export", str(run), "--out", str(out / "records.jsonl")],
    "parquet": lambda run, out: ["export", str(run), "--format", "parquet", "--out", str(out / "records.parquet")],
    "view": lambda run, out: ["view", str(run), "--html", str(out / "pages")],
    "merge": lambda run, out: ["merge", str(out / "merged"), str(run), str(run)],
    "plot": lambda run, out: ["plot", "frontier", str(run), "--out", str(out / "plot.svg")],
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("how", ["finished", "killed", *mark_slow("killed-without-index", "in-progress")])
def test_whoever_looks_at_a_run_changes_no_byte_and_no_time_of_it(
    look: str, how: str, run: Path, killed: Path, tmp_path: Path
) -> None:
    if look == "parquet":
        pytest.importorskip("pyarrow")
    if look == "plot":
        pytest.importorskip("matplotlib")
    folder = run if how == "finished" else killed
    if how == "killed-without-index":
        (folder / "run.sqlite-shm").unlink()
    (out := tmp_path / "out").mkdir()
    with resume(folder) if how == "in-progress" else contextlib.nullcontext() as writer:
        if writer is not None:
            writer.resolve({"served": ["a"]})
            writer.rows.connection.execute("UPDATE attempts SET owed = owed")
            writer.rows.connection.commit()
        before, age = state(folder), folder.stat().st_mtime_ns
        assert main(LOOKS[look](folder, out)) in (0, 1)
        assert state(folder) == before
        assert folder.stat().st_mtime_ns == age


@pytest.mark.slow
@pytest.mark.parametrize("how", ["finished", "killed", "killed-without-index"])
def test_a_run_on_a_read_only_mount_can_be_looked_at(how: str, run: Path, killed: Path, tmp_path: Path) -> None:
    folder = run if how == "finished" else killed
    if how == "killed-without-index":
        (folder / "run.sqlite-shm").unlink()
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && ! touch {folder}/x 2>/dev/null"
    if shutil.which("unshare") is None or subprocess.run(
        ["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False
    ).returncode:  # fmt: skip
        pytest.skip("nothing can be mounted here")
    for look in ("report", "compare", "export", "view", "merge"):
        (out := tmp_path / look).mkdir()
        words = " ".join(LOOKS[look](folder, out))
        command = f"{mount}; exec {sys.executable} -m scale_reasoning {words}"
        done = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), (look, done.stderr)
        assert "error" not in done.stderr, (look, done.stderr)
    command = f"{mount}; exec {sys.executable} -m scale_reasoning export {folder}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False)
    assert "Read-only" in done.stderr
    assert "--out" in done.stderr


def test_what_a_killed_process_wrote_last_is_seen_with_and_without_the_log_s_index(killed: Path) -> None:
    with reading(killed) as store:
        calls, attempts = store.paid()[0], len(store.done())
    assert calls > 20
    (killed / "run.sqlite-shm").unlink()
    with reading(killed) as store:
        assert (store.paid()[0], len(store.done())) == (calls, attempts)


def test_what_a_running_process_wrote_last_is_seen(tmp_path: Path) -> None:
    seen: list[int] = []
    with create(tmp_path, manifest(TAUS), {"d": [*_problems(2)]}) as store:
        go(store, FAST)
        with reading(tmp_path) as reader:
            seen.append(reader.paid()[0])
        assert seen == [store.paid()[0]]
        assert seen[0] > 0


def _problems(count: int) -> Iterator[object]:
    from tests.runs.simulated import problems

    yield from problems(count)


def test_a_run_that_is_written_to_while_it_is_read_says_so(run: Path) -> None:
    with pytest.raises(StoreError, match="wrote to it while it was read"), reading(run):
        os.utime(run / "run.sqlite")


# Links and other strange files


def put_link(file: Path, target: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(target)


def put_pipe(file: Path, _: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def put_folder(file: Path, _: Path) -> None:
    file.unlink(missing_ok=True)
    file.mkdir()


def put_device(file: Path, _: Path) -> None:
    put_link(file, Path("/dev/zero"))


def put_socket(file: Path, _: Path) -> None:
    file.unlink(missing_ok=True)
    here = Path.cwd()
    os.chdir(file.parent)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(file.name)
    os.chdir(here)


STRANGE = {
    "link": put_link,
    "pipe": put_pipe,
    "folder": put_folder,
    "device": put_device,
    "socket": put_socket,
}


@pytest.mark.parametrize("name", ["manifest.json", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "lock"])
@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_regular_file_is_neither_read_nor_written(name: str, kind: str, run: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    shutil.copy(run / name if (run / name).exists() else run / "lock", target)
    before = target.read_bytes()
    STRANGE[kind](run / name, target)
    with pytest.raises(StoreError, match=name), resume(run):
        pass
    if name != "lock":
        with pytest.raises(StoreError, match=name), reading(run):
            pass
    assert target.read_bytes() == before


def test_a_link_under_a_temporary_name_is_not_written_through(run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("manifest.json.part", "records.jsonl.part", "frontier.png.part", "records.jsonl", "frontier.png"):
        put_link(run / name, mine)
    with resume(run) as store:
        store.resolve({"served": ["x"]})
    assert main(["export", str(run)]) == 0
    assert not (run / "records.jsonl").is_symlink()
    assert mine.read_text() == "mine"
    assert not list(run.glob(".*.part"))


def test_a_lock_that_is_a_hard_link_keeps_its_content_and_such_a_database_is_not_written(
    run: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (run / "lock").unlink()
    os.link(mine, run / "lock")
    with resume(run):
        pass
    assert mine.read_text() == "mine"
    os.link(run / "run.sqlite", tmp_path / "backup")
    assert cells_of(run)
    with pytest.raises(StoreError, match="hard link"), resume(run):
        pass


def test_a_new_run_goes_through_no_link_either(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.sqlite", "run.sqlite-wal", "lock"):
        put_link(folder / name, tmp_path / "mine")
        with pytest.raises(StoreError), create(folder, manifest(TAUS), {"d": []}):
            pass
        (folder / name).unlink(missing_ok=True)
    assert not (tmp_path / "mine").exists()


def test_a_journal_which_could_name_files_to_delete_is_refused(run: Path) -> None:
    (run / "run.sqlite-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 504)
    for opens in (reading, resume):
        with pytest.raises(StoreError, match="journal"), opens(run):
            pass


def test_a_manifest_without_end_is_not_read_whole(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scale_reasoning.runs.folder.MANIFEST_BYTES", 1000)
    (run / "manifest.json").write_bytes(b" " * 1001)
    with pytest.raises(StoreError, match="over 1,000 bytes"):
        read_manifest(run)


# Tables only


FOREVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
INSTEAD = {
    "view": "DROP TABLE {0}; CREATE VIEW {0} AS SELECT {1} FROM sqlite_master",
    "recursive-view": "DROP TABLE {0}; CREATE VIEW {0} AS " + FOREVER + " {1} FROM n",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON {0} BEGIN DELETE FROM problems; END",
    "virtual": "DROP TABLE {0}; CREATE VIRTUAL TABLE {0} USING fts5(a, b, c)",
    "generated": "DROP TABLE {0}; CREATE TABLE {0} (a, b AS (zeroblob(900000000)))",
    "more": "CREATE TABLE more (a)",
    "fewer": "DROP TABLE {0}",
    "index-on-expression": "CREATE INDEX more ON {0} (length(zeroblob(9)))",
}
COLUMNS = {
    "problems": "1 AS dataset, 1 AS position, 1 AS id, 1 AS text, 1 AS answer",
    "completions": "1 AS key, 1 AS loose, 1 AS tokens, 1 AS cut, 1 AS request, 1 AS completion",
    "attempts": "1 AS cell, 1 AS problem, 1 AS sample, 1 AS owed, 1 AS outcome, 1 AS record",
}


def changed(folder: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.executescript(script)


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("how", INSTEAD)
def test_only_the_tables_of_a_run_are_read(how: str, table: str, run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    changed(run, INSTEAD[how].format(table, COLUMNS[table]))
    with ends_in_time():
        for opens in (reading, resume, cells_of):
            with pytest.raises(StoreError, match="tables that a run does not have"):
                _entered(opens, run)
        assert main(["merge", str(tmp_path / "out"), str(copy), str(run)]) == 1


def _entered(opens: Callable[[Path], object], folder: Path) -> None:
    opened = opens(folder)
    if isinstance(opened, contextlib.AbstractContextManager):
        with opened:
            pass


def test_what_analyze_adds_is_no_obstacle(run: Path) -> None:
    changed(run, "ANALYZE")
    assert len(cells_of(run)) == 2


def test_a_query_that_takes_more_work_than_any_run_asks_for_is_ended(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MOST_WORK", 2)
    with pytest.raises(StoreError, match=r"interrupted.*damaged"), reading(run) as store:
        list(store.rows.all(f"{FOREVER} x FROM n WHERE x < 0"))


VALUES = ("NULL", "x'ff7b'", "'text'", "1e300", "9223372036854775807")
CELLS = [
    (table, column)
    for table, columns in {
        "problems": ("dataset", "position", "id", "text", "answer"),
        "completions": ("key", "loose", "tokens", "cut", "request", "completion"),
        "attempts": ("cell", "problem", "sample", "owed", "outcome", "record"),
    }.items()
    for column in columns
]


@pytest.mark.parametrize("values", [VALUES[:1], *mark_slow(VALUES[1:])], ids=["NULL", "others"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        pytest.param(*cell, marks=[] if cell[1] in {"id", "completion", "outcome"} else pytest.mark.slow)
        for cell in CELLS
    ],
)
def test_a_cell_of_another_type_is_damage_and_never_a_traceback(
    table: str, column: str, values: Sequence[str], run: Path, tmp_path: Path
) -> None:
    for number, value in enumerate(values):
        copy = shutil.copytree(run, tmp_path / f"copy{number}")
        with contextlib.closing(sqlite3.connect(copy / "run.sqlite")) as db, db, contextlib.suppress(sqlite3.Error):
            db.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid IN (SELECT rowid FROM {table} LIMIT 1)")
        for words in (["report", str(copy)], ["export", str(copy)], ["merge", str(tmp_path / f"m{number}"), str(copy)]):
            assert main(words) in (0, 1), (words, value)
        with contextlib.suppress(StoreError), contextlib.closing(Shelf([run, copy])) as shelf:
            Pages(shelf, live=True).make_home()
            for cell in shelf.cells:
                with contextlib.suppress(StoreError):
                    Pages(shelf, live=True).make_run(cell, Filter(over=5), 1)
                    Pages(shelf, live=True).make_trace(cell, (0, 0))


NUMBERS = ("1" + "0" * 400, "-1" + "0" * 400, "1e300", "9" * 5000)


@pytest.mark.parametrize("field", ["completion_tokens", "iterations", "hard", "calls", "seconds", "sample"])
def test_a_number_that_cannot_be_is_damage(field: str, run: Path, tmp_path: Path, capfd: object) -> None:
    for number, value in enumerate(NUMBERS):
        copy = shutil.copytree(run, tmp_path / f"copy{number}")
        with contextlib.closing(sqlite3.connect(copy / "run.sqlite")) as db, db:
            rows = db.execute("SELECT rowid, CAST(outcome AS TEXT) FROM attempts").fetchall()
            for rowid, text in rows:
                head, found, tail = text.partition(f'"{field}":')
                assert found
                again_text = f"{head}{found}{value}{tail[tail.index(',') if ',' in tail else 0 :]}"
                db.execute("UPDATE attempts SET outcome = CAST(? AS BLOB) WHERE rowid = ?", (again_text, rowid))
        assert main(["report", str(copy)]) == 1


def test_bytes_changed_anywhere_are_damage_or_no_matter(run: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    whole = (run / "run.sqlite").read_bytes()
    for number in range(150):
        copy = shutil.copytree(run, tmp_path / f"copy{number}")
        content = bytearray(whole)
        for _ in range(chance.choice((1, 3, 20))):
            place = chance.randrange(len(content) if chance.random() < 0.5 else 8192)
            content[place] = chance.randrange(256)
        (copy / "run.sqlite").write_bytes(content)
        with contextlib.suppress(StoreError):
            cells_of(copy)
        with contextlib.suppress(StoreError), reading(copy) as store:
            for cell in range(2):
                list(store.records(cell))
        shutil.rmtree(copy)


# Locks, moves, a disk that is full


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.EWOULDBLOCK, "another process writes to this run"), (errno.ENOLCK, "cannot lock files"),
     (errno.EOPNOTSUPP, "cannot lock files")],
)  # fmt: skip
def test_a_lock_that_cannot_be_had_is_told_for_what_it_is(
    number: int, told: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=told), locked(run):
        pass


def test_a_run_that_is_moved_while_it_is_at_work_writes_nothing_to_its_old_place(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with create(old, manifest(TAUS), {"d": [*_problems(1)]}) as store:
        store.rows.connection.execute("UPDATE problems SET answer = '7'")
        store.rows.connection.commit()
        old.rename(new)
        with create(old, manifest(TAUS[:1]), {"d": []}) as other:
            other.rows.connection.execute("INSERT INTO problems VALUES ('d', 0, 'x', 'y', '1')")
            other.rows.connection.commit()
            with pytest.raises(StoreError, match="moved"):
                store.resolve({"served": ["a"]})
            with pytest.raises(StoreError, match="moved"):
                go(store, FAST)
            before = state(old)
            log = (old / "run.sqlite-wal").stat().st_size
            store_closed = store
        assert log
    assert store_closed is store
    assert {name: before[name] for name in ("manifest.json", "lock")} == {
        name: state(old)[name] for name in ("manifest.json", "lock")
    }
    with reading(old) as there:
        assert [problem.id for problem in there.problems("d")] == ["x"]
    with resume(new) as there:
        assert [problem.answer for problem in there.problems("d")] == ["7"]


def test_the_log_of_a_run_at_the_old_place_survives_the_end_of_the_one_that_was_moved(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with contextlib.ExitStack() as later:
        with create(old, manifest(TAUS), {"d": [*_problems(1)]}) as store:
            store.rows.connection.execute("UPDATE problems SET answer = '7'")
            store.rows.connection.commit()
            old.rename(new)
            other = later.enter_context(create(old, manifest(TAUS[:1]), {"d": [*_problems(2)]}))
            assert (old / "run.sqlite-wal").stat().st_size
        assert (old / "run.sqlite-wal").stat().st_size
        with reading(old) as there:
            assert len(there.problems("d")) == len(other.problems("d")) == 2
    with reading(new) as there:
        assert [problem.answer for problem in there.problems("d")] == ["7"]


def test_a_run_for_whose_beginning_the_disk_is_too_full_leaves_nothing(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("nothing can be mounted here")
    (place := tmp_path / "place").mkdir()
    rows = "".join(f'{{"problem": "{"How much is it? " * 500} {n}", "answer": "1"}}\n' for n in range(200))
    (tmp_path / "d.jsonl").write_text(rows)
    words = f"eval {tmp_path}/d.jsonl --model q --base-url http://127.0.0.1:9/v1 --out {place}/run --retries 0"
    script = (
        f"mount -t tmpfs -o size=300k none {place} || exit 77; "
        f"{sys.executable} -m scale_reasoning {words} 2>{tmp_path}/said; "
        f"echo $? >{tmp_path}/code; ls -A {place} >{tmp_path}/left"
    )
    if subprocess.run(["unshare", "-m", "sh", "-c", script], check=False, capture_output=True).returncode == 77:
        pytest.skip("nothing can be mounted here")
    assert "the disk is full" in (tmp_path / "said").read_text()
    assert (tmp_path / "code").read_text() == "1\n"
    assert (tmp_path / "left").read_text() == ""


def test_a_folder_of_somebody_else_s_files_is_left_as_it_was_when_a_run_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    bad = {"d": [object()]}
    with pytest.raises(Exception, match="id"), create(tmp_path, manifest(TAUS), bad):  # type: ignore[arg-type]
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["notes"]


def test_a_path_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    for words in (["report", "x" * 5000], ["view", "y" * 300], ["eval", "--resume", "z" * 5000],
                  ["merge", str(tmp_path / ("m" * 300)), "q"], ["export", "e" * 5000], ["eval", "w" * 5000 + ".toml"],
                  ["eval", "v" * 5000 + ".jsonl"], ["plot", "tau", "p" * 5000], ["grade", "g" * 5000]):  # fmt: skip
        done = scale(*words)
        assert done.returncode in (1, 2), words[0]
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert len(done.stderr) < 1000, words[0]


def test_a_resumed_run_is_still_the_run_it_would_have_been(killed: Path, tmp_path: Path) -> None:
    again(killed, FAST)
    fresh(tmp_path / "whole", manifest(TAUS), 2, FAST, attempts=1)
    assert content(killed) == content(tmp_path / "whole")


__all__ = ["ConfigError", "write_manifest"]
