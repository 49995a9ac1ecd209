"""Runs to look at, made by the simulator, and a viewer that serves them, for the tests of the viewer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.runs.simulated import fresh, go, manifest

from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.runs.store import create
from scale_reasoning.types import Completion, Problem, Usage
from scale_reasoning.web.viewer.server import serving
from scale_reasoning.web.viewer.shelf import Shelf

TAUS = ({"name": "scale", "tau": 0.2}, {"name": "scale", "tau": 0.8})

HOSTILE = (
    "<script>window.hacked = 1</script> <img src=x onerror='window.hacked = 1'> [click](javascript:window.hacked=1) "
    "![pixel](http://tracker.invalid/p.png) <http://tracker.invalid/> http://tracker.invalid/ "
    r"$\text{<script>window.hacked = 1</script>}$ $\href{javascript:window.hacked=1}{x}$ $\style{color:red}{x}$ "
    r"$\frac{1$ $\newcommand{\x}{\x\x}\x$ \[ \left( \] " + "\"'><svg onload=window.hacked=1> {{ 7 * 7 }} \u202e\x1b[31m"
)


def sweep(folder: Path, strategies: Sequence[dict[str, Any]] = TAUS, *, problems: int = 3, samples: int = 2) -> Path:
    """A run on the simulator."""
    fresh(folder, manifest(strategies, samples=samples), problems, Sim(Speeds(spread=0.3)))
    return folder


def hostile(folder: Path) -> Path:
    """A run in which every text that a model or a dataset wrote is hostile."""
    usage = Usage(prompt_tokens=5, completion_tokens=9, reasoning_tokens=4, cached_tokens=0)
    said = Completion(text=HOSTILE + r" \boxed{<b>1</b>}", reasoning=HOSTILE, finish_reason="stop", usage=usage)
    outline = {"subproblems": [HOSTILE, "Second: " + HOSTILE]}
    engine = Scripted(
        [
            ("decomposition", json.dumps(outline)),
            ("difficulty", '{"difficulty": 0.7}'),
            ("choice", '{"choice": 1}'),
            ("", said),
        ]
    )
    asked = Problem(id="<script>window.hacked = 1</script>", text=HOSTILE, answer="1")
    with create(folder, manifest([{"name": "scale", "tau": 0.5}], samples=1), {"d": [asked]}) as store:
        go(store, engine)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A viewer at work."""

    url: str

    def get(
        self, name: str = "", *, headers: dict[str, str] | None = None, method: str = "GET", **query: Any
    ) -> Answer:
        address = f"{self.url}{name}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(address, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(status=response.status, headers=dict(response.headers), text=response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(status=error.code, headers=dict(error.headers), text=error.read().decode())


@contextlib.contextmanager
def viewing(*folders: Path, host: str = "127.0.0.1") -> Iterator[Viewer]:
    """A running viewer of these runs, in a thread of its own."""
    ready, loop, address = threading.Event(), asyncio.new_event_loop(), list[str]()
    stop = asyncio.Event()

    async def main() -> None:
        async with serving(Shelf(folders), host=host, port=0) as url:
            address.append(url)
            ready.set()
            await stop.wait()

    def work() -> None:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield Viewer(url=address[0])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
