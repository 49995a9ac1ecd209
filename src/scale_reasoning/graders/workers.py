"""Runs one function of JSON values in processes that may be killed.

Decides how such a process starts, communicates (one JSON line each way), is limited, ends and is replaced. The function
may hang in C code, use up memory or crash: the caller gets an outcome in all cases.

Nothing is bound to an event loop: a worker outlives the loop that used it first.
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
"""Address space of one worker, where the system enforces it (Linux). A number that is too large ends that one call."""
WALL_FACTOR = 20
"""A call may last this many times its processor time, but at least `WALL_FACTOR` seconds."""


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """No result: the call ended the process. `timed_out` says that it had used its processor time."""

    timed_out: bool


class _Stall(Exception):
    """The call was stopped before it used its processor time: not the function's fault."""


class Workers:
    """At most `count` processes, idle ones included, that call the function at an import path, `package.module:name`.

    The function takes one JSON value and returns another. Its first value is None, so that it can load libraries. The
    first use starts a process; a process that died is replaced at the next use. Processes end with `stop`, with this
    object, or with this program. Together they use at most `count` times `MAX_BYTES` of memory.

    A call may use `timeout_seconds` of processor time. It is also stopped after `wall_seconds` (by default
    `WALL_FACTOR` times as long); then the machine was busy. Where the system has no such timers (Windows), a call that
    lasts `wall_seconds` has timed out.
    """

    def __init__(self, function: str, *, count: int, timeout_seconds: float, wall_seconds: float | None = None) -> None:
        self._function, self._timeout_seconds = function, timeout_seconds
        self._wall_seconds = wall_seconds or WALL_FACTOR * max(1.0, timeout_seconds)
        limits = (str(timeout_seconds), str(self._wall_seconds))
        self._command = (sys.executable, "-P", "-c", _BOOT, function, *limits)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._count = count
        self._slots = threading.Semaphore(count)
        self._alone = threading.Lock()
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        weakref.finalize(self, _stop_all, self._idle)

    async def call(self, value: JSON) -> JSON | WorkerDeath:
        """The function's result for the value.

        The wait for a free process has no limit. A stalled call runs again while no other does. Raises `GradeError`
        when it stalls again, and when no process starts.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, value)

    def stop(self) -> None:
        """Ends the idle processes; a later call starts new ones."""
        _stop_all(self._idle)

    def _run(self, value: JSON) -> JSON | WorkerDeath:
        try:
            with self._slots:
                return self._exchange(value)
        except _Stall:
            return self._retry_alone(value)

    def _retry_alone(self, value: JSON) -> JSON | WorkerDeath:
        """Runs the call while no other call runs."""
        with self._alone, contextlib.ExitStack() as slots:
            for _ in range(self._count):
                slots.enter_context(self._slots)
            try:
                return self._exchange(value)
            except _Stall as stall:
                limit = f"its {self._timeout_seconds:g} s of processor time"
                raise GradeError(
                    f"{self._function} was stopped twice ({stall}) without having used {limit}:"
                    " the machine is too busy or short of memory, try again later"
                ) from None

    def _exchange(self, value: JSON) -> JSON | WorkerDeath:
        process = self._take()
        with _Deadline(process, self._wall_seconds):
            line = _send(process, value)
        if line:
            self._idle.put(process)
            return json.loads(line)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORDS_SECONDS)  # its exit status says why
        _end(process)
        ended_by = -process.returncode
        if ended_by == getattr(signal, "SIGALRM", None):
            raise _Stall(f"after {self._wall_seconds:g} s")
        if ended_by in _SENT_BY_OTHERS:
            raise _Stall(f"by signal {ended_by}")
        return WorkerDeath(timed_out=not _HAS_TIMERS or ended_by == signal.SIGPROF)

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
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
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
"""Signals from the kernel when memory runs out, or from the user; a worker sends itself none of these."""


class _Deadline:
    """Kills the process after some seconds, where it cannot set a timer itself."""

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
    """The line that answers the value; empty when the process died."""
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
    """Runs in a worker: reads a line and writes a line until the input ends.

    Timers without handlers kill the worker when a call takes longer, even in C code and after its parent has died. Only
    the first call, which loads libraries, has no limit.
    """
    replies = _redirect_stdout()
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


def _redirect_stdout() -> IO[bytes]:
    """The stream to the parent. Standard output is redirected, so that a library's `print` does not reach it."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such module, macOS does not enforce it
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
