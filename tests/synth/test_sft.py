"""Recipes, what they come to, the folder of a training and the command line: nothing here needs torch."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.synth.models import write_rows

from scale_reasoning.cli import main
from scale_reasoning.engines.connection import ModelSpec, find_family
from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import profile_for
from scale_reasoning.runs.recipes import list_shipped
from scale_reasoning.synth import folder as folders
from scale_reasoning.synth.extra import library
from scale_reasoning.synth.filters import WINDOW
from scale_reasoning.synth.folder import Job
from scale_reasoning.synth.launch import MODULE, find_config, make_command, make_machine_command, write_config
from scale_reasoning.synth.prompt import LearnedPrompt, find_prompt, read_prompt
from scale_reasoning.synth.rows import TrainingRow
from scale_reasoning.synth.sft import Recipe, read, recipe
from scale_reasoning.synth.trace import LIMO, name_prompts_file
from scale_reasoning.types import Message, Mode

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
        limo = made(gpus=found.gpus, machines=found.machines, attention="flash_attention_2")
        assert found == replace(limo, model=found.model, rows=found.rows, cutoff=WINDOW)
        assert (found.machines, found.gpus) == ((2, 16) if "70b" in file.stem or "72b" in file.stem else (1, 8))


def test_there_is_a_recipe_for_each_base_model_of_table_3():
    assert len([file for file in RECIPES if "limo" in file.stem]) == 4


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"over_cutoff": "cut"}, "a trace that is cut has lost its answer.*raise cutoff.*or leave the key out"),
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


def test_several_machines_have_equal_shares_and_are_sharded():
    with pytest.raises(ConfigError, match="gpus = 8 must be a multiple of machines = 3"):
        made(gpus=8, machines=3)
    with pytest.raises(ConfigError, match='sharding = "zero3": several machines need "fsdp2"'):
        made(gpus=16, machines=2, sharding="zero3")


def test_a_job_of_before_cutting_was_dropped_is_read_but_one_that_cuts_is_told_what_to_do(tmp_path: Path):
    job = Job(recipe=made(), rows_sha256="ab", place="base")
    folders.write(tmp_path, job)
    stored = json.loads((tmp_path / "sft.json").read_text())
    for key in ("profile", "prompt_sha256"):
        del stored[key]
    del stored["recipe"]["machines"]
    (tmp_path / "sft.json").write_text(json.dumps(stored))
    assert folders.read(tmp_path) == job
    stored["recipe"]["over_cutoff"] = "cut"
    (tmp_path / "sft.json").write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="leave the key out, which drops longer rows"):
        folders.read(tmp_path)


def with_accelerate(words: list[str]) -> Any:
    """The launcher's arguments after it has read its configuration."""
    pytest.importorskip("accelerate")
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    parsed = launch_command_parser().parse_args(words)
    return parsed, load_config_from_file(parsed.config_file)


@pytest.mark.parametrize("sharding", ["fsdp2", "zero3"])
def test_accelerates_own_loader_reads_the_configurations(sharding: str):
    words = make_command(made(gpus=8, sharding=sharding), Path("out"))
    parsed, config = with_accelerate(words[3:])
    assert (parsed.num_processes, parsed.module, parsed.training_script) == (8, True, "scale_reasoning.synth.train")
    assert (config.distributed_type, config.num_machines) == ({"fsdp2": "FSDP", "zero3": "DEEPSPEED"}[sharding], 1)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_accelerates_own_loader_reads_the_configuration_of_several_machines(tmp_path: Path, method: str):
    recipe = made(gpus=16, machines=2, method=method)
    write_config(recipe, tmp_path)
    said = make_machine_command(tmp_path).replace("MACHINE", "1").replace("ADDRESS", "10.0.0.1")
    words = shlex.split(said)
    assert words[:2] == ["accelerate", "launch"]
    parsed, config = with_accelerate(words[2:])
    assert (parsed.machine_rank, parsed.main_process_ip) == (1, "10.0.0.1")
    assert parsed.training_script_args == [str(tmp_path)]
    assert (config.num_machines, config.num_processes, config.main_process_port) == (2, 16, 29500)
    assert config.distributed_type == "FSDP"
    assert config.fsdp_config["fsdp_activation_checkpointing"] == (method == "full")


def test_accelerate_starts_an_eighth_of_the_processes_with_its_rank_on_each_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("accelerate")
    import accelerate.commands.launch as launch

    write_config(made(gpus=16, machines=2), tmp_path)
    words = shlex.split(make_machine_command(tmp_path).replace("MACHINE", "1").replace("ADDRESS", "10.0.0.1"))[2:]
    started: list[Any] = []
    monkeypatch.setattr(launch, "multi_gpu_launcher", started.append)
    launch.launch_command(launch.launch_command_parser().parse_args(words))
    (args,) = started
    assert (args.num_machines, args.num_processes, args.machine_rank, args.use_fsdp) == (2, 16, 1, True)


def test_a_job_is_read_back_as_it_was_written(tmp_path: Path):
    job = Job(recipe=made(gpus=8), rows_sha256="ab", place="base", window=32768, versions={"trl": "1"},
              profile="traces", prompt_sha256="cd")  # fmt: skip
    folders.write(tmp_path / "new", job)
    assert folders.read(tmp_path / "new") == job


def test_a_launched_process_that_fails_says_why_and_exits_with_1(tmp_path: Path):
    words = [sys.executable, "-m", MODULE, str(tmp_path / "none")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"scale: error: {tmp_path / 'none'} has no training")


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
    served, here = [line.strip() for line in said.splitlines() if "scale eval" in line]
    assert served.endswith("--base-url http://127.0.0.1:8000/v1 --profile traces")
    assert here.endswith("--model runs/scale-sft-x")
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


def trained(folder: Path, **more: Any) -> Path:
    folders.write(folder, Job(recipe=made(), rows_sha256="ab", place="base", done=True, **more))
    return folder


def test_a_fine_tuned_models_family_is_in_its_folder_whatever_its_name(tmp_path: Path):
    folder = trained(tmp_path / "qwen2.5-32b-mine", profile=folders.PROFILE)
    assert find_family(ModelSpec(model=str(folder))).name == "traces"
    assert find_family(ModelSpec(model=str(folder / "checkpoints" / "checkpoint-20"))).name == "traces"
    assert find_family(ModelSpec(model=str(folder), profile="qwen3")).name == "qwen3"
    assert find_family(ModelSpec(model="qwen2.5-32b-mine")).name == "qwen2.5"


def test_a_folder_that_names_no_family_is_known_by_its_name(tmp_path: Path):
    old = trained(tmp_path / "qwen2.5-32b-old")
    assert find_family(ModelSpec(model=str(old))).name == "qwen2.5"
    for text in ("", "[]", "{", '{"profile": 3}', "\xff"):
        (old / "sft.json").write_text(text, encoding="latin-1")
        assert find_family(ModelSpec(model=str(old))).name == "qwen2.5"
    assert find_family(ModelSpec(model="x" * 5000)).name == "instruct"
    assert find_family(ModelSpec(model="a\0b")).name == "instruct"


def asked(system: str, solve: str, problem: str, line: int = 1) -> TrainingRow:
    turns = (*((Message("system", system),) if system else ()), Message("user", solve.replace("{{problem}}", problem)))
    return TrainingRow(line=line, prompt=turns, completion="2", problem=problem)


def test_the_prompt_of_the_rows_is_found_and_written_where_it_is_not_cots_own(tmp_path: Path):
    own, limo = read_prompt(), read_prompt(str(name_prompts_file(LIMO)))
    for prompt in (own, limo):
        rows = [asked(prompt.system, prompt.solve, problem) for problem in ("1+1?", "What is step by step?", "2")]
        assert find_prompt(rows) == prompt
    folders.write_prompt(tmp_path, own)
    assert not (tmp_path / folders.PROMPTS).exists()
    folders.write_prompt(tmp_path, limo)
    assert read_prompt(str(tmp_path / folders.PROMPTS)) == limo
    said = folders.explain_use(tmp_path, Job(recipe=made(), rows_sha256="ab", place="base"))
    assert said.count(f"--prompts {tmp_path / folders.PROMPTS}") == 2


@pytest.mark.parametrize(
    "rows",
    [
        [asked("", "{{problem}} A", "1+1?"), asked("", "{{problem}} B", "1+2?")],
        [replace(asked("", "{{problem}}", "1+1?"), problem=None)],
        [asked("", "Say hello.", "1+1?")],
        [asked("", "{{problem}} {{problem}}", "1+1?")],
    ],
)
def test_the_prompt_of_rows_that_have_none_in_common_is_unknown(rows: list[TrainingRow]):
    assert find_prompt(rows) is None


def test_a_prompt_that_a_file_cannot_hold_is_not_written(tmp_path: Path):
    folders.write_prompt(tmp_path, LearnedPrompt(system="", solve="## a\n{{problem}}"))
    folders.write_prompt(tmp_path, LearnedPrompt(system="", solve=" {{problem}} "))
    assert not (tmp_path / folders.PROMPTS).exists()


def test_a_model_is_told_of_where_it_would_get_another_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["eval", "arithmetic", "--limit", "1", "--strategy", "cot", "--dry-run", "--model"]
    limo = read_prompt(str(name_prompts_file(LIMO)))
    folder = trained(tmp_path / "mine", profile=folders.PROFILE, prompt_sha256=limo.sha256)
    folders.write_prompt(folder, limo)
    assert main([*words, str(folder)]) == 0
    file = folder / folders.PROMPTS
    assert (
        f"{folder} was trained with another prompt than it gets here: add --prompts {file}" in capsys.readouterr().err
    )
    assert main([*words, str(folder), "--prompts", str(file)]) == 0
    assert "another prompt" not in capsys.readouterr().err
    plain = trained(tmp_path / "plain", profile=folders.PROFILE, prompt_sha256=read_prompt().sha256)
    assert main([*words, str(plain)]) == 0
    assert "another prompt" not in capsys.readouterr().err
    assert main([*words, str(plain), "--prompts", str(file)]) == 0
    assert "leave --prompts out" in capsys.readouterr().err


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
    assert main(written(tmp_path)) == 2
    assert "pip install 'scale-reasoning[sft]'" in capsys.readouterr().err
    assert main([*written(tmp_path), "--dry-run"]) == 0  # a dry run estimates without the library, and says so
    assert "pip install 'scale-reasoning[sft]'" in capsys.readouterr().out


def test_flags_override_the_recipe_and_are_checked_like_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = written(tmp_path)
    assert main([*words, "--gpus", "6"]) == 2
    assert "gpus = 1, 2, 4" in capsys.readouterr().err
    assert main([*words, "--gpus", "0"]) == 2
    assert "--gpus 0: Expected `int` >= 1" in capsys.readouterr().err
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
