"""Runs one function of texts in processes that may be killed.

Decides how such a process starts, talks (a JSON line each way), ends and is replaced. Knows nothing of what the
function does: it may hang in C code, eat memory or crash, and the caller gets an outcome all the same.

Nothing here is bound to an event loop: a worker outlives the loop that first asked it. POSIX only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import IO

from scale_reasoning.errors import GradeError
from scale_reasoning.types import JSON

MAX_BYTES = 2 << 30
"""Address space of a worker: a number too big for it ends that one call, not the machine."""


PATIENCE, SPARE = 0.5, 6
"""Seconds after which a call that still runs gives its place to another, and how many such calls there may be: a few
that never end must not hold up the rest."""


@dataclass(frozen=True, slots=True)
class Killed:
    """No result: the kernel ended the call. `timed_out` says that it was by its alarm."""

    timed_out: bool


class Workers:
    """About `count` processes that call `function`, an import path such as `package.module:name`.

    The function takes one JSON value and returns another; None, which comes first, lets it load what it needs.
    The first use starts a process, one that dies is replaced by the next use. They end with `stop`, with this object,
    or with this process, whichever is first.
    """

    def __init__(self, function: str, *, count: int, timeout_seconds: float) -> None:
        self._command = (sys.executable, "-P", "-c", _BOOT, function, str(timeout_seconds))
        self._threads = ThreadPoolExecutor(count + SPARE, thread_name_prefix="worker")
        self._places = threading.Semaphore(count)
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        weakref.finalize(self, _stop_all, self._idle)

    async def call(self, value: JSON) -> JSON | Killed:
        """What the function makes of the value. Raises `GradeError` when no process will start.

        A call waits its turn unboundedly, then runs for at most `timeout_seconds` of wall-clock time.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._exchange, value)

    def stop(self) -> None:
        """Ends the idle processes; a later call starts new ones."""
        _stop_all(self._idle)

    def _exchange(self, value: JSON) -> JSON | Killed:
        with _Place(self._places):
            process = self._take()
            line = _send(process, value)
        if line:
            self._idle.put(process)
            return json.loads(line)
        _end(process)
        return Killed(timed_out=process.returncode == -signal.SIGALRM)

    def _take(self) -> subprocess.Popen[bytes]:
        """An idle process that is alive, or a new one."""
        with contextlib.suppress(Empty):
            while True:
                process = self._idle.get_nowait()
                if process.poll() is None:
                    return process
                _end(process)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C goes to the terminal's group: the worker is not in it
        )
        if not _send(process, None):
            _end(process)
            raise GradeError(f"a worker for {self._command[-2]} did not start (exit {process.returncode})")
        return process


class _Place:
    """One of the places, kept for a call's length but never longer than PATIENCE."""

    def __init__(self, places: threading.Semaphore) -> None:
        self._places, self._left = places, threading.Lock()
        self._timer = threading.Timer(PATIENCE, self._leave)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._places.acquire()
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._leave()

    def _leave(self) -> None:
        if self._left.acquire(blocking=False):
            self._places.release()


def _send(process: subprocess.Popen[bytes], value: JSON) -> bytes:
    """The line that answers the value, empty when the process died over it."""
    if process.stdin is None or process.stdout is None:
        return b""
    try:
        process.stdin.write(json.dumps(value).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    return process.stdout.readline()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with contextlib.suppress(BrokenPipeError):
        process.communicate()


def _stop_all(idle: SimpleQueue[subprocess.Popen[bytes]]) -> None:
    with contextlib.suppress(Empty):
        while True:
            _end(idle.get_nowait())


_BOOT = f"""
import sys, importlib, {__name__} as workers
module, name = sys.argv[1].split(":")
workers.serve(getattr(importlib.import_module(module), name), float(sys.argv[2]))
"""


def serve(function: Callable[[JSON], JSON], timeout_seconds: float) -> None:
    """A worker's life: a line in, a line out, until its input ends.

    An alarm that no handler catches kills it when a call takes longer than `timeout_seconds`, be it in C code, and
    be its parent dead. Only the first call, which loads, may take its time.
    """
    replies = _own_stdout()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    for line in sys.stdin.buffer:
        value = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, 0 if value is None else timeout_seconds)
        reply = function(value)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


def _own_stdout() -> IO[bytes]:
    """The way back to the parent, which a library's stray `print` must not reach."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _limit_memory() -> None:
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
