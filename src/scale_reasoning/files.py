"""Reads only regular files of bounded size, and writes files atomically.

A device, a pipe or an endless file is refused before it is read. A file is written under a new random name, so that a
link that somebody put there is never followed. Windows has no flags that refuse links and pipes while a file is opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

from scale_reasoning import locks

_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
"""0 on Windows."""
HELD = ".held"
"""The file by whose lock a workspace is known to be in use."""
TOML_BYTES, TOML_DOTS = 1 << 20, 100
"""The limits of a recipe or a profiles file: bytes, and dots per line."""
NUMBER = re.compile(r"(?<![\w.])[0-9]+\.[0-9]+(?![\w.])")
ABANDONED_SECONDS = 3600
"""Age from which a workspace without that file counts as abandoned."""


def read_bounded(file: Path, most: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file. `follow` says whether the last part of its path may be a symbolic link.

    Raises OSError for anything else than a regular file (without waiting for one), and for over `most` bytes.
    """
    flags = os.O_RDONLY | _CLOEXEC | _NONBLOCK | (0 if follow else _NOFOLLOW)
    with os.fdopen(_open(file, flags), "rb", buffering=0) as opened:
        size = os.fstat(opened.fileno()).st_size
        content = bytearray()
        while len(content) <= most >= size and (piece := opened.read(min(size, most - len(content)) + 1)):
            content += piece
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, f"over {most:,} bytes", str(file))
    return bytes(content)


def read_toml(file: Path) -> dict[str, Any]:
    """The table in a TOML file.

    Raises OSError as `read_bounded` does for over `TOML_BYTES`, ValueError for what is not TOML or has a line with over
    `TOML_DOTS` dots outside numbers: a key of many parts takes the square of their number.
    """
    text = read_bounded(file, TOML_BYTES).decode()
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > TOML_DOTS and NUMBER.sub("", line).count(".") > TOML_DOTS:
            raise ValueError(f"line {number} has over {TOML_DOTS} dots outside numbers, and no key has so many parts")
    return tomllib.loads(text)


def why(error: Exception) -> str:
    """Why a file could not be read, for a message that names the file already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def open_regular(file: Path) -> IO[bytes]:
    """A regular file to read and write, created where it is missing; nothing in it is cut off. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | _CLOEXEC | _NONBLOCK | _NOFOLLOW
    return os.fdopen(_open(file, flags), "r+b", buffering=0)


def kind_of(mode: int) -> str:
    """What a file is by its mode, in words."""
    kinds = {
        stat.S_IFREG: "a regular file", stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "no regular file")


@contextlib.contextmanager
def replacing(file: Path) -> Generator[IO[bytes]]:
    """A new file that takes the place of `file` when the block ends, and is removed when it fails. Raises OSError."""
    part = file.with_name(f".{file.name[:100]}.{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC | _NOFOLLOW
    try:
        with os.fdopen(os.open(part, flags, 0o666), "wb") as opened:
            yield opened
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_file(file: Path, content: bytes) -> None:
    """Writes a file atomically. Raises OSError."""
    with replacing(file) as opened:
        opened.write(content)


@contextlib.contextmanager
def workspace(parent: Path, prefix: str) -> Generator[Path]:
    """A new folder in `parent`, removed at the end. Those that killed processes left there are removed first.

    Raises OSError.
    """
    _remove_abandoned(parent, prefix)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    try:
        with (folder / HELD).open("wb") as held:
            with contextlib.suppress(OSError):  # without locks a killed process's folder stays
                locks.lock(held)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            with (folder / HELD).open("rb") as held:
                locks.lock(held)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime < ABANDONED_SECONDS:
                    continue
        except OSError:
            continue  # in use, or the file system has no locks
        shutil.rmtree(folder, ignore_errors=True)


def _open(file: Path, flags: int) -> int:
    try:
        opened = os.open(file, flags, 0o666)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(file)[:200]) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a symbolic link, which is not followed", str(file)) from error
        raise
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, f"{kind_of(found.st_mode)}, not a regular file", str(file))
    return opened
