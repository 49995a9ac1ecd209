"""What holds for every dataset in the table."""

import os
from pathlib import Path

import pytest

from scale_reasoning.datasets import DATASETS, Dataset, load
from scale_reasoning.datasets.benchmarks import BENCHMARKS
from scale_reasoning.errors import ConfigError

DATA = Path(os.environ.get("SCALE_SHARED", Path(__file__).parents[3] / "shared")) / "data"


def rows_of(name: str) -> int:
    return BENCHMARKS[name].problems if name in BENCHMARKS else {"everyday": 30}.get(name, 100)


@pytest.fixture(params=DATASETS, scope="module")
def dataset(request: pytest.FixtureRequest) -> Dataset:
    if request.param not in ("arithmetic", "everyday") and not (DATA / f"{request.param}.jsonl").is_file():
        pytest.skip(f"no {request.param}.jsonl in {DATA}")
    return load(request.param, data_dir=DATA)


def test_ids_are_unique_and_nothing_is_empty(dataset: Dataset):
    assert len({problem.id for problem in dataset.problems}) == len(dataset.problems) == rows_of(dataset.name)
    for problem in dataset.problems:
        assert problem.id.strip()
        assert problem.text.strip()
        assert problem.answer
        assert problem.answer.strip()


def test_loading_again_gives_the_same(dataset: Dataset):
    assert load(dataset.name, data_dir=DATA) == dataset


def test_a_smaller_count_is_a_prefix(dataset: Dataset):
    few = load(dataset.name, data_dir=DATA, count=7)
    assert few.problems == dataset.problems[:7]
    assert few.source["rows"] == 7
    assert few.source["sha256"] != dataset.source["sha256"]


def test_the_source_says_how_many_rows_and_their_hash(dataset: Dataset):
    assert dataset.source["rows"] == len(dataset.problems)
    assert dataset.source["origin"]
    for hashed in ("sha256", "text_sha256"):
        assert len(bytes.fromhex(dataset.source[hashed])) == 32


def test_an_option_that_a_dataset_lacks_is_refused(dataset: Dataset):
    with pytest.raises(ConfigError, match=f"{dataset.name} has no option problem_field"):
        load(dataset.name, data_dir=DATA, problem_field="x")


def test_no_dataset_has_less_than_one_problem(dataset: Dataset):
    with pytest.raises(ConfigError, match="number of problems must be at least 1, not 0"):
        load(dataset.name, data_dir=DATA, count=0)


@pytest.mark.parametrize(
    ("name", "told"), [("aime-24", "aime24"), ("MATH500", "math500"), ("aritmetic", "arithmetic"), ("zzz", "gsm8k")]
)
def test_an_unknown_name_is_answered_with_those_there_are(name: str, told: str):
    with pytest.raises(ConfigError, match=told) as caught:
        load(name)
    assert ("did you mean" in str(caught.value)) == (name != "zzz")


def test_a_file_that_is_not_there_is_no_name_on_the_hub():
    with pytest.raises(ConfigError, match=r"data/my\.jsonl: no such file"):
        load("data/my.jsonl")
