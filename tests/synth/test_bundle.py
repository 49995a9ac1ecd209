"""What is written of a funnel: rows, drops with reasons, counts that add up, a card, another trainer's files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from tests.synth.made import PROBLEM, record, step

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.synth import bundle, filters, funnel, llamafactory
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
    assert "3 attempts planned, 2 made." in card
    assert "1 trace of 1 problem; median 10 response tokens" in card


def test_the_card_names_what_tells_a_strategy_from_others_and_only_stages_that_dropped(tmp_path: Path) -> None:
    idle = replace(made(), counts=(funnel.Count(stage="correct", came=2, kept=2), *made().counts))
    bundle.write(tmp_path, idle, [origin()], student=read_student_prompts(), settings={"a": 1})
    card = (tmp_path / "README.md").read_text()
    assert "- scale (tau 0.5) with teacher, seed 7\n" in card
    assert "| correct |" not in card
    assert "Stages that dropped no attempt: correct." in card


def test_a_card_without_drops_has_no_empty_table_and_says_the_limit(tmp_path: Path) -> None:
    whole = replace(made(), counts=(funnel.Count(stage="correct", came=2, kept=2),))
    bundle.write(tmp_path, whole, [origin()], student=read_student_prompts(), settings={"max_tokens": 512})
    card = (tmp_path / "README.md").read_text()
    assert (
        "3 attempts planned, 2 made. A row has at most 512 tokens.\n\nStages that dropped no attempt: correct." in card
    )
    assert "| stage |" not in card


def test_where_nothing_is_left_the_stage_is_named_with_an_example() -> None:
    none = funnel.run([KEPT, LONG], {"length": lambda left: ["too long" for _ in left]})
    assert funnel.explain_empty(none) == (
        "the stage 'length' dropped 2 of the 2 that came to it, for example pens/p1/0: too long"
    )
    assert funnel.explain_empty(funnel.run([], {})) == "no attempt was made"


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
        "prompts_file": LIMO,
        "student": read_student_prompts(LIMO),
    }
    llamafactory.write(out, more.pop("kept", made().kept), **{**settings, **more})
    return {file.name: file.read_text() for file in (out / "llamafactory").iterdir()}


def test_llama_factorys_folder_is_complete_and_points_within_itself(tmp_path: Path) -> None:
    files = factory(tmp_path)
    names = {"scale.json", "dataset_info.json", "ds_z3.json", "train.yaml", "prompts.md", "left_out.json"}
    assert set(files) == names
    assert json.loads(files["left_out.json"]) == []
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


@pytest.mark.parametrize(
    ("model", "template"),
    [
        ("Qwen/Qwen2.5-14B-Instruct", "qwen"),
        ("Qwen/Qwen2.5-Math-7B-Instruct", "qwen"),
        ("models/Qwen2-1.5B-Instruct", "qwen"),
        ("Qwen/Qwen3-32B", "qwen3"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", "qwen3"),
        ("Qwen/Qwen3-4B-Instruct-2507", "qwen3_nothink"),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", "qwen3_nothink"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama3"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("mistralai/Mistral-Nemo-Instruct-2407", "ministral"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "mistral_small"),
        ("mistralai/Mistral-Small-3.2-24B-Instruct-2506", "mistral_small"),
        ("google/gemma-2-9b-it", "gemma2"),
        ("google/gemma-3-1b-it", "gemma2"),
        ("google/gemma-3-27b-it", "gemma3"),
        ("google/gemma-7b-it", "gemma"),
        ("microsoft/phi-4", "phi4"),
        ("microsoft/Phi-4-mini-instruct", "phi4_mini"),
        ("microsoft/Phi-3.5-mini-instruct", "phi"),
        ("HuggingFaceTB/SmolLM2-1.7B-Instruct", "smollm2"),
    ],
)
def test_a_base_model_gets_the_template_of_its_family(model: str, template: str) -> None:
    assert llamafactory.find_template(model) == template


@pytest.mark.parametrize(
    "model",
    [
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "Qwen/Qwen3-VL-8B-Instruct",
        "Qwen/Qwen3.5-27B",
        "meta-llama/Llama-3.2-11B-Vision-Instruct",
        "mistralai/Ministral-3-8B-Instruct-2512",
        "me/my-model",
    ],
)
def test_a_base_model_of_no_known_family_is_refused_until_its_template_is_named(tmp_path: Path, model: str) -> None:
    with pytest.raises(ConfigError, match=rf"--base-model {model}: .*--template NAME \(qwen3_nothink, "):
        factory(tmp_path, model=model)
    assert "template: mine\n" in factory(tmp_path, model=model, template="mine")["train.yaml"]


def test_a_template_that_cannot_be_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="--template a: b: is no name"):
        llamafactory.find_template("x", "a: b")


def long_row(tokens: int, **more: Any) -> funnel.Candidate:
    return replace(KEPT, tokens=tokens, **more)


@pytest.mark.parametrize(("tokens", "cutoff"), [(10, 16384), (16384, 19456), (28000, 32768)])
def test_the_cut_off_holds_the_longest_row_with_its_prompt(tmp_path: Path, tokens: int, cutoff: int) -> None:
    yaml = pytest.importorskip("yaml")
    files = factory(tmp_path, kept=[KEPT, long_row(tokens)])
    assert yaml.safe_load(files["train.yaml"])["cutoff_len"] == cutoff
    assert len(json.loads(files["scale.json"])) == 2
    assert filters.count_row_tokens(long_row(tokens)) < cutoff


def test_rows_that_would_be_cut_or_broken_are_left_out_and_listed(tmp_path: Path) -> None:
    tagged = long_row(10, text=f"{KEPT.text}<|im_end|>")
    files = factory(tmp_path, kept=[KEPT, long_row(40_000), tagged])
    assert [row["output"] for row in json.loads(files["scale.json"])] == [KEPT.text]
    long, broken = json.loads(files["left_out.json"])
    assert (long["id"], long["reason"]) == ("pens/p1/0", "it may need 46,092 tokens, and the window is 32,768")
    assert broken["reason"] == "its trace has the control token <|im_end|>"
    roomy = factory(tmp_path, kept=[long_row(40_000)], model="meta-llama/Llama-3.3-70B-Instruct")
    assert json.loads(roomy["left_out.json"]) == []
    assert "cutoff_len: 47104\n" in roomy["train.yaml"]


@pytest.mark.parametrize("file", ["", LIMO])
def test_the_bundles_prompt_is_that_of_the_rows_and_its_file_is_beside_it(tmp_path: Path, file: str) -> None:
    files = factory(tmp_path, prompts_file=file, student=read_student_prompts(file))
    (row,) = json.loads(files["scale.json"])
    asked = bundle.make_row(KEPT, read_student_prompts(file))["prompt"]
    said = [{"role": "system", "content": row["system"]}] if row["system"] else []
    assert [*said, {"role": "user", "content": row["instruction"]}] == asked
    (tmp_path / "again.md").write_text(files["prompts.md"])
    assert read_student_prompts(str(tmp_path / "again.md")).sections == read_student_prompts(file).sections


def test_rows_that_a_stage_which_is_off_would_drop_are_named_on_the_card_and_in_the_manifest(tmp_path: Path) -> None:
    held = funnel.run([KEPT], {}, {"tags": lambda rows: ["a control token"] * len(rows)})
    bundle.write(tmp_path, held, [origin()], student=read_student_prompts(), settings={})
    marked = json.loads((tmp_path / "manifest.json").read_text())["marked"]
    assert marked == [{"id": "pens/p1/0", "stage": "tags", "reason": "a control token"}]
    assert "- tags: 1 (pens/p1/0)\n" in (tmp_path / "README.md").read_text()
    write(tmp_path / "other")
    assert "marked" not in json.loads((tmp_path / "other" / "manifest.json").read_text())


def test_a_models_name_cannot_break_the_training_file(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    name = 'a: "b" # c'
    assert yaml.safe_load(factory(tmp_path, model=name, template="qwen")["train.yaml"])["model_name_or_path"] == name
