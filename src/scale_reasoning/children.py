"""Commands that end with this process, however it ends: the parent's side. watch.py is the other side."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import IO

WATCH = Path(__file__).with_name("watch.py")
GRACE_SECONDS = 10
"""How long the command and all that it started may take to end; watch.py needs a quarter of it."""


@contextlib.contextmanager
def running(
    command: Sequence[str], *, output: IO[bytes] | None = None, env: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """The command at work, with all that it starts; `output` takes what it prints, else that goes where ours goes;
    `env` is its environment, by default ours.

    The command and all that it started are ended when the block is left or this process is killed. Raises OSError.
    """
    process = subprocess.Popen(  # noqa: S603  our own interpreter and the caller's words
        [sys.executable, "-P", str(WATCH), *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        env=env,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
