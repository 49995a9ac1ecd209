"""The proxy's cost to a client: latency it adds and requests a second, beside optillm 0.4.0 and its-hub 1.2.0.

    python benchmarks/serve.py [rounds] [requests] [--peers FOLDER]

One loopback model server that costs next to nothing (zero_server.py), each proxy in a process of its own, spoken to as
its users do, over 127.0.0.1 (its-hub hangs on host names). All vote over 8 samples: SCALE's `@vote` and its-hub's
self-consistency send 8 requests, optillm's majority_voting one with n = 8, which spares it seven. Rounds in turn: what
counts is a ratio within one run; on a busy machine the server's CPU a request (Linux) says more than its rate. Goals:
the pass-through adds under 3 ms at the median; `@vote` serves at least twice its-hub's requests a second and ten times
optillm's.

The peers get a virtual environment of their own in FOLDER (default build/peers), made when it is not there. optillm is
installed without its dependencies, which are torch, gradio, spacy and forty more, and with those its server imports.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

HERE = Path(__file__).parent
IMPORTED = ("cerebras_cloud_sdk", "flask", "math-verify", "networkx", "openai", "pyyaml", "requests", "z3-solver")
"""What optillm's server imports."""
QUESTION = "What is 2 + 2? " * 40
IN_FLIGHT = 16


@dataclass(frozen=True)
class Server:
    """Where it answers, and its process."""

    base_url: str
    pid: int

    def cpu_seconds(self) -> float:
        """What the process has used so far; 0 where there is no /proc."""
        stat = Path(f"/proc/{self.pid}/stat")
        user, system = stat.read_text().rpartition(")")[2].split()[11:13] if stat.exists() else (0, 0)
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass(kw_only=True)
class Contestant:
    """A server, the model's name that has it do the work, and what was measured of it.

    `seconds` of each request, and of each round the requests a second (`rates`) and the server's CPU seconds a request.
    """

    name: str
    server: Server
    model: str
    streams: bool = False
    slower: int = 1
    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def measure(self, requests: int) -> None:
        """One at a time for the latency, then IN_FLIGHT for the rate."""
        requests //= self.slower
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await self._ask(session, requests // 10 + 1, 1)
            self.seconds += await self._ask(session, requests // 2, 1)
            await self._ask(session, IN_FLIGHT, IN_FLIGHT)
            started, worked = time.perf_counter(), self.server.cpu_seconds()
            await self._ask(session, requests, IN_FLIGHT)
            self.rates.append(requests / (time.perf_counter() - started))
            self.cpu.append((self.server.cpu_seconds() - worked) / requests)

    async def _ask(self, session: aiohttp.ClientSession, requests: int, in_flight: int) -> list[float]:
        body = {"model": self.model, "messages": [{"role": "user", "content": QUESTION}], "stream": self.streams}
        seconds, left = list[float](), iter(range(requests))

        async def worker() -> None:
            for _ in left:
                started = time.perf_counter()
                async with session.post(f"{self.server.base_url}/chat/completions", json=body) as response:
                    answer = await response.read()
                seconds.append(time.perf_counter() - started)
                assert response.status == 200, (self.name, response.status, answer)
                assert b"boxed{4}" in answer, (self.name, answer)

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
        return seconds


@contextmanager
def running(*words: object, stdout: int = subprocess.DEVNULL, **environment: str) -> Iterator[subprocess.Popen[str]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    # A pipe that nobody reads fills with a server's log, and stops it.
    process = subprocess.Popen([str(word) for word in words], stdout=stdout, stderr=subprocess.DEVNULL, text=True,
                               env=inherited | environment)  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def answering(process: subprocess.Popen[str], port: int, seconds: float = 60) -> Server:
    """The server once it takes connections."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return Server(f"http://127.0.0.1:{port}/v1", process.pid)
    raise SystemExit(f"{process.args} did not start")


def peers_in(folder: Path) -> Path:
    """The folder of the programs of a virtual environment that holds the peers."""
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = (folder / "bin/python", "-m", "pip", "install", "--quiet")
        subprocess.run([*pip, "its-hub[iaas]==1.2.0", *IMPORTED], check=True)
        subprocess.run([*pip, "--no-deps", "optillm==0.4.0"], check=True)
        (folder / "complete").touch()
    return folder / "bin"


def scale(stack: ExitStack, model_server: str) -> Server:
    port = free_port()
    words = ("-m", "scale_reasoning", "serve", "--base-url", model_server, "--model", "zero", "--port", port)
    return answering(stack.enter_context(running(sys.executable, *words)), port)


def optillm(stack: ExitStack, model_server: str, programs: Path) -> Server:
    port = free_port()
    words = (programs / "optillm", "--base-url", model_server, "--port", port, "--log", "error")
    return answering(stack.enter_context(running(*words, OPENAI_API_KEY="none")), port)


def its_hub(stack: ExitStack, model_server: str, programs: Path) -> Server:
    port = free_port()
    process = stack.enter_context(running(programs / "its-iaas", "--port", port, "--log-level", "ERROR"))
    server = answering(process, port)
    told = {"endpoint": model_server, "api_key": "none", "model": "zero", "alg": "self-consistency", "budget": 8,
            "regex_patterns": [r"boxed\{([^}]+)\}"]}  # fmt: skip
    configure = urllib.request.Request(f"http://127.0.0.1:{port}/configure", json.dumps(told).encode(),
                                       {"content-type": "application/json"})  # fmt: skip
    urllib.request.urlopen(configure).close()
    return server


def report(contestants: list[Contestant]) -> None:
    direct = {each.streams: each for each in contestants if each.name.startswith("no proxy")}
    print(f"{'':34}{'p50':>10}{'p99':>10}{'added p50':>12}{'added p99':>12}{'requests/s':>12}{'CPU':>11}")
    for each in contestants:
        (p50, p99), (base50, base99) = _percentiles(each), _percentiles(direct[each.streams])
        print(f"{each.name:34}{p50:7.2f} ms{p99:7.2f} ms{p50 - base50:9.2f} ms{p99 - base99:9.2f} ms"
              f"{statistics.median(each.rates):12.1f}{1e3 * statistics.median(each.cpu):8.2f} ms")  # fmt: skip
    vote = next(each for each in contestants if each.model == "zero@vote")
    for each in contestants:
        if "majority" in each.name or "consistency" in each.name:
            ratios = [ours / theirs for ours, theirs in zip(vote.rates, each.rates, strict=True)]
            print(f"{vote.name} serves {min(ratios):.1f} to {max(ratios):.1f} (median {statistics.median(ratios):.1f}) "
                  f"times the requests a second of {each.name}")  # fmt: skip


def _percentiles(contestant: Contestant) -> tuple[float, float]:
    """The median and the 99th percentile in milliseconds."""
    ranked = sorted(contestant.seconds)
    return 1e3 * statistics.median(ranked), 1e3 * ranked[int(0.99 * len(ranked))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("requests", nargs="?", type=int, default=1000)
    parser.add_argument("--peers", type=Path, default=Path("build/peers"), metavar="FOLDER")
    args = parser.parse_args()
    programs = peers_in(args.peers.absolute())
    with ExitStack() as stack:
        zero = stack.enter_context(running(sys.executable, HERE / "zero_server.py", stdout=subprocess.PIPE))
        assert zero.stdout is not None
        direct = Server(f"http://127.0.0.1:{int(zero.stdout.readline())}/v1", zero.pid)
        ours, flask = scale(stack, direct.base_url), optillm(stack, direct.base_url, programs)
        hub = its_hub(stack, direct.base_url, programs)
        contestants = [
            Contestant(name="no proxy", server=direct, model="zero"),
            Contestant(name="no proxy, streamed", server=direct, model="zero", streams=True),
            Contestant(name="scale, pass-through", server=ours, model="zero"),
            Contestant(name="scale, pass-through, streamed", server=ours, model="zero", streams=True),
            Contestant(name="optillm, pass-through", server=flask, model="none-zero", slower=10),
            Contestant(name="scale @vote", server=ours, model="zero@vote", slower=4),
            Contestant(name="its-hub self-consistency", server=hub, model="zero", slower=10),
            Contestant(name="optillm majority_voting", server=flask, model="majority_voting-zero", slower=10),
        ]
        for number in range(args.rounds):
            for each in contestants:
                asyncio.run(each.measure(args.requests))
            print(f"round {number + 1}: " + ", ".join(f"{each.rates[-1]:.0f}/s" for each in contestants), flush=True)
        report(contestants)


if __name__ == "__main__":
    main()
