"""The folder of a fine-tuned model: what was asked (sft.json), how it went, and how to serve and evaluate it.

The folder is the job: a training process is handed it and nothing else, so a training that was cut off goes on with
what it began with. Knows which checkpoints are whole.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import write_file
from scale_reasoning.synth.sft import Recipe, recipe
from scale_reasoning.types import JSON

JOB, LOSS, USE = "sft.json", "loss.jsonl", "README.md"
FORMAT = 1
BENCHMARK = "aime24"
LOGGED = ("step", "epoch", "loss", "learning_rate", "grad_norm", "mean_token_accuracy")
"""Of what the trainer logs; its count of tokens begins anew with every process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training: its recipe, the sha256 of its rows' file, the base model's place and window (tokens), the libraries'
    versions. `done` once the model is in the folder.
    """

    recipe: Recipe
    rows_sha256: str
    place: str
    window: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    done: bool = False
    format: int = FORMAT


def write(folder: Path, job: Job) -> None:
    """Says in the folder what is asked. Raises `StoreError`."""
    _write_text(folder / JOB, json.dumps(asdict(job), indent=2) + "\n")


def read(folder: Path) -> Job:
    """What was asked. Raises `ConfigError` where there is no training, or one of another format."""
    file = folder / JOB
    try:
        said: dict[str, Any] = json.loads(file.read_bytes())
        if said.get("format") != FORMAT:
            raise ConfigError(f"{file}: format {said.get('format')}; this version reads {FORMAT}")
        return msgspec.convert({**said, "recipe": recipe(said["recipe"], str(file))}, Job)
    except OSError as error:
        raise ConfigError(f"{folder} holds no training: {JOB}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def changes(old: Job, new: Job) -> list[str]:
    """What would make going on another training; one line each. How many checkpoints are kept may change."""
    lines = [
        f"{name}: was {getattr(old.recipe, name)}, is {getattr(new.recipe, name)}"
        for name in (each.name for each in fields(Recipe))
        if name not in ("keep_checkpoints", "rows") and getattr(old.recipe, name) != getattr(new.recipe, name)
    ]
    return lines if old.rows_sha256 == new.rows_sha256 else [*lines, "rows: the file's content has changed"]


def checkpoints(folder: Path, gpus: int) -> tuple[list[Path], list[Path]]:
    """The whole checkpoints from first to last, and those that a killed process left half-way.

    The trainer writes its state last, and every process the state of its random numbers.
    """
    found = [each for each in (folder / "checkpoints").glob("checkpoint-*") if each.name.rpartition("-")[2].isdigit()]
    found.sort(key=step_of)
    whole = [each for each in found if _whole(each, gpus)]
    return whole, [each for each in found if each not in whole]


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def _whole(checkpoint: Path, gpus: int) -> bool:
    random_states = ["rng_state.pth"] if gpus == 1 else [f"rng_state_{rank}.pth" for rank in range(gpus)]
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return all((checkpoint / each).exists() for each in random_states)


def _write_text(file: Path, text: str) -> None:
    """Writes a file atomically, with its folder. Raises `StoreError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, text.encode())
    except OSError as error:
        raise StoreError(f"{file}: {error}") from error


def log(folder: Path, history: list[dict[str, JSON]]) -> None:
    """Writes the losses so far: a JSON object a logged step."""
    lines = [{key: each.get(key) for key in LOGGED} for each in history if "loss" in each]
    _write_text(folder / LOSS, "".join(json.dumps(line) + "\n" for line in lines))


def use(folder: Path, job: Job) -> str:
    """How to serve and evaluate the model, as commands."""
    name, window = folder.resolve().name, ["--window", str(job.window)] if job.window else []
    length = ["--max-model-len", str(job.window)] if job.window else []
    evaluate = ["scale", "eval", BENCHMARK, "--strategy", "cot", "--profile", "traces", *window, "--model"]
    served = ["vllm", "serve", str(folder), "--served-model-name", name, *length]
    return (
        f"Serve it and evaluate it:\n\n"
        f"    {shlex.join(served)}\n"
        f"    {shlex.join([*evaluate, name, '--base-url', 'http://127.0.0.1:8000/v1'])}\n\n"
        f"Or evaluate it without a server:\n\n"
        f"    {shlex.join([*evaluate, str(folder)])}\n"
    )


def introduce(folder: Path, job: Job) -> None:
    """Writes the folder's README: what this model is, and how to use it."""
    how = "LoRA, merged (the adapter is in adapter/)" if job.recipe.method == "lora" else "full fine-tuning"
    _write_text(
        folder / USE,
        f"# {folder.resolve().name}\n\n{job.recipe.model}, {how} on {job.recipe.rows} "
        f"(sha256 {job.rows_sha256}). {JOB} has the recipe and the versions, {LOSS} the losses.\n\n{use(folder, job)}",
    )
