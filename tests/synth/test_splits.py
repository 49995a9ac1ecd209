"""Problems for evaluation are told from others by name, split and text, and only taken when that is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scale_reasoning.cli import main
from scale_reasoning.datasets import load
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest, ModelSpec
from scale_reasoning.synth import contamination
from scale_reasoning.synth.splits import find_evaluation, find_split, use_train_split
from scale_reasoning.types import Problem

TEACHER = ("--model", "arithmetic-teacher", "--samples", "1", "--limit", "2")
Capture = pytest.CaptureFixture[str]


def manifest(spec: DatasetSpec, **resolved: Any) -> Manifest:
    cell = CellSpec(dataset=spec, model=ModelSpec(model="q"), strategy={"name": "cot"})
    return Manifest(cells=(cell,), resolved=resolved)


def found(name: str, split: str | None = None, problems: tuple[Problem, ...] = ()) -> str | None:
    spec = use_train_split(manifest(DatasetSpec(name=name, split=split))).cells[0].dataset
    seen = find_evaluation(manifest(spec), spec, problems)
    return None if seen is None else seen.what


@pytest.mark.parametrize("name", ["arithmetic", "owner/name", "owner/name:config@main", "openai/gsm8k:main"])
def test_the_train_split_is_the_default(name: str) -> None:
    assert use_train_split(manifest(DatasetSpec(name=name))).cells[0].dataset.split == "train"
    assert found(name) is None
    assert found(name, "test") is not None


@pytest.mark.parametrize("name", ["limo", "limo-v2", "mine.jsonl"])
def test_a_dataset_without_splits_is_taken_as_it_is(name: str) -> None:
    assert use_train_split(manifest(DatasetSpec(name=name))).cells[0].dataset.split is None
    assert found(name) is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("aime24", None),
        ("gsm8k", None),
        ("data/math500.jsonl", None),
        ("HuggingFaceH4/aime_2024", None),
        ("yentinglin/aime_2025:default@main", "train"),
        ("math-ai/amc23", "test"),
        ("arithmetic", "test"),
        ("owner/name", "test[:10]"),
        ("owner/name", "Test"),
    ],
)
def test_a_benchmark_and_a_test_split_are_for_evaluation(name: str, split: str | None) -> None:
    assert found(name, split) is not None


def test_a_run_from_before_splits_were_named_has_the_split_that_it_read() -> None:
    old = manifest(DatasetSpec(name="arithmetic"), datasets={"arithmetic": {"split": "test"}})
    assert find_split(old, old.cells[0].dataset) == "test"
    assert use_train_split(old).cells[0].dataset.split == "test"


def test_a_copy_of_a_benchmark_is_known_by_its_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = load("arithmetic", count=4).problems
    known = contamination.hash_lists({"aime24": rows[:2]})
    monkeypatch.setattr(contamination, "load_hashes", lambda: known)
    assert found("mine.jsonl", problems=rows) == "most problems of mine.jsonl are of aime24"
    assert found("mine.jsonl", problems=(*rows, *load("arithmetic", count=1, split="train").problems)) is None


def test_synthesis_takes_the_train_split_and_says_so(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert main(["synth", "--dataset", "arithmetic", *TEACHER, "--out", str(out)]) == 0
    assert "arithmetic: generated, train split" in (out / "README.md").read_text()
    assert json.loads((out / "manifest.json").read_text())["origins"][0]["splits"] == {"arithmetic": "train"}
    assert json.loads((out / "run" / "manifest.json").read_text())["cells"][0]["dataset"]["split"] == "train"
    rows = (out / "train.jsonl").read_text().splitlines()
    assert all("-train-" in json.loads(row)["problem_id"] for row in rows)
    assert "evaluation problems" not in (out / "README.md").read_text()


def test_a_test_split_needs_a_flag_wherever_it_comes_from(tmp_path: Path, capsys: Capture) -> None:
    run, out, recipe = str(tmp_path / "run"), str(tmp_path / "out"), tmp_path / "r.toml"
    assert main(["eval", "arithmetic", *TEACHER, "--out", run]) == 0
    recipe.write_text(
        'datasets = [{ name = "arithmetic", split = "test", count = 2 }]\nsamples = 1\n'
        '[[models]]\nmodel = "arithmetic-teacher"\n[[strategies]]\nname = "cot"\n'
    )
    sources = (
        ["--dataset", "arithmetic", "--split", "test", *TEACHER],
        ["--from", run],
        [str(recipe)],
        [f"{run}/manifest.json"],
    )
    for number, source in enumerate(sources):
        for more in ([], ["--dry-run"]):
            capsys.readouterr()
            assert main(["synth", *source, "--out", out, *more]) == 2
            assert "the test split of arithmetic" in (said := capsys.readouterr().err)
            assert "--allow-test-split" in said
            assert not Path(out).exists()
        allowed = tmp_path / f"allowed{number}"
        assert main(["synth", *source, "--out", str(allowed), "--allow-test-split"]) == 0
        assert (
            "**These are evaluation problems** (it is the test split of arithmetic)"
            in (allowed / "README.md").read_text()
        )


def test_a_benchmark_is_refused_before_it_is_loaded(tmp_path: Path, capsys: Capture) -> None:
    for name in ("aime24", "gsm8k", "HuggingFaceH4/aime_2024", "nowhere/aime25.jsonl"):
        assert main(["synth", "--dataset", name, "--model", "q", "--out", str(tmp_path / "out")]) == 2
        assert "--allow-test-split" in capsys.readouterr().err


def test_a_benchmark_that_is_allowed_is_no_contamination_of_itself(tmp_path: Path, capsys: Capture) -> None:
    run, out = str(tmp_path / "aime24.jsonl"), str(tmp_path / "out")
    rows = [{"id": f"a{n}", "problem": each.text, "answer": each.answer}
            for n, each in enumerate(load("arithmetic", count=3).problems)]  # fmt: skip
    Path(run).write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["synth", "--dataset", run, "--model", "arithmetic-teacher", "--samples", "1", "--out", out]
    assert main(words) == 2
    assert "is the benchmark aime24" in capsys.readouterr().err
    assert main([*words, "--allow-test-split"]) == 0
