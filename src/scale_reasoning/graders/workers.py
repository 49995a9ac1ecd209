"""Runs one function of texts in processes that may be killed.

Decides how such a process starts, talks (a JSON line each way), is limited, ends and is replaced. Knows nothing of what
the function does: it may hang in C code, use up memory or crash, and the caller gets an outcome all the same.

Nothing here is bound to an event loop: a worker outlives the loop that first asked it.
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

MAX_BYTES = 1 << 29
"""Address space of one worker, where the system enforces it (Linux): a number too big for it ends that one call."""
WALL_FACTOR = 20
"""How many times its processor time a call may last, and no less than `WALL_FACTOR` seconds."""


@dataclass(frozen=True, slots=True)
class Killed:
    """No result: the process died of the call. `timed_out` says that it had used up its processor time."""

    timed_out: bool


class _Stalled(Exception):
    """The call was stopped without having used its processor time: not the function's doing."""


class Workers:
    """At most `count` processes, idle ones included, that call a function of an import path, `package.module:name`.

    The function takes one JSON value and returns another; None, which comes first, lets it load what it needs.
    The first use starts a process, one that dies is replaced by the next use. They end with `stop`, with this object,
    or with this process, whichever is first. Together they use no more memory than `count` times `MAX_BYTES`.

    A call may use `timeout_seconds` of processor time. One that has not used them after `wall_seconds` (by default
    `WALL_FACTOR` times as long) is stopped too, but that only says how busy the machine is. Where the system has no
    such timers (Windows), a call that lasts `wall_seconds` counts as timed out.
    """

    def __init__(self, function: str, *, count: int, timeout_seconds: float, wall_seconds: float | None = None) -> None:
        self._function, self._timeout_seconds = function, timeout_seconds
        self._wall_seconds = wall_seconds or WALL_FACTOR * max(1.0, timeout_seconds)
        limits = (str(timeout_seconds), str(self._wall_seconds))
        self._command = (sys.executable, "-P", "-c", _BOOT, function, *limits)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._count = count
        self._places = threading.Semaphore(count)
        self._alone = threading.Lock()
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        weakref.finalize(self, _stop_all, self._idle)

    async def call(self, value: JSON) -> JSON | Killed:
        """What the function makes of the value.

        A call waits its turn unboundedly. One that was stalled runs again while no other does. Raises `GradeError` when
        it is stalled again, and when no process will start.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._outcome, value)

    def stop(self) -> None:
        """Ends the idle processes; a later call starts new ones."""
        _stop_all(self._idle)

    def _outcome(self, value: JSON) -> JSON | Killed:
        try:
            with self._places:
                return self._exchange(value)
        except _Stalled:
            return self._again(value)

    def _again(self, value: JSON) -> JSON | Killed:
        """The same call while no other runs."""
        with self._alone, contextlib.ExitStack() as places:
            for _ in range(self._count):
                places.enter_context(self._places)
            try:
                return self._exchange(value)
            except _Stalled as stalled:
                limit = f"its {self._timeout_seconds:g} s of processor time"
                raise GradeError(
                    f"{self._function} was stopped twice ({stalled}) without having used {limit}:"
                    " the machine is too busy or short of memory, try again when it is not"
                ) from None

    def _exchange(self, value: JSON) -> JSON | Killed:
        process = self._take()
        with _Deadline(process, self._wall_seconds):
            line = _send(process, value)
        if line:
            self._idle.put(process)
            return json.loads(line)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORDS_SECONDS)  # its own end says why
        _end(process)
        ended_by = -process.returncode
        if ended_by == getattr(signal, "SIGALRM", None):
            raise _Stalled(f"after {self._wall_seconds:g} s")
        if ended_by in _SENT_BY_OTHERS:
            raise _Stalled(f"by signal {ended_by}")
        return Killed(timed_out=not _HAS_TIMERS or ended_by == signal.SIGPROF)

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
            raise GradeError(f"a worker for {self._function} did not start (exit {process.returncode})")
        return process


_LAST_WORDS_SECONDS = 10.0
_HAS_TIMERS = hasattr(signal, "setitimer")
_SENT_BY_OTHERS = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)
)
"""A worker sends itself none of these: they come from the kernel when memory runs out, or from the user."""


class _Deadline:
    """Kills the process after the given seconds, where it cannot set itself a timer."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._timer = None if _HAS_TIMERS else threading.Timer(seconds, process.kill)

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


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
workers.serve(getattr(importlib.import_module(module), name), *map(float, sys.argv[2:]))
"""


def serve(function: Callable[[JSON], JSON], timeout_seconds: float, wall_seconds: float) -> None:
    """A worker's life: a line in, a line out, until its input ends.

    Timers that no handler catches kill it when a call takes longer, even in C code and after its parent has died. Only
    the first call, which loads, has no limit.
    """
    replies = _own_stdout()
    if _HAS_TIMERS:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    for line in sys.stdin.buffer:
        value = json.loads(line)
        if value is not None:
            _set_timers(timeout_seconds, wall_seconds)
        reply = function(value)
        _set_timers(0, 0)
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


def _set_timers(cpu_seconds: float, wall_seconds: float) -> None:
    if _HAS_TIMERS:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def _own_stdout() -> IO[bytes]:
    """The way back to the parent, which a library's stray `print` must not reach."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such module, macOS does not enforce it
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
