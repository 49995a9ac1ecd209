"""Every row of docs/reliability.md's second table: a run whose disk or files go wrong half-way, and after the mend."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.reliability.flaky import reply_to
from tests.reliability.pages import table
from tests.runs.simulated import content
from tests.servers import ModelServer, serving, stream

from scale_reasoning.cli import choose_exit_code, main
from scale_reasoning.engines import Connection, connect
from scale_reasoning.errors import StoreError
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import resume

ROWS = table("The run's folder")
ENOUGH = 30


class Refusing:
    """A handler that refuses everything after so many requests: the run stops there."""

    def __init__(self) -> None:
        self.left = ENOUGH

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.left -= 1
        if self.left < 0:
            return web.json_response({"error": "no more today"}, status=403)
        return await stream(request, reply_to(body))


@dataclass(frozen=True, kw_only=True)
class Half:
    """A run that is half done, and its server, which answers everything now."""

    folder: Path
    server: ModelServer

    def resumed(self, *words: str) -> int:
        return main(["eval", "--resume", str(self.folder), "--in-flight", "1", *words])


@pytest.fixture
def half(tmp_path: Path) -> Iterator[Half]:
    file, refusing = tmp_path / "d.jsonl", Refusing()
    rows = [{"id": f"p{n}", "problem": f"How much is {n} and {n}?", "answer": str(n % 4)} for n in range(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving(refusing) as server:
        words = ("--model", "q", "--samples", "2", "--candidates", "2", "--in-flight", "1", "--attempts-in-flight", "2")
        assert main(["eval", str(file), *words, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 2
        refusing.left = 10_000
        yield Half(folder=tmp_path / "run", server=server)


# What goes wrong; each returns what the program says, with its exit code


def with_pragma(half: Half, pragma: str) -> tuple[str, int]:
    async def go() -> None:
        with resume(half.folder) as store:
            pages = store.rows.connection.execute("PRAGMA page_count").fetchone()[0]
            store.rows.connection.execute(f"PRAGMA {pragma.format(pages=pages)}")
            (spec,) = {cell.model for cell in store.manifest.cells}
            async with connect(Connection(model="q", base_url=half.server.base_url)) as endpoints:
                await run(store, {spec: endpoints}, attempts_in_flight=1)

    with pytest.raises(StoreError) as caught:
        asyncio.run(go())
    return str(caught.value), choose_exit_code(caught.value)


@contextlib.contextmanager
def no_larger(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def resumed(half: Half, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, int]:
    capsys.readouterr()
    code = main([*words, str(half.folder)]) if words else half.resumed()
    return capsys.readouterr().err, code


def overwrite_a_page(half: Half) -> None:
    with contextlib.closing(sqlite3.connect(half.folder / "run.sqlite")) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'attempts'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with (half.folder / "run.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def overwrite_a_row(half: Half) -> None:
    with contextlib.closing(sqlite3.connect(half.folder / "run.sqlite")) as db, db:
        db.execute("UPDATE attempts SET outcome = CAST(substr(outcome, 1, 90) AS BLOB), record = x'7b7bff'")


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


Capture = pytest.CaptureFixture[str]


def damaged(how: Callable[[Half], object], *words: str) -> Callable[[Half, Capture], tuple[str, int]]:
    def wrong(half: Half, capsys: Capture) -> tuple[str, int]:
        how(half)
        return resumed(half, capsys, *words)

    return wrong


def file_size_limit(half: Half, capsys: Capture) -> tuple[str, int]:
    with no_larger((half.folder / "run.sqlite").stat().st_size // 2):
        return resumed(half, capsys)


WRONG: dict[str, Callable[[Half, Capture], tuple[str, int]]] = {
    "disk-full": lambda half, _: with_pragma(half, "max_page_count = {pages}"),
    "file-size-limit": file_size_limit,
    "read-only": lambda half, _: with_pragma(half, "query_only = 1"),
    "corrupt-page": damaged(overwrite_a_page),
    "corrupt-row": damaged(overwrite_a_row, "report"),
    "database-gone": damaged(lambda half: (half.folder / "run.sqlite").unlink()),
    "manifest-broken": damaged(lambda half: cut_off(half.folder / "manifest.json")),
}


def test_every_row_has_a_check_and_every_check_a_row() -> None:
    assert ROWS.keys() == WRONG.keys()


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_in_a_runs_folder_is_named_and_mended(name: str, half: Half, capsys: Capture) -> None:
    copy = half.folder.with_name("copy")
    shutil.copytree(half.folder, copy)
    said, code = WRONG[name](half, capsys)
    assert ROWS[name]["stops"] in said
    assert str(half.folder) in said
    assert code == 1
    if name not in ("disk-full", "file-size-limit", "read-only"):
        shutil.rmtree(half.folder)
        shutil.copytree(copy, half.folder)
    asked = len(half.server.bodies)
    assert half.resumed() == 0
    assert ROWS[name]["then"] == "the run that would have been"
    assert content(half.folder) == content(finished(copy, half))
    assert len(half.server.bodies) > asked


@pytest.mark.parametrize("words", [("report",), ("export",)])
def test_a_row_that_cannot_be_read_is_named_by_whoever_reads_it(words: tuple[str], half: Half, capsys: Capture) -> None:
    overwrite_a_row(half)
    said, code = resumed(half, capsys, *words)
    assert ROWS["corrupt-row"]["stops"] in said
    assert code == 1


def finished(folder: Path, half: Half) -> Path:
    """The run from the same half on, with nothing going wrong."""
    assert Half(folder=folder, server=half.server).resumed() == 0
    return folder
