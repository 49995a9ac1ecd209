"""The command that starts one training process per GPU, with accelerate's launcher."""

from __future__ import annotations

import sys
from pathlib import Path

from scale_reasoning.synth.sft import Recipe


def make_command(recipe: Recipe, folder: Path) -> list[str]:
    """The command as a list. Every process reads the job from the folder (train.py)."""
    if recipe.shared_by == "none":
        sharing = ["--multi_gpu", "--mixed_precision", "bf16", "--num_machines", "1", "--dynamo_backend", "no"]
    else:
        sharing = ["--config_file", str(find_config(recipe.shared_by))]
    if recipe.shared_by == "fsdp2" and recipe.checkpointed_by != "fsdp":
        sharing += ["--fsdp_activation_checkpointing", "false"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *sharing, "--num_processes", str(recipe.gpus)]
    return [*launcher, "--module", "scale_reasoning.synth.train", str(folder)]


def find_config(sharding: str) -> Path:
    """The accelerate configuration in the package for a way of sharding."""
    return Path(__file__).parent / "sharding" / f"{sharding}.yaml"
