"""The one way to torch, transformers, TRL, PEFT and accelerate: what is missing is the extra to install, and none of
them reports home.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Generator
from importlib import import_module
from typing import Any

from scale_reasoning.errors import ConfigError

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")


def library(name: str) -> Any:
    """The module. Raises `ConfigError` that names the extra."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # for processes that are launched from here
    try:
        constants: Any = import_module("huggingface_hub.constants")
        constants.HF_HUB_DISABLE_TELEMETRY = True  # the variable may have been read before
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"fine-tuning needs {name} ({error}): pip install 'scale-reasoning[sft]'") from error


def versions() -> dict[str, str]:
    """Which versions of the libraries are here."""
    return {name: str(library(name).__version__) for name in LIBRARIES}


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Libraries that deprecate one another's arguments, and draw bars, do so to no one here."""
    for name in ("transformers.utils.logging", "datasets.utils.logging"):
        log = library(name)
        log.set_verbosity_error()
        log.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
