"""The Hub's library is replaced by a table of the same shape; where it is installed, it reads local data."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from scale_reasoning.datasets import hub, load
from scale_reasoning.datasets.benchmarks import BENCHMARKS
from scale_reasoning.datasets.hub import HubSplit
from scale_reasoning.datasets.rows import make_problems
from scale_reasoning.errors import ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Installs a Hub whose answer to every question is the last item, of which it keeps the questions."""
    asked: list[Any] = []

    def load_dataset(*where: str | None, **options: str | None) -> Any:
        rows = asked.pop()
        asked.append((*where, options))
        if isinstance(rows, Exception):
            raise rows
        return rows

    def dataset_info(repo: str, *, revision: str | None) -> Any:
        return SimpleNamespace(sha=COMMIT)

    fake, api = ModuleType("datasets"), ModuleType("huggingface_hub")
    fake.load_dataset = load_dataset
    api.HfApi = lambda: SimpleNamespace(dataset_info=dataset_info)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setitem(sys.modules, "huggingface_hub", api)
    return asked


def test_gsm8k_is_read_at_its_commit_and_its_answer_follows_the_hashes(asked: list[Any]):
    asked.append([{"question": f"q{i}", "answer": f"work <<1+1=2>>\n#### {i}"} for i in range(1319)])
    dataset = load("gsm8k", count=2)
    commit = "740312add88f781978c0658806c59bc2815b9866"
    assert asked == [("openai/gsm8k", "main", {"split": "test", "revision": commit})]
    assert [(row.id, row.text, row.answer) for row in dataset.problems] == [
        ("gsm8k-test-0000", "q0", "0"),
        ("gsm8k-test-0001", "q1", "1"),
    ]
    assert dataset.source["revision"] == commit
    assert dataset.source["wording"] is None


def test_ids_on_the_hub_say_which_benchmark_they_are_of(asked: list[Any]):
    rows = [{"unique_id": f"test/precalculus/{i}.json", "problem": f"p{i}", "answer": "1"} for i in range(500)]
    asked.append(rows)
    assert load("math500").problems[7].id == "math500-precalculus-7"
    asked[:] = [[{"id": i, "question": f"q{i}", "answer": 27.0} for i in range(40)]]
    problem = load("amc23").problems[3]
    assert (problem.id, problem.answer) == ("amc23-3", "27")


def test_a_benchmark_of_another_size_is_refused(asked: list[Any]):
    asked.append([{"id": i, "problem": f"p{i}", "answer": "1"} for i in range(29)])
    with pytest.raises(ConfigError, match="aime24 has 30 problems, but hub:HuggingFaceH4/aime_2024 has 29"):
        load("aime24")


def test_any_name_on_the_hub_is_resolved_to_a_commit_that_is_recorded(asked: list[Any]):
    asked.append([{"question": "1+1?", "answer": 2}])
    dataset = load("some-one/sums.v2:easy@main", split="train")
    assert asked == [("some-one/sums.v2", "easy", {"split": "train", "revision": COMMIT})]
    assert dataset.source["revision"] == COMMIT
    assert dataset.source["origin"] == "hub:some-one/sums.v2"


def test_a_commit_is_taken_as_it_is(asked: list[Any]):
    del sys.modules["huggingface_hub"]
    asked.append([{"question": "1+1?", "answer": 2}])
    given = "f" * 40
    assert load(f"a/b@{given}").source["revision"] == given


def test_a_hub_that_cannot_be_reached_is_said_so(asked: list[Any]):
    asked.append(ConnectionError("no route\nmore"))
    named = r"HuggingFaceH4/MATH-500@6e4e\w+ \(test\) cannot be read .*: no route; or use a local copy"
    with pytest.raises(ConfigError, match=named):
        load("math500")


def test_a_bad_row_on_the_hub_is_named_by_its_number(asked: list[Any]):
    asked.append([{"question": "a", "answer": 2}, {"question": "b", "answer": None}])
    with pytest.raises(ConfigError, match=r"a/b@0123\w+ \(test\), row 2: 'answer' is missing"):
        load("a/b")


def test_a_control_character_on_the_hub_is_refused_with_its_row_and_field(asked: list[Any]):
    asked.append([{"question": "a", "answer": 2}, {"question": "\frac12", "answer": 2}])
    with pytest.raises(ConfigError, match=r"row 2: 'question' holds a control character .* write \\\\frac"):
        load("a/b")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_without_the_library_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'scale-reasoning\[data\]', or give --data-dir"):
        load(name)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_pinned_to_a_commit_and_knows_a_wording(name: str):
    benchmark = BENCHMARKS[name]
    assert hub.COMMIT.fullmatch(benchmark.source.revision or "")
    assert all(len(bytes.fromhex(digest)) == 32 for digest in benchmark.texts)


def test_a_folder_without_the_benchmarks_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"has no aime25\.jsonl"):
        load("aime25", data_dir=tmp_path)


def test_a_file_of_another_size_is_refused(tmp_path: Path):
    row = json.dumps({"id": "one", "problem": "?", "answer": "1"})
    (tmp_path / "amc23.jsonl").write_text(row, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"amc23 has 40 problems, but .*amc23\.jsonl has 1$"):
        load("amc23", data_dir=tmp_path)


def test_the_real_library_reads_local_data(tmp_path: Path):
    pytest.importorskip("datasets")
    (tmp_path / "test.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n', encoding="utf-8")
    (row,) = hub.read(HubSplit(repo=str(tmp_path)))
    assert row.fields == {"question": "1+1?", "answer": "2"}


def test_the_real_librarys_floats_are_spelled_as_they_were_written(tmp_path: Path):
    pytest.importorskip("datasets")
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for kind in (arrow.float32(), arrow.float64()):
        answers = arrow.array([0.1, 1e-05, 27.0], kind)
        parquet.write_table(arrow.table({"question": ["a", "b", "c"], "answer": answers}), tmp_path / "test.parquet")
        problems = make_problems(hub.read(HubSplit(repo=str(tmp_path))), "here")
        assert [problem.answer for problem in problems] == ["0.1", "0.00001", "27"]
