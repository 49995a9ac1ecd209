"""Where a base model's weights are: a folder, a name on the Hub, or the model in the box as a transformers folder.

The packaged file holds quantised weights for llama.cpp; here they are dequantised once, into the cache. Knows nothing
of training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scale_reasoning.engines import smollm2
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import workspace
from scale_reasoning.synth.extra import library, quiet

EMBEDDED = ("smollm2", "embedded")


def place_of(model: str, say: Callable[[str], None]) -> str:
    """What transformers loads for a recipe's `model`: itself, or a folder in the cache for the model in the box."""
    return str(dequantised(smollm2.fetch(say), smollm2.cache(), say)) if model.lower() in EMBEDDED else model


def place_if_here(model: str) -> str:
    """The same where nothing need be fetched or unpacked for it. Raises `ConfigError` where something must be."""
    if model.lower() not in EMBEDDED:
        return model
    folder = _unpacked(smollm2.cache(), Path(smollm2.FILE))
    if not (folder / "config.json").exists():
        raise ConfigError(f"model {model}: its weights are not in {folder} yet; the first training puts them there")
    return str(folder)


def dequantised(file: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """A transformers folder, in float32, of a GGUF file; made in `cache` where it is not there yet, at a stroke."""
    folder = _unpacked(cache, file)
    if (folder / "config.json").exists():
        return folder
    transformers = library("transformers")
    say(f"dequantising {file.name} for training (540 MB, once) into {folder}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with workspace(cache, ".weights-") as part, quiet():
            source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
            _plain(transformers, source).save_pretrained(part / "model")
            transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(part / "model")
            (part / "model").rename(folder)
    except OSError as error:
        if not (folder / "config.json").exists():  # another process may have made it meanwhile
            raise ConfigError(f"the model's weights could not be stored in {folder}: {error}") from error
    return folder


def _unpacked(cache: Path, file: Path) -> Path:
    return cache / f"{file.stem}-{smollm2.SHA256[:12]}"


def loaded(kind: str, place: str, revision: str | None = None, **options: Any) -> Any:
    """`kind` (AutoTokenizer, AutoConfig, AutoModelForCausalLM) from a place. Raises `ConfigError`."""
    try:
        return getattr(library("transformers"), kind).from_pretrained(place, revision=revision, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:  # what transformers raises for what it cannot have
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(f"model {place}: {kind} cannot be had: {reason}") from error


def _plain(transformers: Any, source: dict[str, str]) -> Any:
    """The model as if it had never been quantised: one that comes from a GGUF refuses to be saved."""
    quantised = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype="float32")
    config = quantised.config
    del config.quantization_config
    model = transformers.AutoModelForCausalLM.from_config(config, dtype="float32")
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    return model
