"""Recipes by name: what a name means to each verb, and `scale list recipes`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.commands import scale

from scale_reasoning.cli import main
from scale_reasoning.runs.recipes import list_shipped

OWN = """datasets = [{ name = "arithmetic", count = 1 }]
samples = 1
[[strategies]]
name = "cot"
[[models]]
model = "m"
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_recipe_is_found_by_its_name_from_anywhere() -> None:
    done = scale("eval", "laptop-small", "--dry-run")
    assert done.returncode == 0
    assert "arithmetic  cot: 20 attempts" in done.stdout


def test_a_file_of_the_user_comes_before_a_recipe_and_a_folder_does_not(place: Path) -> None:
    (place / "laptop-small").mkdir()
    assert "20 attempts" in scale("eval", "laptop-small", "--dry-run").stdout
    (place / "laptop-small").rmdir()
    (place / "laptop-small").write_text(OWN)
    assert "must end in .jsonl" in scale("eval", "laptop-small", "--dry-run").stderr
    (place / "laptop-small.toml").write_text(OWN)
    assert "in all 1 attempt" in scale("eval", "laptop-small.toml", "--dry-run").stdout


def test_a_recipe_that_ships_is_told_from_a_file_with_its_name(place: Path) -> None:
    (place / "laptop-small.toml").write_text(OWN)
    done = scale("eval", "laptop-small", "--dry-run")
    assert "20 attempts" in done.stdout
    assert "the file in this folder is laptop-small.toml" in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("eval", "tabel3"), "no dataset and no recipe 'tabel3' (did you mean table3"),
        (("eval", "amie24"), "did you mean aime24"),
        (("eval", "Laptop"), "did you mean laptop?"),
        (("eval", "recipes/table2.toml"), "table2.toml: no such file, and no recipe that ships (did you mean table2?"),
        (("eval", "aime24", "table2"), "table2: name only one recipe or manifest"),
        (("synth", "table1-qwk", "--out", "o"), "table1-qwk: no such file, and no recipe that ships (did you mean"),
        (("sft", "sft-limo-qwen2.5-23b"), "sft-limo-qwen2.5-32b"),
        (("list", "recipes", "--show", "tabel2"), "did you mean table2"),
        (("list", "models", "--show", "table2"), "--show table2: only recipes can be shown"),
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_with_the_nearest(words: tuple[str, ...], named: str) -> None:
    done = scale(*words)
    assert done.returncode == 2
    assert named in done.stderr


def test_traces_and_a_training_take_the_name_of_a_recipe(place: Path) -> None:
    done = scale("synth", "laptop-small", "--out", "traces", "--dry-run")
    assert (done.returncode, "arithmetic  cot: 20 attempts" in done.stdout) == (0, True), done.stderr
    done = scale("sft", "sft-limo-qwen2.5-32b", "--dry-run")
    assert "data/limo-scale/train.jsonl" in done.stderr


@pytest.mark.sft
@pytest.mark.skipif(find_spec("transformers") is None, reason="needs the sft extra")
def test_the_folder_of_a_training_is_named_after_its_recipe(place: Path) -> None:
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    (place / "train.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    done = scale("sft", "sft-arithmetic-embedded", "--rows", "train.jsonl", "--dry-run")
    assert (done.returncode, "runs/scale-sft-arithmetic-embedded" in done.stdout) == (0, True), done.stderr


def test_every_recipe_is_listed_with_what_it_is_and_what_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "recipes"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, file in list_shipped().items():
        first, *_ = file.read_text().splitlines()
        assert f" {name} {first.removeprefix('# ')}" in shown
    assert "Qwen/QwQ-32B + Qwen/Qwen3-32B; aime24, aime25, amc23; cot, inftythink, scale; 8 samples" in shown
    assert "Qwen/Qwen2.5-72B-Instruct; data/limo-scale/train.jsonl; full fine-tuning, 15 epochs" in shown
    assert "scale list recipes --show NAME" in shown


def test_a_recipe_that_is_shown_is_the_file_and_runs_as_a_copy(place: Path) -> None:
    shown = scale("list", "recipes", "--show", "laptop-small").stdout
    assert shown == list_shipped()["laptop-small"].read_text()
    (place / "mine.toml").write_text(shown)
    assert scale("eval", "mine.toml", "--dry-run").stdout == scale("eval", "laptop-small", "--dry-run").stdout


def test_a_model_chooses_among_those_of_a_recipe_and_takes_the_place_of_a_single_one(place: Path) -> None:
    (place / "two.toml").write_text(OWN + '[[models]]\nmodel = "n"\nwindow = 9000\n')
    assert "in all 2 attempts" in scale("eval", "two.toml", "--dry-run").stdout
    done = scale("eval", "two.toml", "--dry-run", "--model", "n")
    assert "in all 1 attempt" in done.stdout
    done = scale("eval", "two.toml", "--dry-run", "--model", "o")
    assert (done.returncode, "--model o: two.toml has several models: name one of m, n" in done.stderr) == (2, True)
    (place / "one.toml").write_text(OWN)
    assert scale("eval", "one.toml", "--dry-run", "--model", "o").returncode == 0
