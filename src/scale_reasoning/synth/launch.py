"""The command that starts a training process on each GPU: accelerate's launcher, with the sharding that ships."""

from __future__ import annotations

import sys
from pathlib import Path

from scale_reasoning.synth.sft import Recipe


def command(recipe: Recipe, folder: Path) -> list[str]:
    """The words of the command. Every process reads the folder's job (synth.train)."""
    if recipe.shared_by == "none":
        sharing = ["--multi_gpu", "--mixed_precision", "bf16", "--num_machines", "1", "--dynamo_backend", "no"]
    else:
        sharing = ["--config_file", str(config(recipe.shared_by))]
    if recipe.shared_by == "fsdp2" and recipe.checkpointed_by != "fsdp":
        sharing += ["--fsdp_activation_checkpointing", "false"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *sharing, "--num_processes", str(recipe.gpus)]
    return [*launcher, "--module", "scale_reasoning.synth.train", str(folder)]


def config(sharding: str) -> Path:
    """The accelerate configuration that ships for a way of sharding."""
    return Path(__file__).parent / "sharding" / f"{sharding}.yaml"
