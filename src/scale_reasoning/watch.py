"""Runs the command in its arguments, and ends it with all that it started once standard input closes.

The parent holds the other end and never writes, so it closes when the parent ends, however that ends. Imports
nothing of this package, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
"""Of Linux's prctl: which signal a process gets when its parent ends, and that orphans become this one's children."""
POLITE_SECONDS = 2.0


def main() -> NoReturn:
    """Ends with the command's exit status."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command itself, and the parent decides
    before = None if sys.platform == "win32" else _tie_to_parent  # Windows has no fork
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=before)  # noqa: S603  no thread yet
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    status = child.wait()
    os._exit(status if status >= 0 else 128 - status)  # the thread still reads


def _tie_to_parent() -> None:
    """In the new process, before it becomes the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end_with_parent(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    _end_all(child)
    os._exit(0)


def _end_all(child: subprocess.Popen[bytes]) -> None:
    """Asks all of them to end, then kills those that are left. Windows has no signals: only the command is killed."""
    if sys.platform == "win32":
        child.kill()
        return
    for number, seconds in ((signal.SIGTERM, POLITE_SECONDS), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + seconds
        signalled = set[int]()
        while time.monotonic() < deadline and (found := set(_under(os.getpid()))):
            for process in found - signalled:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            signalled |= found
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        child.kill()


def _under(parent: int) -> Iterator[int]:
    """All running descendants of a process, if this system lists them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, above = entry.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(above), []).append(int(entry.parent.name))
    left = list(children.get(parent, ()))
    while left:
        yield (each := left.pop())
        left += children.get(each, ())


if __name__ == "__main__":
    main()
