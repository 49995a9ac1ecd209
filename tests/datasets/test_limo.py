"""LIMO's sets are read from a folder here; the Hub's library has a row of the same fields in its place."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from scale_reasoning.datasets import load
from scale_reasoning.datasets.limo import SOURCES
from scale_reasoning.errors import ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROW = {"question": "What is two and two?", "solution": "Two and two make four, so 4.", "answer": "4"}


@pytest.mark.parametrize("name", SOURCES)
def test_a_local_copy_is_read_by_question_and_answer(name: str, tmp_path: Path):
    (tmp_path / f"{name}.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    dataset = load(name, data_dir=tmp_path)
    (problem,) = dataset.problems
    assert (problem.text, problem.answer) == (ROW["question"], "4")
    assert dataset.source["licence"] == SOURCES[name].licence


@pytest.mark.parametrize("name", SOURCES)
def test_from_the_hub_the_commit_that_was_read_is_recorded(name: str, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def load_dataset(repo: str, config: str | None, **options: str | None) -> list[dict[str, str]]:
        asked.append((repo, options))
        return [ROW]

    datasets, api = ModuleType("datasets"), ModuleType("huggingface_hub")
    datasets.load_dataset = load_dataset
    api.HfApi = lambda: SimpleNamespace(dataset_info=lambda repo, *, revision: SimpleNamespace(sha=COMMIT))
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    monkeypatch.setitem(sys.modules, "huggingface_hub", api)
    source = load(name).source
    assert asked == [(SOURCES[name].source.repo, {"split": "train", "revision": COMMIT})]
    assert (source["revision"], source["split"], source["rows"]) == (COMMIT, "train", 1)


def test_a_solution_never_stands_in_for_a_missing_answer(tmp_path: Path):
    row = {key: value for key, value in ROW.items() if key != "answer"}
    (tmp_path / "limo.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no field 'answer'"):
        load("limo", data_dir=tmp_path)


def test_a_folder_without_the_set_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"limo-v2\.jsonl: no such file"):
        load("limo-v2", data_dir=tmp_path)
