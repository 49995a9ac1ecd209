"""Traces that are on disk are replaced by the same run's with the same settings, and by others only when asked."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from scale_reasoning.cli import main

TEACHER = ["--model", "arithmetic-teacher", "--samples", "1", "--limit", "4"]
Capture = pytest.CaptureFixture[str]


def synth(*words: str | Path) -> int:
    return main(["synth", *map(str, words)])


def rows(out: Path) -> int:
    return len((out / "train.jsonl").read_text().splitlines())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A synthesis of 2 traces out of 4 problems."""
    folder = tmp_path / "out"
    assert synth("--dataset", "arithmetic", *TEACHER, "--target", "2", "--out", folder) == 0
    return folder


def test_a_resume_keeps_to_the_target(out: Path) -> None:
    assert synth("--resume", out) == 0
    assert rows(out) == 2


def test_a_run_from_before_settings_were_remembered_has_those_of_its_bundle(out: Path, capsys: Capture) -> None:
    file = out / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["synthesis"]
    file.write_text(json.dumps(manifest))
    assert synth("--resume", out, "--target", "3") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert synth("--resume", out) == 0
    assert rows(out) == 2
    assert json.loads(file.read_text())["synthesis"]["target"] == 2


def test_a_run_from_before_that_was_killed_before_it_wrote_traces_takes_the_flags(out: Path) -> None:
    file = out / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["synthesis"]
    file.write_text(json.dumps(manifest))
    for name in ("train.jsonl", "train.parquet", "manifest.json", "README.md", "dropped.jsonl", "funnel.json"):
        (out / name).unlink(missing_ok=True)
    assert synth("--resume", out, "--target", "3") == 0
    assert rows(out) == 3


def test_a_layout_that_an_old_bundle_does_not_name_must_be_named(out: Path, tmp_path: Path, capsys: Capture) -> None:
    layout = tmp_path / "layout.md"
    layout.write_text("## step\n{{number}} {{subproblem}} {{working}}\n## trace\n{{steps}} {{solution}}\n")
    assert synth("--resume", out, "--layout", layout, "--overwrite") == 0
    file = out / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["synthesis"]
    file.write_text(json.dumps(manifest))
    assert synth("--resume", out) == 2
    assert "--layout FILE" in capsys.readouterr().err
    assert synth("--resume", out, "--layout", layout, "--target", "2") == 0


def test_a_layout_that_has_changed_since_is_another_setting(out: Path, tmp_path: Path, capsys: Capture) -> None:
    layout = tmp_path / "layout.md"
    layout.write_text("## step\n{{number}} {{subproblem}} {{working}}\n## trace\n{{steps}} {{solution}}\n")
    assert synth("--resume", out, "--layout", layout, "--overwrite") == 0
    assert synth("--resume", out) == 0
    from scale_reasoning import prompts

    prompts.load.cache_clear()
    layout.write_text("## step\n{{number}}: {{subproblem}} {{working}}\n## trace\n{{steps}} {{solution}}\n")
    assert synth("--resume", out) == 2
    assert "layout" in capsys.readouterr().err


def test_rows_that_were_edited_are_not_replaced_unasked(out: Path, capsys: Capture) -> None:
    edited = (out / "train.jsonl").read_text().splitlines()[0] + "\n"
    (out / "train.jsonl").write_text(edited)
    assert synth("--resume", out) == 2
    assert "train.jsonl" in capsys.readouterr().err
    assert (out / "train.jsonl").read_text() == edited
    assert synth("--resume", out, "--overwrite") == 0
    assert rows(out) == 2


@pytest.mark.parametrize("name", ["train.jsonl", "README.md", "manifest.json", "dropped.jsonl"])
def test_a_file_of_the_users_is_found_before_anything_is_made(tmp_path: Path, capsys: Capture, name: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / name).write_text("mine")
    assert synth("--dataset", "arithmetic", *TEACHER, "--out", mine) == 2
    assert name in capsys.readouterr().err
    assert [each.name for each in mine.iterdir()] == [name]
    assert (mine / name).read_text() == "mine"


def test_other_files_of_the_users_are_no_obstacle(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    assert synth("--dataset", "arithmetic", *TEACHER, "--out", mine) == 0
    assert (mine / "notes.txt").read_text() == "mine"


def test_traces_of_another_run_are_not_replaced_unasked(out: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "other"
    assert main(["eval", "arithmetic", *TEACHER, "--split", "train", "--out", str(run)]) == 0
    assert synth("--from", run, "--out", out, "--target", "2") == 2
    assert "other runs" in capsys.readouterr().err
    assert synth("--from", run, "--out", tmp_path / "new") == 0
    assert synth("--from", run, "--out", tmp_path / "new") == 0
    assert synth("--from", run, "--out", tmp_path / "new", "--choose", "most") == 2
    assert synth("--from", run, "--out", tmp_path / "new", "--choose", "most", "--overwrite") == 0


def test_a_run_is_never_replaced_by_traces(tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    assert main(["eval", "arithmetic", *TEACHER, "--split", "train", "--out", str(run)]) == 0
    before = (run / "manifest.json").read_bytes()
    for more in ((), ("--overwrite",)):
        assert synth("--from", run, "--out", run, *more) == 2
        assert "has a run" in capsys.readouterr().err
        assert synth("--dataset", "arithmetic", *TEACHER, "--out", run, *more) == 2
    assert (run / "manifest.json").read_bytes() == before


def test_no_rows_of_before_stay_beside_the_new_ones(out: Path) -> None:
    pytest.importorskip("pyarrow")
    assert (out / "train.parquet").exists()
    assert synth("--resume", out, "--max-tokens", "1", "--overwrite") == 1
    assert rows(out) == 0
    assert not (out / "train.parquet").exists()


def test_what_is_wrong_with_the_traces_is_found_before_a_run_begins(tmp_path: Path, capsys: Capture) -> None:
    bad = tmp_path / "layout.md"
    bad.write_text("## trace\n{{steps}}\n")
    for words, named in (
        (("--choose", "best"), "choose: 'best'"),
        (("--max-tokens", "0"), "max_tokens: must be at least 1"),
        (("--target", "0"), "target: must be at least 1"),
        (("--layout", str(bad)), "'## trace' lacks {{solution}}"),
        (("--push", "mine"), "--push mine"),
        (("--student-prompts", "nowhere.md"), "nowhere.md: No such file"),
        (("--bundle", "llamafactory", "--gpus", "3"), "--gpus 3"),
        (("--gpus", "2"), "need --bundle"),
        (("--decontaminate", "nowhere"), "no dataset 'nowhere'"),
    ):
        capsys.readouterr()
        assert synth("--dataset", "arithmetic", *TEACHER, "--out", tmp_path / "new", *words) == 2
        assert named in capsys.readouterr().err
        assert not (tmp_path / "new").exists()


def test_the_run_of_a_synthesis_is_resumed_by_synth_alone(out: Path, capsys: Capture) -> None:
    for folder, named in ((out / "run", f"scale synth --resume {out}"), (out, f"is {out / 'run'}")):
        assert main(["eval", "--resume", str(folder)]) == 2
        assert named in capsys.readouterr().err
    assert main(["report", str(out)]) == 2
    assert f"is {out / 'run'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "manifest",
    [
        "[" * 100_000,
        '{"origins": 1}',
        '{"origins": [1]}',
        '{"origins": [], "settings": 1}',
        '{"origins": {"run": []}}',
        None,
    ],
)
def test_a_bundle_of_unknown_origin_is_never_taken_for_an_own_one(
    manifest: str | None, out: Path, tmp_path: Path, capsys: Capture
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "train.jsonl").write_text("")
    if manifest is None:
        os.mkfifo(other / "manifest.json")
    else:
        empty = sha256(b"").hexdigest()
        (other / "manifest.json").write_text(manifest.replace("{", f'{{"train_sha256": "{empty}", ', 1))
    assert synth("--from", out / "run", "--out", other) == 2
    assert "--overwrite" in capsys.readouterr().err
