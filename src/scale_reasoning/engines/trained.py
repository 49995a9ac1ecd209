"""What `scale sft` says of a model in its own folder: its family, and the prompt that it was trained with.

Reads sft.json, of the model's folder or of the training that a checkpoint is of. A folder without one says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scale_reasoning.files import read_bounded

JOB = "sft.json"
MOST_BYTES = 1 << 20
"""The largest sft.json."""
_CHECKPOINT = re.compile(r"checkpoint-\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The name of the family (profiles.toml), and the sha256 (hex) of the prompt; None where the folder has none."""

    profile: str | None = None
    prompt_sha256: str | None = None


def read_trained(model: str | None) -> Trained:
    """What the folder of a fine-tuned model says of it. Never raises: it may be no folder, or another program's."""
    if not model:
        return Trained()
    try:
        folder = Path(model).resolve()
        if _CHECKPOINT.fullmatch(folder.name):
            folder = folder.parent.parent
        return msgspec.json.decode(read_bounded(folder / JOB, MOST_BYTES), type=Trained)
    except (OSError, ValueError, RuntimeError):  # msgspec's errors are ValueErrors; a loop of links is a RuntimeError
        return Trained()
