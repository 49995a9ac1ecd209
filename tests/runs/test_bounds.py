"""A run that was made to harm: small files that yield rows without end, numbers that cannot be, shapes that are not."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.patience import ends_in_time
from tests.web.viewed import TAUS, sweep

from scale_reasoning.cli import main
from scale_reasoning.errors import StoreError
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.store import reading


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return sweep(tmp_path / "run", [*TAUS, {"name": "vote", "samples": 2}], problems=2, samples=2)


def multiplied(folder: Path, index: str, levels: int) -> None:
    """Turns the root of an index into a tree all of whose pages have one child: a page of rows, many times over."""
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray((folder / "run.sqlite").read_bytes())
    leaf = bytes(content[(root - 1) * size : root * size])
    assert leaf[0] == 10, "the index is one page"
    place = struct.unpack_from(">H", leaf, 8)[0]
    cell = leaf[place : place + 1 + leaf[place]]
    page = leaf
    for _ in range(levels):
        content += page
        page = _over(len(content) // size, cell, size)
    content[(root - 1) * size : root * size] = page
    struct.pack_into(">I", content, 28, len(content) // size)
    content[92:96] = content[24:28]
    (folder / "run.sqlite").write_bytes(content)


def _over(child: int, cell: bytes, size: int) -> bytes:
    page, end = bytearray(size), size
    count = (size - 100) // (len(cell) + 6)
    for number in range(count):
        end -= len(cell) + 4
        page[end : end + len(cell) + 4] = struct.pack(">I", child) + cell
        struct.pack_into(">H", page, 12 + 2 * number, end)
    struct.pack_into(">BHHHBI", page, 0, 2, 0, count, end, 0, child)
    return bytes(page)


def test_a_page_that_is_referred_to_many_times_does_not_yield_rows_without_end(run: Path) -> None:
    multiplied(run, "sqlite_autoindex_problems_1", 4)
    with ends_in_time():
        with pytest.raises(StoreError, match="more than the database can hold"):
            cells_of(run)
        for words in (["report", str(run)], ["grade", str(run), "--dry-run"], ["view", str(run)]):
            assert main(words) == 1, words


def edited(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db, db:
        for row, text in db.execute("SELECT rowid, CAST(record AS TEXT) FROM attempts").fetchall():
            edit(record := json.loads(text))
            db.execute("UPDATE attempts SET record = CAST(? AS BLOB) WHERE rowid = ?", (json.dumps(record), row))


def _step(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(record: dict[str, Any]) -> None:
        for chain in (record["solution"], *record["solution"]["chains"]):
            for step in chain["steps"]:
                (step if key in step else step["usage"])[key] = value

    return edit


RECORDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "tokens": lambda record: record["usage"]["total"].update(completion_tokens=2**63),
    "tokens-of-400-digits": lambda record: record["usage"]["total"].update(completion_tokens=10**400),
    "reasoning": _step("reasoning_tokens", 10**400),
    "difficulty": _step("difficulty", -1e308),
    "seconds": lambda record: record.update(seconds=1e308),
    "cached": lambda record: record["calls"][0]["usage"].update(cached_tokens=2**70),
    "no-name": lambda record: record.update(strategy={}),
    "name-a-list": lambda record: record.update(strategy={"name": ["scale"]}),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_that_cannot_be_is_damage_for_every_command(kind: str, run: Path, tmp_path: Path) -> None:
    edited(run, RECORDS[kind])
    with reading(run) as store, pytest.raises(StoreError, match="damaged"):
        list(store.records(0))
    (out := tmp_path / "out").mkdir()
    for words in (
        ["export", str(run), "--out", str(out / "records.jsonl")],
        ["grade", str(run), "--dry-run"],
        ["synth", "--from", str(run), "--out", str(out / "traces")],
        ["view", str(run), "--html", str(out / "pages")],
    ):
        assert main(words) in (0, 1), words
    if kind != "no-name":
        return
    pytest.importorskip("pyarrow")
    assert main(["export", str(run), "--format", "parquet", "--out", str(out / "records.parquet")]) == 1


@pytest.mark.parametrize("key", ["served", "adaptations", "datasets", "prompts", "profiles"])
@pytest.mark.parametrize("value", [1, "x", [[]], {"d": 1}, {"d": [[]]}, [None]])
def test_what_a_manifest_resolved_has_a_shape(key: str, value: Any, run: Path, tmp_path: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["resolved"][key] = value
    (run / "manifest.json").write_text(json.dumps(manifest))
    out = tmp_path / "out"
    for words in (
        ["report", str(run)],
        ["synth", "--from", str(run), "--out", str(out / "traces")],
        ["merge", str(out / "merged"), str(run)],
        ["eval", "--resume", str(run), "--dry-run"],
    ):
        assert main(words) in (0, 1, 2), words
