"""Recipes, what they come to, the folder of a training and the command line: nothing here needs torch."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.synth.models import write_rows

from scale_reasoning.cli import main
from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import profile_for
from scale_reasoning.runs.recipes import list_shipped
from scale_reasoning.synth import folder as folders
from scale_reasoning.synth.extra import library
from scale_reasoning.synth.folder import Job
from scale_reasoning.synth.launch import find_config, make_command
from scale_reasoning.synth.sft import Recipe, read, recipe
from scale_reasoning.types import Mode

RECIPES = [file for name, file in list_shipped().items() if name.startswith("sft-")]
LEAST = {"model": "base", "rows": "train.jsonl"}


def made(**more: Any) -> Recipe:
    return recipe({**LEAST, **more}, "here")


def test_the_defaults_are_limos_settings():
    least = made()
    assert (least.learning_rate, least.schedule, least.warmup_steps, least.epochs) == (5e-6, "cosine", 0, 15)
    assert (least.cutoff, least.global_batch, least.method) == (16384, 64, "full")


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_recipe_that_ships_can_be_read(file: Path):
    found = read(file)
    if "limo" in file.stem:
        assert found == replace(made(gpus=8, attention="flash_attention_2"), model=found.model, rows=found.rows)


def test_there_is_a_recipe_for_each_base_model_of_table_3():
    assert len([file for file in RECIPES if "limo" in file.stem]) == 4


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"learning_rat": 1}, "unknown key 'learning_rat'; known: attention, "),
        ({"sharding": "ddp"}, r"Invalid enum value 'ddp' - at `\$\.sharding`"),
        ({"epochs": 0}, r"`\$\.epochs`"),
        ({"cutoff": "long"}, r"`\$\.cutoff`"),
        ({"model": ""}, "model is missing"),
        ({"rows": ""}, "rows is missing: name the rows in the recipe, or with --rows"),
    ],
)
def test_what_a_recipe_cannot_mean_is_refused_by_its_key(said: dict[str, Any], complaint: str):
    with pytest.raises(ConfigError, match=f"here: .*{complaint}"):
        made(**said)


@pytest.mark.parametrize(("gpus", "device_batch", "accumulation"), [(1, 1, 64), (8, 1, 8), (8, 4, 2), (4, 16, 1)])
def test_accumulation_makes_up_the_global_batch(gpus: int, device_batch: int, accumulation: int):
    assert made(gpus=gpus, device_batch=device_batch).accumulation == accumulation


@pytest.mark.parametrize(
    ("said", "works"),
    [
        ({"gpus": 8, "device_batch": 3}, "device_batch = 1, 2, 4 or 8 on 8 GPUs"),
        ({"gpus": 6}, "gpus = 1, 2, 4, 8, 16, 32 or 64 with device_batch = 1"),
        ({"gpus": 6, "device_batch": 2}, "gpus = 1, 2, 4, 8, 16 or 32 with device_batch = 2"),
        ({"gpus": 6, "device_batch": 5}, "gpus = 1, 2, 4, 8, 16, 32 or 64 with device_batch = 1"),
    ],
)
def test_an_indivisible_batch_is_refused_with_what_works(said: dict[str, int], works: str):
    with pytest.raises(ConfigError, match=works):
        made(**said)


def test_the_last_step_of_an_epoch_may_be_smaller():
    limo = made(gpus=8)
    assert (limo.steps_per_epoch(800), limo.total_steps(800)) == (13, 195)
    assert made(steps=7).total_steps(800) == 7
    assert made(epochs=0.5, global_batch=8).total_steps(24) == 2


def test_one_gpu_has_nothing_to_share():
    assert (made().shared_by, made(gpus=2).shared_by) == ("none", "fsdp2")


def test_activations_are_recomputed_by_one_of_them():
    assert made().checkpointed_by == "trainer"
    assert made(gpus=8).checkpointed_by == "fsdp"
    assert made(gpus=8, method="lora").checkpointed_by == "trainer"
    assert made(gpus=8, sharding="zero3").checkpointed_by == "trainer"
    assert made(gpus=8, gradient_checkpointing=False).checkpointed_by == "nobody"


def test_the_command_names_the_configuration_that_ships():
    words = make_command(made(gpus=8), Path("out"))
    assert find_config("fsdp2").exists()
    assert words[words.index("--config_file") + 1] == str(find_config("fsdp2"))
    assert words[words.index("--num_processes") + 1] == "8"
    assert words[-3:] == ["--module", "scale_reasoning.synth.train", "out"]
    assert "--fsdp_activation_checkpointing" in make_command(made(gpus=8, method="lora"), Path("out"))
    assert "--multi_gpu" in make_command(made(gpus=8, sharding="none"), Path("out"))


def test_a_job_is_read_back_as_it_was_written(tmp_path: Path):
    job = Job(recipe=made(gpus=8), rows_sha256="ab", place="base", window=32768, versions={"trl": "1"})
    folders.write(tmp_path / "new", job)
    assert folders.read(tmp_path / "new") == job


def test_a_folder_without_a_job_or_with_another_formats_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="has no training"):
        folders.read(tmp_path)
    (tmp_path / folders.JOB).write_text('{"format": 2}')
    with pytest.raises(ConfigError, match="format 2; this version reads 1"):
        folders.read(tmp_path)
    (tmp_path / folders.JOB).write_text('{"format": 1}')
    with pytest.raises(ConfigError, match="recipe"):
        folders.read(tmp_path)


def test_what_would_make_going_on_another_training_is_named():
    old = Job(recipe=made(), rows_sha256="ab", place="base")
    new = Job(recipe=made(seed=1, keep_checkpoints=9), rows_sha256="cd", place="base")
    assert folders.list_changes(old, old) == []
    assert folders.list_changes(old, new) == ["seed: was 0, is 1", "rows: the file's content has changed"]


def checkpoint(folder: Path, step: int, state: str | None, *random_states: str) -> Path:
    made = folder / "checkpoints" / f"checkpoint-{step}"
    made.mkdir(parents=True)
    if state is not None:
        (made / "trainer_state.json").write_text(state)
    for name in random_states:
        (made / name).touch()
    return made


def test_a_checkpoint_left_half_way_is_not_whole(tmp_path: Path):
    whole = [checkpoint(tmp_path, step, "{}", "rng_state.pth") for step in (9, 10)]
    halves = [
        checkpoint(tmp_path, 11, None, "rng_state.pth"),
        checkpoint(tmp_path, 12, '{"global_st', "rng_state.pth"),
        checkpoint(tmp_path, 13, "{}"),
    ]
    assert folders.find_checkpoints(tmp_path, 1) == (whole, halves)


def test_every_process_must_have_saved_its_part(tmp_path: Path):
    whole = checkpoint(tmp_path, 1, "{}", "rng_state_0.pth", "rng_state_1.pth")
    half = checkpoint(tmp_path, 2, "{}", "rng_state_0.pth")
    assert folders.find_checkpoints(tmp_path, 2) == ([whole], [half])


def test_how_to_use_the_model_is_said_as_commands_that_exist(tmp_path: Path):
    job = Job(recipe=made(), rows_sha256="ab", place="base", window=32768)
    said = folders.explain_use(Path("runs/scale-sft-x"), job)
    assert "vllm serve runs/scale-sft-x --served-model-name scale-sft-x --max-model-len 32768" in said
    lines = [line.split() for line in said.splitlines() if line.strip().startswith("scale eval")]
    assert len(lines) == 2
    for words in lines:
        rows = tmp_path / "aime24.jsonl"
        rows.write_text("".join(json.dumps({"id": i, "problem": f"{i}?", "answer": "1"}) + "\n" for i in range(30)))
        assert main([*words[1:], "--dry-run", "--data-dir", str(tmp_path)]) == 0


def test_a_fine_tuned_model_thinks_and_is_told_nothing_more():
    for name in ("runs/scale-sft-limo-qwen2.5-32b", "me/qwen3-8b-traces", "scale-sft-smollm2"):
        profile = profile_for(name)
        system2 = profile.mode(Mode.SYSTEM2)
        assert profile.name == "traces"
        assert profile.mode(Mode.SYSTEM1) is None
        assert system2 is not None
        assert (system2.suffix, system2.max_tokens, system2.starts_thinking) == ("", 32768, False)
        assert (system2.sampling.temperature, system2.sampling.top_p) == (0.6, 0.95)


def written(tmp_path: Path, **more: Any) -> list[str]:
    rows = write_rows(tmp_path / "train.jsonl", 3)
    lines = {"model": str(tmp_path / "base"), "rows": str(rows), **more}
    file = tmp_path / "sft-mine.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))
    return ["sft", str(file)]


def test_a_missing_library_is_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'scale-reasoning\[sft\]'"):
        library("transformers")
    for more in ([], ["--dry-run"]):
        assert main([*written(tmp_path), *more]) == 2
        assert "pip install 'scale-reasoning[sft]'" in capsys.readouterr().err


def test_flags_override_the_recipe_and_are_checked_like_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = written(tmp_path)
    assert main([*words, "--gpus", "6"]) == 2
    assert "gpus = 1, 2, 4" in capsys.readouterr().err
    assert main([*words, "--rows", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: No such file" in capsys.readouterr().err
    assert main(["sft", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_a_bad_row_stops_everything_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = written(tmp_path)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"messages": []}\n')
    assert main(words) == 2
    assert "train.jsonl, line 4: the last message must be the assistant's" in capsys.readouterr().err
