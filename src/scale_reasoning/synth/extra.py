"""Imports torch, transformers, TRL, PEFT and accelerate.

A missing library is reported with the extra to install. Telemetry is switched off.
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
    """The module. Raises `ConfigError` that names the extra to install."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # for child processes
    try:
        constants: Any = import_module("huggingface_hub.constants")
        constants.HF_HUB_DISABLE_TELEMETRY = True  # the variable may have been read already
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"fine-tuning needs {name} ({error}): pip install 'scale-reasoning[sft]'") from error


def versions() -> dict[str, str]:
    """The installed version of each library."""
    return {name: str(library(name).__version__) for name in LIBRARIES}


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Hides the libraries' warnings and progress bars."""
    for name in ("transformers.utils.logging", "datasets.utils.logging"):
        log = library(name)
        log.set_verbosity_error()
        log.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
