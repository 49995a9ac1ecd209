"""The folder of a fine-tuned model: the job (sft.json), the losses, and how to serve and evaluate the model.

A training process gets only this folder, so a resumed training has the job that it began with. Decides which
checkpoints are complete.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

from scale_reasoning.engines.trained import JOB
from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import write_file
from scale_reasoning.synth.prompt import LearnedPrompt, is_readable, read_prompt
from scale_reasoning.synth.sft import Recipe, recipe
from scale_reasoning.types import JSON

LOSS, USE, PROMPTS = "loss.jsonl", "README.md", "prompts.md"
PROFILE = "traces"
"""The family of a model that is trained here: it thinks by itself, and gets its prompt without any words more."""
FORMAT = 1
BENCHMARK = "aime24"
LOGGED = ("step", "epoch", "loss", "learning_rate", "grad_norm", "mean_token_accuracy")
"""The logged values that are kept. The trainer's token count is not: it starts again in every process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training: its recipe, the sha256 of its file of rows, the base model's weights and window (tokens), the
    libraries' versions. `profile` is the family that the model is evaluated as (profiles.toml), `prompt_sha256` the
    hash of the prompt that all rows have, None where it is unknown. `done` is true once the model is in the folder.
    """

    recipe: Recipe
    rows_sha256: str
    place: str
    window: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    profile: str | None = None
    prompt_sha256: str | None = None
    done: bool = False
    format: int = FORMAT


def write(folder: Path, job: Job) -> None:
    """Writes the job into the folder. Raises `StoreError`."""
    _write_text(folder / JOB, json.dumps(asdict(job), indent=2) + "\n")


def read(folder: Path) -> Job:
    """Reads the job. Raises `ConfigError` for a folder without a training, or with another format."""
    file = folder / JOB
    try:
        said: dict[str, Any] = json.loads(file.read_bytes())
        if said.get("format") != FORMAT:
            raise ConfigError(f"{file}: format {said.get('format')}; this version reads {FORMAT}")
        return msgspec.convert({**said, "recipe": recipe(said["recipe"], str(file))}, Job)
    except OSError as error:
        raise ConfigError(f"{folder} has no training: {JOB}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def list_changes(old: Job, new: Job) -> list[str]:
    """The differences that a resume must not have, one line each. `keep_checkpoints` may differ."""
    lines = [
        f"{name}: was {getattr(old.recipe, name)}, is {getattr(new.recipe, name)}"
        for name in (each.name for each in fields(Recipe))
        if name not in ("keep_checkpoints", "rows") and getattr(old.recipe, name) != getattr(new.recipe, name)
    ]
    return lines if old.rows_sha256 == new.rows_sha256 else [*lines, "rows: the file's content has changed"]


def find_checkpoints(folder: Path, gpus: int) -> tuple[list[Path], list[Path]]:
    """The complete checkpoints in order, and the incomplete ones that a killed process left.

    The trainer writes its own state last, and every process the state of its random numbers.
    """
    found = [each for each in (folder / "checkpoints").glob("checkpoint-*") if each.name.rpartition("-")[2].isdigit()]
    found.sort(key=read_step)
    whole = [each for each in found if _is_complete(each, gpus)]
    return whole, [each for each in found if each not in whole]


def read_step(checkpoint: Path) -> int:
    """The step after which a checkpoint was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def _is_complete(checkpoint: Path, gpus: int) -> bool:
    random_states = ["rng_state.pth"] if gpus == 1 else [f"rng_state_{rank}.pth" for rank in range(gpus)]
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return all((checkpoint / each).exists() for each in random_states)


def has_model(folder: Path, recipe: Recipe) -> bool:
    """Whether the folder has what a training saves last: the weights, or the adapter."""
    place = folder / "adapter" if recipe.method == "lora" else folder
    return any(place.glob("*.safetensors"))


def write_prompt(folder: Path, prompt: LearnedPrompt | None) -> None:
    """Writes the prompt that the rows have as a prompts file, where it is not the cot strategy's own."""
    file = folder / PROMPTS
    if prompt is None or prompt == read_prompt():
        return
    _write_text(file, prompt.write())
    if not is_readable(prompt, str(file)):
        file.unlink()


def _write_text(file: Path, text: str) -> None:
    """Writes a file atomically, with its folder. Raises `StoreError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, text.encode())
    except OSError as error:
        raise StoreError(f"{file}: {error}") from error


def write_losses(folder: Path, history: list[dict[str, JSON]]) -> None:
    """Writes the losses: one JSON object per logged step."""
    lines = [{key: each.get(key) for key in LOGGED} for each in history if "loss" in each]
    _write_text(folder / LOSS, "".join(json.dumps(line) + "\n" for line in lines))


def explain_use(folder: Path, job: Job) -> str:
    """The commands that serve and evaluate the model."""
    name, window = folder.resolve().name, ["--window", str(job.window)] if job.window else []
    length = ["--max-model-len", str(job.window)] if job.window else []
    prompts = ["--prompts", str(folder / PROMPTS)] if (folder / PROMPTS).exists() else []
    evaluate = ["scale", "eval", BENCHMARK, "--strategy", "cot", *prompts, *window, "--model"]
    served = ["vllm", "serve", str(folder), "--served-model-name", name, *length]
    return (
        f"Serve it and evaluate it:\n\n"
        f"    {shlex.join(served)}\n"
        f"    {shlex.join([*evaluate, name, '--base-url', 'http://127.0.0.1:8000/v1', '--profile', PROFILE])}\n\n"
        f"A server tells only the name, so --profile {PROFILE} says there that nothing is added to the prompt.\n\n"
        f"Or evaluate it without a server; {JOB} has its profile:\n\n"
        f"    {shlex.join([*evaluate, str(folder)])}\n"
    )


def write_readme(folder: Path, job: Job) -> None:
    """Writes the folder's README."""
    how = "LoRA, merged (the adapter is in adapter/)" if job.recipe.method == "lora" else "full fine-tuning"
    _write_text(
        folder / USE,
        f"# {folder.resolve().name}\n\n{job.recipe.model}, {how} on {job.recipe.rows} "
        f"(sha256 {job.rows_sha256}). {JOB} has the recipe and the versions, {LOSS} the losses.\n\n"
        f"{explain_use(folder, job)}",
    )
