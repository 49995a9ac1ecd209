"""`--dry-run` asks no server and changes no file, whatever is given with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import ModelServer, serving

from scale_reasoning.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A working directory with problems, a recipe, a half-made run and a half-made synthesis, and their server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    rows = [{"id": f"m{n}", "problem": f"How much is {n} and {n}?", "answer": "12"} for n in range(4)]
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving() as server:
        Path("r.toml").write_text(
            f'datasets = ["mine.jsonl"]\nsamples = 2\n[[models]]\nmodel = "q"\nbase_url = "{server.base_url}"\n'
            '[[strategies]]\nname = "cot"\n'
        )
        at = ["--model", "q", "--base-url", server.base_url, "--strategy", "cot", "--samples", "2"]
        assert main(["synth", "--dataset", "mine.jsonl", "--target", "1", "--out", "traces", *at]) == 0
        assert main(["eval", "traces/run/manifest.json", "--shard", "1/2", "--out", "half"]) == 0
        server.paths.clear()
        yield server


def files() -> dict[str, tuple[int, str]]:
    return {
        str(file): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "")
        for file in Path().rglob("*")
    }


CONNECTION = ["--model", "q", "--base-url", "URL"]


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "mine.jsonl", *CONNECTION],
        ["eval", "mine.jsonl", *CONNECTION, "--out", "new", "--shard", "1/2"],
        ["eval", "mine.jsonl", *CONNECTION, "--ray", "local", "--ray-workers", "2"],
        ["eval", "r.toml"],
        ["eval", "half/manifest.json"],
        ["eval", "--resume", "half"],
        ["eval", "--resume", "half", "--ray", "local"],
        ["eval", "--resume", "half", "--attempts-in-flight", "1"],
        ["sweep", "tau", "0.2", "0.5", "--dataset", "mine.jsonl", *CONNECTION],
        ["synth", "--dataset", "mine.jsonl", "--out", "new", "--target", "2", *CONNECTION],
        ["synth", "r.toml", "--out", "new"],
        ["synth", "r.toml", "--out", "new", "--target", "3", "--shard", "1/2"],
        ["synth", "--resume", "traces"],
        ["synth", "--resume", "traces", "--target", "4", "--overwrite"],
        ["synth", "--resume", "traces", "--bundle", "llamafactory", "--overwrite"],
        ["synth", "--from", "half", "traces/run", "--out", "new"],
        ["synth", "--from", "half", "--out", "traces", "--bundle", "llamafactory"],
    ],
)
def test_a_dry_run_asks_no_server_and_changes_no_file(place: ModelServer, capsys: Capture, words: list[str]) -> None:
    before = files()
    assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err
    assert place.paths == []
    assert files() == before
    assert capsys.readouterr().out


def test_a_dry_run_with_push_pushes_nothing(place: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_ENDPOINT", place.base_url)
    before = files()
    for source in (["r.toml", "--out", "new"], ["--resume", "traces"], ["--from", "half", "--out", "new"]):
        assert main(["synth", *source, "--push", "me/mine", "--dry-run"]) == 0
    assert place.paths == []
    assert files() == before


def test_a_dry_run_with_resume_prints_what_is_left_in_each_cell(place: ModelServer, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["synth", "--resume", "traces", "--dry-run"]) == 0
    assert "mine.jsonl  cot: 7 of 8 attempts left, at most 2 calls each" in capsys.readouterr().out
    assert main(["eval", "--resume", "half", "--dry-run"]) == 0
    assert "0 of 4 attempts left, at most 0 calls" in capsys.readouterr().out


@pytest.mark.parametrize("kept", [("-wal", "-shm"), ("-wal",)])
def test_a_run_that_was_killed_is_read_as_it_is(place: ModelServer, capsys: Capture, kept: tuple[str, ...]) -> None:
    import shutil
    import sqlite3

    database = Path("half/run.sqlite")
    Path("killed").mkdir()
    with sqlite3.connect(database) as open_:  # copied while it is open: what a killed process leaves
        open_.execute("UPDATE attempts SET owed = 1")
        open_.commit()
        for suffix in ("", *kept):
            shutil.copy(f"{database}{suffix}", f"killed/run.sqlite{suffix}")
    open_.close()
    shutil.copy("half/manifest.json", "killed/manifest.json")
    before = files()
    capsys.readouterr()
    assert main(["eval", "--resume", "killed", "--dry-run"]) == 0
    assert "4 of 4 attempts left" in capsys.readouterr().out
    if "-shm" in kept:
        assert files() == before


def test_a_training_is_not_prepared_by_a_dry_run(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    Path("train.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    Path("r.toml").write_text('rows = "train.jsonl"\nmodel = "smollm2"\ncutoff = 64\n')
    before = files()
    assert main(["sft", "r.toml", "--dry-run"]) == 0, capsys.readouterr().err
    assert files() == before
    assert "the first training writes them" in capsys.readouterr().out
