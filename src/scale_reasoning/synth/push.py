"""Uploads a bundle to the Hub as a private dataset, because its problems may belong to others."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from scale_reasoning.errors import ConfigError, first_line

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check(repo: str) -> None:
    """Raises ConfigError when the library is missing or `repo` is not the name of a dataset."""
    if not _NAME.fullmatch(repo):
        raise ConfigError(f"--push {repo}: must be OWNER/NAME")
    _library()


def push(out: Path, repo: str) -> str:
    """Uploads the bundle, without its run, and returns its address.

    Raises ConfigError when the library is missing, the user is not logged in, or the Hub refuses.
    """
    api = _library().HfApi()
    try:
        address = api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=out, ignore_patterns=["run/*", "*.part"])
    except Exception as error:  # the library's own kinds, those of its HTTP client, and the system's
        status = getattr(getattr(error, "response", None), "status_code", None)
        login = "; log in with hf auth login" if status in (401, 403) or "token" in str(error).lower() else ""
        raise ConfigError(f"--push {repo}: {first_line(error)}{login}; the bundle stays in {out}") from error
    return str(address)


def _library() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise ConfigError("--push needs huggingface_hub: pip install 'scale-reasoning[data]'") from error
