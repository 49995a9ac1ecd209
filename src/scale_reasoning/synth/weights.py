"""Finds the weights of a base model: a folder, a name on the Hub, or the embedded model as a transformers folder.

The embedded model's file has quantised weights for llama.cpp. They are dequantised once, into the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scale_reasoning.engines import fetching
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.errors import ConfigError, first_line
from scale_reasoning.files import workspace
from scale_reasoning.synth.extra import library, quiet

EMBEDDED = ("smollm2", "embedded")


def find_weights(model: str, say: Callable[[str], None]) -> str:
    """What transformers loads for a recipe's `model`: the same, or a folder in the cache for the embedded model."""
    if model.lower() not in EMBEDDED:
        return model
    file = fetching.fetch(SMOLLM2, fetching.Reporter(say=say))
    return str(dequantise(file, fetching.cache(), say))


def find_local_weights(model: str) -> str:
    """The same without a download. Raises `ConfigError` where one is needed."""
    if model.lower() not in EMBEDDED:
        return model
    folder = _cache_folder(fetching.cache(), Path(SMOLLM2.file))
    if not (folder / "config.json").exists():
        raise ConfigError(f"model {model}: its weights are not in {folder} yet; the first training writes them")
    return str(folder)


def dequantise(file: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """A transformers folder, in float32, of a GGUF file; written atomically into `cache` where it is missing."""
    folder = _cache_folder(cache, file)
    if (folder / "config.json").exists():
        return folder
    transformers = library("transformers")
    say(f"dequantising {file.name} for training (540 MB, once) into {folder}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with workspace(cache, ".weights-") as part, quiet():
            source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
            _load_unquantised(transformers, source).save_pretrained(part / "model")
            transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(part / "model")
            (part / "model").rename(folder)
    except OSError as error:
        if not (folder / "config.json").exists():  # another process may have made it meanwhile
            raise ConfigError(f"the model's weights could not be stored in {folder}: {error}") from error
    return folder


def _cache_folder(cache: Path, file: Path) -> Path:
    return cache / f"{file.stem}-{SMOLLM2.sha256[:12]}"


def load_pretrained(
    kind: str, place: str, revision: str | None = None, *, here_only: bool = False, **options: Any
) -> Any:
    """Loads an AutoTokenizer, AutoConfig or AutoModelForCausalLM (`kind`); `here_only` without a download. Raises
    `ConfigError`.
    """
    if here_only:
        options["local_files_only"] = True
    try:
        return getattr(library("transformers"), kind).from_pretrained(place, revision=revision, **options)
    except (
        OSError,
        ValueError,
        ImportError,
        KeyError,
    ) as error:  # transformers raises these
        if here_only and isinstance(error, OSError):
            raise ConfigError(
                f"model {place}: its {kind.removeprefix('Auto').lower()} is not on this machine"
            ) from error
        raise ConfigError(f"model {place}: {kind} cannot be loaded: {first_line(error)}") from error


def _load_unquantised(transformers: Any, source: dict[str, str]) -> Any:
    """The model without quantisation, because transformers refuses to save a model from a GGUF file."""
    quantised = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype="float32")
    config = quantised.config
    del config.quantization_config
    model = transformers.AutoModelForCausalLM.from_config(config, dtype="float32")
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    return model
