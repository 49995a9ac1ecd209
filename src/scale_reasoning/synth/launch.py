"""The command that starts one training process per GPU, with accelerate's launcher.

On several machines the user starts it on each of them, with a configuration that is written into the folder.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from scale_reasoning.errors import StoreError
from scale_reasoning.files import write_file
from scale_reasoning.synth.sft import Recipe

CONFIG = "accelerate.yaml"
MODULE = "scale_reasoning.synth.train"
PORT = 29500
"""The port of machine 0 at which the processes find each other."""


def make_command(recipe: Recipe, folder: Path) -> list[str]:
    """The command as a list. Every process reads the job from the folder (train.py)."""
    if recipe.shared_by == "none":
        sharing = ["--multi_gpu", "--mixed_precision", "bf16", "--num_machines", "1", "--dynamo_backend", "no"]
    else:
        sharing = ["--config_file", str(find_config(recipe.shared_by))]
    if recipe.shared_by == "fsdp2" and recipe.checkpointed_by != "fsdp":
        sharing += ["--fsdp_activation_checkpointing", "false"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *sharing, "--num_processes", str(recipe.gpus)]
    return [*launcher, "--module", MODULE, str(folder)]


def write_config(recipe: Recipe, folder: Path) -> Path:
    """Writes the accelerate configuration of a training on several machines into its folder. Raises `StoreError`."""
    text = find_config(recipe.shared_by).read_text(encoding="utf-8")
    counts = f"num_machines: {recipe.machines}\nnum_processes: {recipe.gpus}\nmain_process_port: {PORT}"
    text = text.replace("num_machines: 1", counts)
    if recipe.checkpointed_by != "fsdp":
        text = text.replace("fsdp_activation_checkpointing: true", "fsdp_activation_checkpointing: false")
    try:
        write_file(folder / CONFIG, text.encode())
    except OSError as error:
        raise StoreError(f"{folder / CONFIG}: {error}") from error
    return folder / CONFIG


def make_machine_command(folder: Path) -> str:
    """The command for each machine, in which MACHINE is its number from 0 and ADDRESS that of machine 0."""
    config = shlex.quote(str(folder / CONFIG))
    launcher = f"accelerate launch --config_file {config} --machine_rank MACHINE --main_process_ip ADDRESS"
    return f"{launcher} --module {MODULE} {shlex.quote(str(folder))}"


def find_config(sharding: str) -> Path:
    """The accelerate configuration in the package for a way of sharding."""
    return Path(__file__).parent / "sharding" / f"{sharding}.yaml"
