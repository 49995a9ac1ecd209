"""A bundle on its way to the Hub: the one place that writes there. Private, for the problems may be another's."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from scale_reasoning.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check(repo: str) -> None:
    """Raises ConfigError when the library is missing or this is no dataset's name."""
    if not _NAME.fullmatch(repo):
        raise ConfigError(f"--push {repo}: must be OWNER/NAME")
    _library()


def push(out: Path, repo: str) -> str:
    """Puts the bundle on the Hub as a private dataset, without the run it was made from; its address.

    Raises ConfigError when the library is missing, nobody is logged in, or the Hub refuses.
    """
    api = _library().HfApi()
    try:
        address = api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=out, ignore_patterns=["run/*", "*.part"])
    except Exception as error:  # the library's own kinds, those of its HTTP client, and the system's
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(f"--push {repo}: {reason}; log in with `hf auth login`, the bundle stays in {out}") from error
    return str(address)


def _library() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise ConfigError("--push needs huggingface_hub: pip install 'scale-reasoning[data]'") from error
