"""A model on this machine: a GGUF file served by llama.cpp in a child process, used like any other server.

Decides how the child is started, watched and ended. The protocol is in openai.py, llama.cpp's settings are in
llama_server.py.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from scale_reasoning.engines import llama_server
from scale_reasoning.engines.llama_server import Ready, Settings
from scale_reasoning.errors import ConfigError, Malformed, Unreachable
from scale_reasoning.types import JSON, Completion, OnDelta, Request

if TYPE_CHECKING:
    from asyncio.subprocess import Process

SLOTS = 4
"""Requests at a time, each with its own cache."""


class Llama:
    """A running llama.cpp server: `async with await Llama.start(path) as engine`.

    `base_url` and `key` give access over OpenAI's protocol; `window` is the tokens of one request, prompt and reply.
    """

    @classmethod
    async def start(
        cls,
        model: Path,
        *,
        alias: str | None = None,
        slots: int = SLOTS,
        window: int = 4096,
        threads: int | None = None,
        seconds: float = 120,
    ) -> Llama:
        """Loads `model` and serves `slots` requests at a time; further requests wait.

        Each has a window of `window` tokens, or the model's trained window if that is less. `threads` defaults to the
        physical cores that this process may use. Raises ConfigError when the model cannot be served, Unreachable when
        loading takes over `seconds`. `alias` is the model's name in its list of models and its replies, by default the
        file's name without the ending.
        """
        threads = _cores() if threads is None else threads
        settings = _settings(model, alias or model.stem, slots=slots, window=window, threads=threads)
        async with AsyncExitStack() as undo:
            log = undo.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 the stack closes it
            process = await _spawn(log)
            undo.push_async_callback(_end, process)
            ready = await _ready(process, settings, log, seconds)
            return cls(process, settings, ready, log, undo.pop_all())

    def __init__(
        self, process: Process, settings: Settings, ready: Ready, log: IO[bytes], owned: AsyncExitStack
    ) -> None:
        """Use `start`."""
        from scale_reasoning.engines.openai import OpenAI

        self.base_url = ready["address"] + "/v1"
        self.key = settings["key"]
        self.window = ready["window"]
        self.pid = process.pid
        self._model = settings["model"]
        self._process = process
        self._log = log
        self._owned = owned
        self._client = OpenAI(self.base_url, api_key=self.key)

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises Unreachable when the child process has died."""
        try:
            return await self._client.generate(request, on_delta)
        except (Unreachable, Malformed):
            # The connection breaks first; the exit status comes a moment later.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
            if self._process.returncode is None or self._log.closed:
                raise
            raise Unreachable(f"llama.cpp, serving {self._model}, {_describe_end(self._process, self._log)}") from None

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """See OpenAI.fetch."""
        return await self._client.fetch(path, body)

    async def close(self) -> None:
        """Ends the child at once."""
        await self._owned.aclose()
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _settings(model: Path, alias: str, *, slots: int, window: int, threads: int) -> Settings:
    if not model.is_file():
        raise ConfigError(f"model: there is no file {model}; give the path of a GGUF file")
    if importlib.util.find_spec("xllamacpp") is None:
        raise ConfigError(
            "a model on this machine needs xllamacpp: pip install 'scale-reasoning[local]' (Linux and macOS on x86-64 "
            "and arm64, Windows on x86-64); or start a model server yourself and give its URL"
        )
    for name, number in (("slots", slots), ("window", window), ("threads", threads)):
        if number < 1:
            raise ConfigError(f"{name}: {number} is less than 1")
    # The key keeps other users of this machine out.
    return Settings(
        model=str(model), name=alias, slots=slots, window=window, threads=threads, key=secrets.token_urlsafe()
    )


async def _spawn(log: IO[bytes]) -> Process:
    """Starts the child by path, not as a module, so that it imports nothing of this package and is ready sooner."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(Path(llama_server.__file__)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        # This process handles Ctrl-C.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
        # Unpinned, threads may share a core for a whole run and decode twenty times slower.
        env={"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"} | os.environ,
    )


async def _ready(process: Process, settings: Settings, log: IO[bytes], seconds: float) -> Ready:
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 both are pipes
    try:
        async with asyncio.timeout(seconds):
            # Through the pipe, because every user can read the command line.
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            line = await process.stdout.readline()
            if not line:
                await process.wait()
    except TimeoutError:
        raise Unreachable(f"llama.cpp did not load {settings['model']} within {seconds:g} s") from None
    if not line:
        raise ConfigError(f"model: llama.cpp cannot serve {settings['model']}: it {_describe_end(process, log)}")
    ready: Ready = json.loads(line)
    return ready


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        process.kill()  # it has nothing to save, and a normal end can hang
    await process.communicate()


def _describe_end(process: Process, log: IO[bytes]) -> str:
    """How the child ended, with the last errors in its log."""
    status = process.returncode or 0
    how = f"was killed by signal {-status} (out of memory?)" if status < 0 else f"ended with status {status}"
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()[-8:]
    return "\n  ".join([how, *(re.sub(r"^[\d.]+ E ", "", line) for line in lines)])


def _cores() -> int:
    """Physical cores that this process may use: hyper-threads share the units that limit inference."""
    cpus = os.sched_getaffinity(0) if sys.platform == "linux" else range(os.cpu_count() or 1)
    return max(1, min(len({_siblings(cpu) for cpu in cpus}), _quota()))


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _quota() -> int:
    """The container's share of processor time, in whole cores."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return round(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return os.cpu_count() or 1
