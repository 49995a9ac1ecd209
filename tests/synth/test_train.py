"""A tiny model of random weights learns traces on the CPU: it is saved, resumed, loaded and asked."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.synth import models

from scale_reasoning.cli import main
from scale_reasoning.errors import ConfigError
from scale_reasoning.synth import folder as folders
from scale_reasoning.synth.extra import quiet
from scale_reasoning.synth.launch import find_config, make_command
from scale_reasoning.synth.rows import read
from scale_reasoning.synth.sft import recipe
from scale_reasoning.synth.tokens import Examples, tokenise
from scale_reasoning.synth.weights import dequantise, load_pretrained

pytestmark = [pytest.mark.sft, pytest.mark.skipif(find_spec("trl") is None, reason="needs the sft extra")]

STEPS, ROWS = 8, 20
SETTINGS = {
    "learning_rate": 1e-2, "lora_learning_rate": 1e-2, "cutoff": 256, "global_batch": 8, "device_batch": 4,
    "steps": STEPS, "save_every": 2, "keep_checkpoints": 4,
}  # fmt: skip
"""Five batches an epoch: every third step is made of one."""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*where: Any) -> None:
        raise AssertionError(f"a connection to {where[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refused)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, rows and a recipe for them."""
    folder = tmp_path_factory.mktemp("sft")
    models.save(folder / "base")
    models.write_rows(folder / "train.jsonl", ROWS)
    table = {"model": str(folder / "base"), "rows": str(folder / "train.jsonl"), **SETTINGS}
    (folder / "tiny.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items()))
    return folder


def sft(written: Path, out: Path, *flags: str) -> int:
    return main(["sft", str(written / "tiny.toml"), "--out", str(out), *flags])


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / folders.LOSS).read_text().splitlines()]


def model_of(folder: Path) -> Any:
    return load_pretrained("AutoModelForCausalLM", str(folder))


def examples(written: Path) -> Examples:
    tokenizer = load_pretrained("AutoTokenizer", str(written / "base"))
    return tokenise(read(written / "train.jsonl").rows, tokenizer, cutoff=256)


@pytest.fixture(scope="module")
def trained(written: Path) -> Path:
    out = written / "scale-sft-tiny"
    assert sft(written, out) == 0
    return out


def test_the_loss_falls_and_every_step_is_logged(trained: Path):
    found = losses(trained)
    assert len(found) == STEPS
    assert found[-1] < 0.85 * found[0]


def test_the_model_is_loaded_generates_and_stops_where_its_turn_ends(trained: Path):
    model, tokenizer = model_of(trained), load_pretrained("AutoTokenizer", str(trained))
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.generation_config.eos_token_id[0] == tokenizer.eos_token_id
    assert tokenizer.chat_template == models.PLAIN
    turns = [{"role": "user", "content": "What is 1+1?"}]
    shown = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt")
    made = model.generate(**shown, max_new_tokens=5, do_sample=False)
    assert shown["input_ids"].shape[1] < made.shape[1] <= shown["input_ids"].shape[1] + 5


def test_the_folder_says_what_was_done_and_how_to_use_it(trained: Path):
    job = folders.read(trained)
    assert job.done
    assert job.versions.keys() == {"torch", "transformers", "trl", "peft", "accelerate"}
    assert job.rows_sha256 == read(Path(job.recipe.rows)).sha256
    assert "vllm serve" in (trained / folders.USE).read_text()


def test_the_folder_says_which_family_and_prompt_the_model_has(trained: Path):
    job = folders.read(trained)
    assert (job.profile, job.prompt_sha256) == ("traces", None)  # these rows do not name their problems


def test_several_machines_get_a_folder_and_commands_and_the_resume_ends_what_they_trained(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "two"
    flags = ("--gpus", "2", "--machines", "2")
    assert sft(written, out, *flags) == 0
    said = capsys.readouterr().out
    assert f"--config_file {out / 'accelerate.yaml'} --machine_rank MACHINE --main_process_ip ADDRESS" in said
    assert f"--machines 2 --gpus 2 --out {out} --resume" in said
    assert not folders.read(out).done
    assert sft(written, out, *flags, "--resume") == 0
    assert not folders.read(out).done
    (out / "model.safetensors").touch()  # as the processes save it
    assert sft(written, out, *flags, "--resume") == 0
    assert folders.read(out).done
    assert "scale eval" in (out / folders.USE).read_text()


def test_a_dry_run_on_several_machines_says_how_they_share_and_start(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "two"
    assert sft(written, out, "--gpus", "2", "--machines", "2", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "x 2 GPUs of 2 machines" in said
    assert "--machine_rank MACHINE" in said
    assert not out.exists()


def test_the_first_loss_is_that_of_the_completions_alone(trained: Path, written: Path):
    import torch

    model = model_of(written / "base")
    whole, learned = list[float](), list[float]()
    for example in examples(written).kept:
        ids = torch.tensor([example.input_ids])
        for values, labels in ((whole, ids), (learned, torch.tensor([example.labels]))):
            with torch.no_grad():
                values.append(float(model(input_ids=ids, labels=labels).loss))
    # of random weights all tokens are about equally likely: the two differ little, and the log must tell them apart
    assert abs(sum(whole) / ROWS - sum(learned) / ROWS) > 0.01
    assert losses(trained)[0] == pytest.approx(sum(learned) / ROWS, abs=0.01)


def test_what_was_killed_goes_on_as_if_it_had_not_been(trained: Path, written: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "killed"
    shutil.copytree(trained, out)
    job = json.loads((out / folders.JOB).read_text())
    (out / folders.JOB).write_text(json.dumps({**job, "done": False}))
    shutil.rmtree(out / "checkpoints" / "checkpoint-8")
    (out / "checkpoints" / "checkpoint-6" / "trainer_state.json").unlink()
    (out / "model.safetensors").unlink()
    assert sft(written, out) == 2
    assert "it holds a training; add --resume" in capsys.readouterr().err
    assert sft(written, out, "--resume") == 0
    said = capsys.readouterr().err
    assert "checkpoint-6 is incomplete: removed" in said
    assert "resuming from" in said
    assert "checkpoint-4" in said
    assert losses(out) == losses(trained)
    ours, theirs = model_of(out).state_dict(), model_of(trained).state_dict()
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


def test_a_checkpoint_of_the_last_step_does_not_make_another_step(trained: Path, written: Path, tmp_path: Path):
    out = tmp_path / "late"
    shutil.copytree(trained, out)
    job = json.loads((out / folders.JOB).read_text())
    (out / folders.JOB).write_text(json.dumps({**job, "done": False}))
    assert sft(written, out, "--resume") == 0
    assert losses(out) == losses(trained)


def test_what_is_done_is_not_done_again(trained: Path, written: Path, capsys: Any):
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert sft(written, trained, "--resume") == 0
    assert "vllm serve" in capsys.readouterr().out
    assert (trained / "model.safetensors").stat().st_mtime_ns == before


def test_another_training_does_not_go_on_in_the_folder(trained: Path, written: Path, capsys: Any):
    assert sft(written, trained, "--resume", "--lora") == 2
    assert "the training has changed since it began: method: was full, is lora" in capsys.readouterr().err


def test_a_folder_with_other_things_in_it_is_not_written_to(written: Path, capsys: Any):
    assert sft(written, written) == 2
    assert "not empty and holds no training" in capsys.readouterr().err


def test_an_adapter_is_kept_and_merged(written: Path, tmp_path: Path):
    from peft import PeftModel

    out = tmp_path / "lora"
    assert sft(written, out, "--lora") == 0
    assert losses(out)[-1] < losses(out)[0]
    import torch

    with quiet():
        adapted = PeftModel.from_pretrained(model_of(written / "base"), str(out / "adapter"))
    ids = torch.tensor([examples(written).kept[0].input_ids])
    with torch.no_grad():
        merged, apart, base = (
            each(input_ids=ids).logits for each in (model_of(out), adapted, model_of(written / "base"))
        )
    assert torch.allclose(merged, apart, atol=1e-4)
    assert not torch.allclose(merged, base, atol=1e-2)


def test_packed_rows_are_learned_as_if_they_were_apart(written: Path, tmp_path: Path):
    from scale_reasoning.synth.train import count_packs

    table = {"model": str(written / "base"), "rows": str(written / "train.jsonl"), **SETTINGS}
    held = examples(written).kept
    packed = {**table, "packing": True, "global_batch": count_packs(held, 256), "device_batch": 1, "steps": 1}
    out = tmp_path / "packed"
    (tmp_path / "packed.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in packed.items()))
    assert main(["sft", str(tmp_path / "packed.toml"), "--out", str(out)]) == 0
    import torch

    model, total = model_of(written / "base"), 0.0
    for each in held:
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([each.input_ids]), labels=torch.tensor([each.labels])).loss
        total += float(loss) * len(each.learned)
    assert losses(out)[0] == pytest.approx(total / sum(len(each.learned) for each in held), abs=1e-4)


def test_a_dry_run_says_what_it_would_take(written: Path, capsys: Any):
    assert sft(written, written / "dry", "--dry-run", "--gpus", "2") == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    held = examples(written).kept
    assert said["rows"].startswith("20 of ")
    assert said["tokens"].startswith(f"{sum(len(each.learned) for each in held):,} learned, ")
    assert said["steps"] == "3 per epoch, 8 in all"
    assert said["parameters"] == f"{model_of(written / 'base').num_parameters():,}"
    assert "GiB per GPU" in said["memory"]
    assert "--num_processes 2" in said["command"]
    assert not (written / "dry").exists()


def test_a_dry_run_says_what_it_cannot_know(written: Path, capsys: Any):
    assert sft(written, written / "dry", "--dry-run", "--model", str(written / "nowhere")) == 0
    out = capsys.readouterr().out
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert said["parameters"] == said["memory"] == "unknown"
    assert said["tokens"].startswith("about ")
    assert said["steps"] == "about 3 per epoch, 8 in all"
    assert "nowhere" in said["unknown"]


def test_more_gpus_than_there_are_are_refused(written: Path, tmp_path: Path, capsys: Any):
    assert sft(written, tmp_path / "many", "--gpus", "2") == 2
    assert "gpus = 2: this machine has 0" in capsys.readouterr().err
    assert not (tmp_path / "many").exists()


def test_a_model_that_is_not_there_is_refused(written: Path, tmp_path: Path, capsys: Any):
    assert sft(written, tmp_path / "none", "--model", str(written / "nowhere")) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("sharding", ["fsdp2", "zero3"])
def test_accelerate_reads_the_configurations_that_ship(sharding: str):
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(find_config(sharding)))
    assert found.distributed_type == {"fsdp2": "FSDP", "zero3": "DEEPSPEED"}[sharding]
    assert found.mixed_precision == "bf16"


@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_that_share_the_model_learn_what_one_does(method: str, written: Path, tmp_path: Path):
    """FSDP2 between two CPU processes: what the launcher would tell GPUs, told to CPUs."""
    said = {"model": str(written / "base"), "rows": str(written / "train.jsonl"), **SETTINGS, "method": method}
    shared = recipe({**said, "gpus": 2, "device_batch": 2, "steps": 3}, "here")
    for out, asked in ((tmp_path / "two", shared), (tmp_path / "one", recipe({**said, "steps": 3}, "here"))):
        folders.write(out, folders.Job(recipe=asked, rows_sha256="", place=asked.model))
    script = str(Path(__file__).with_name("sharded_on_cpu.py"))
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", script]
    ended([*launcher, str(tmp_path / "two")], **launched(make_command(shared, tmp_path / "two")))
    ended(["scale_reasoning.synth.train", str(tmp_path / "one")])
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    from safetensors.torch import load_file

    file = "adapter/adapter_model.safetensors" if method == "lora" else "model.safetensors"
    ours, theirs = load_file(tmp_path / "two" / file), load_file(tmp_path / "one" / file)
    assert ours.keys() == theirs.keys() != set()
    assert all(bool((ours[name] - theirs[name]).abs().max() < 1e-4) for name in theirs)
    whole, _ = folders.find_checkpoints(tmp_path / "two", 2)
    assert [folders.read_step(each) for each in whole] == [2, 3]


def ended(module: list[str], **variables: str) -> None:
    """Runs a module to its good end; a launcher that is told to stop stops what it started."""
    environment = {**os.environ, **variables, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", *module], env=environment)
    try:
        assert process.wait(240) == 0
    finally:
        process.terminate()
        process.wait(30)


def launched(words: list[str]) -> dict[str, str]:
    """The variables that accelerate's launcher sets for the command's processes; CPUs only feign bfloat16."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    start = words.index("accelerate.commands.launch") + 1
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(words[start:]))
    found = prepare_multi_gpu_env(args)
    sharding = {key: str(found[key]) for key in found if key.startswith("FSDP_")}
    return {**sharding, "ACCELERATE_USE_FSDP": "true", "ACCELERATE_MIXED_PRECISION": "no"}


def test_the_model_in_the_box_becomes_a_folder_that_can_be_saved(tmp_path: Path):
    from scale_reasoning.engines.catalogue import SMOLLM2
    from scale_reasoning.engines.fetching import find

    file = find(SMOLLM2)
    if file is None:
        pytest.skip("the model in the box is not here: `scale fetch`")
    said: list[str] = []
    folder = dequantise(file, tmp_path, said.append)
    assert dequantise(file, tmp_path, said.append) == folder
    assert len(said) == 1
    model = model_of(folder)
    assert model.num_parameters() == 134_515_008
    assert not hasattr(model.config, "quantization_config")
    assert load_pretrained("AutoTokenizer", str(folder)).chat_template.count("<|im_start|>") > 0


def test_a_place_that_holds_no_model_is_said_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="AutoConfig cannot be loaded"):
        load_pretrained("AutoConfig", str(tmp_path))
