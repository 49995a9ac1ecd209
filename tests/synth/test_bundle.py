"""What is written of a funnel: rows, drops with reasons, counts that add up, a card, another trainer's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from tests.synth.made import PROBLEM, record, step

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.synth import bundle, funnel, llamafactory
from scale_reasoning.synth.collect import Origin
from scale_reasoning.synth.trace import LIMO, make_candidate, read_layout, read_student_prompts

EASY = step("How many does she buy?", text=r"She buys 2. \boxed{2}")
HARD = step("How many has she then?", text=r"She has \boxed{4}.", reasoning="2 and 2 are 4.")
KEPT = make_candidate("pens", PROBLEM, record((EASY, HARD), problem=PROBLEM), read_layout())
LONG = make_candidate("pens", PROBLEM, record((HARD,), problem=PROBLEM, sample=1), read_layout())


def made() -> funnel.Funnel:
    return funnel.run([KEPT, LONG], {"length": lambda left: [None if one is KEPT else "too long" for one in left]})


def origin(**source: Any) -> Origin:
    return Origin(
        run="run", planned=3, made=2, strategies=({"name": "scale", "tau": 0.5},), models=("teacher",), seed=7,
        datasets={"pens": {"origin": "generated", "rows": 1, **source}}, resolved={},
    )  # fmt: skip


def write(out: Path, one: Origin | None = None) -> list[str]:
    return bundle.write(out, made(), [one or origin()], student=read_student_prompts(), settings={"a": 1})


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_row_has_the_conversation_both_ways_and_what_is_known_of_its_steps(tmp_path: Path) -> None:
    write(tmp_path)
    (row,) = lines(tmp_path / "train.jsonl")
    assert row["messages"] == [*row["prompt"], *row["completion"]]
    assert row["completion"] == [{"role": "assistant", "content": KEPT.text}]
    assert row["prompt"][0]["content"].startswith(PROBLEM.text)
    assert (row["id"], row["answer"], row["found"], row["tokens"]) == ("pens/p1/0", "4", "4", 10)
    assert [(one["mode"], one["difficulty"], one["tokens"]) for one in row["steps"]] == [
        ("system1", 0.1, 5),
        ("system2", 0.9, 5),
    ]


def test_every_dropped_attempt_is_kept_with_its_stage_and_reason(tmp_path: Path) -> None:
    write(tmp_path)
    (row,) = lines(tmp_path / "dropped.jsonl")
    assert (row["stage"], row["reason"], row["sample"], row["text"]) == ("length", "too long", 1, LONG.text)


def test_the_counts_stand_in_the_manifest_and_on_the_card(tmp_path: Path) -> None:
    write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["funnel"] == [{"stage": "length", "came": 2, "dropped": 1, "kept": 1}]
    assert manifest["origins"][0]["seed"] == 7
    card = (tmp_path / "README.md").read_text()
    assert "| length | 2 | 1 | 1 |" in card
    assert "3 attempts were planned, 2 were made." in card
    assert "1 traces of 1 problems; median 10 response tokens" in card


def test_the_card_says_whose_the_problems_are_or_that_it_is_not_known(tmp_path: Path) -> None:
    write(tmp_path, origin(licence="MIT"))
    assert "license: mit\n" in (tmp_path / "README.md").read_text()
    write(tmp_path, origin(licence="the problems are another's"))
    assert "license: other\n" in (tmp_path / "README.md").read_text()
    write(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "license: other\n" in card
    assert "not stated by its source" in card


def test_parquet_holds_the_same_rows(tmp_path: Path) -> None:
    assert "train.parquet" in write(tmp_path)
    assert pyarrow.parquet.read_table(tmp_path / "train.parquet").to_pylist() == lines(tmp_path / "train.jsonl")


def test_the_hubs_library_reads_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path)
    table = datasets.load_dataset(
        "json", data_files=str(tmp_path / "train.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert table[0]["messages"][-1]["content"] == KEPT.text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        write(tmp_path / "file")


def factory(out: Path, **more: Any) -> dict[str, str]:
    settings = {
        "model": "Qwen/Qwen2.5-14B-Instruct",
        "gpus": 8,
        "prompts_file": "",
        "student": read_student_prompts(LIMO),
    }
    llamafactory.write(out, made().kept, **{**settings, **more})
    return {file.name: file.read_text() for file in (out / "llamafactory").iterdir()}


def test_llama_factorys_folder_is_complete_and_points_within_itself(tmp_path: Path) -> None:
    files = factory(tmp_path)
    assert set(files) == {"scale.json", "dataset_info.json", "ds_z3.json", "train.yaml", "prompts.md"}
    info = json.loads(files["dataset_info.json"])["scale"]
    assert info["file_name"] in files
    (row,) = json.loads(files["scale.json"])
    assert set(info["columns"].values()) == set(row)
    assert row["system"] == r"Please reason step by step, and put your final answer within \boxed{}."
    assert (row["instruction"], row["output"]) == (PROBLEM.text, KEPT.text)


@pytest.mark.parametrize(("gpus", "accumulation"), [(1, 64), (8, 8), (64, 1)])
def test_gpus_and_accumulation_make_a_global_batch_of_64(tmp_path: Path, gpus: int, accumulation: int) -> None:
    yaml = pytest.importorskip("yaml")
    settings = yaml.safe_load(factory(tmp_path, gpus=gpus)["train.yaml"])
    assert settings["gradient_accumulation_steps"] == accumulation
    assert (settings["learning_rate"], settings["num_train_epochs"], settings["cutoff_len"]) == (5e-6, 15, 16384)
    assert settings["deepspeed"] in ("ds_z3.json",)
    assert "warmup_ratio" not in settings


def test_gpus_that_do_not_divide_the_batch_are_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--gpus 3: .* 1, 2, 4, 8"):
        factory(tmp_path, gpus=3)


def test_a_llama_gets_its_own_template(tmp_path: Path) -> None:
    assert "template: llama3" in factory(tmp_path, model="meta-llama/Llama-3.3-70B-Instruct")["train.yaml"]


def test_a_models_name_cannot_break_the_training_file(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    name = 'a: "b" # c'
    assert yaml.safe_load(factory(tmp_path, model=name)["train.yaml"])["model_name_or_path"] == name
