"""The proxy among those that mean harm: what an honest client and a health check notice of them.

    python benchmarks/hostile.py [rounds] [seconds]

`scale serve` with two keys, in front of a good model server for System 2 (half a second per reply, delayed_server.py)
and a hostile one for System 1. In turn, for so many seconds each, an honest client keeps 8 requests to `@cot` in
flight, first alone and then with these three at work:

- a hostile client, 48 requests at a time: votes as large as are allowed, streams that reach the hostile server, bodies
  of 3.9 MB, bodies that do not come, numbers that no float holds;
- a hostile server: events without end, a gzip bomb, a line without end, a million choices;
- 1,100 connections with half a head, opened again when they are closed.

A new connection asks for `/healthz` every 50 ms. The attackers run at the lowest priority, so that what is measured is
what they do to the proxy, and not that they use the same processors.

Goals: `/healthz` within 250 ms at the 99th percentile, and the honest client loses under 10 % of its rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from delayed_server import serving
from serve import answering, free_port, running

HALF_OPEN, AT_A_TIME, HONEST = 1100, 48, 8
EVENT = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"x"}}]}\n\n'
TYPES = {"content-type": "text/event-stream"}
QUESTION = [{"role": "user", "content": "What is 2 + 2? " * 40}]


async def hostile_server() -> None:
    """Each request is answered by the next kind of harm. Prints the port."""
    bomb, kinds = gzip.compress(EVENT * 500_000, 1), itertools.cycle(("gush", "bomb", "line", "choices"))

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        kind = next(kinds)
        if request.method == "GET":
            return web.json_response({}, status=404)
        if kind == "bomb":
            return web.Response(body=bomb, headers={**TYPES, "content-encoding": "gzip"})
        if kind == "choices":
            return web.Response(body=b'{"choices":[' + b"{}," * 600_000 + b"{}]}", content_type="application/json")
        response = web.StreamResponse(headers=TYPES)
        await response.prepare(request)
        while True:
            await response.write(EVENT * 1000 if kind == "gush" else b"x" * 2**16)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def bodies() -> list[tuple[str, bytes]]:
    """What the hostile client sends, by kind."""

    def chat(model: str, **more: object) -> bytes:
        return json.dumps({"model": model, "messages": QUESTION, **more}).encode()

    return [
        ("stream", chat("zero@cot:mode=system1", stream=True)),
        ("stream", chat("zero@cot:mode=system1")),
        ("vote", chat("zero@vote:samples=64,base=scale,base.candidates=8,base.max_steps=2", stream=True)),
        ("vote", chat("zero@vote:samples=64", n=16, stream=True)),
        ("refused", chat("zero@vote:base=scale,samples=64,base.candidates=64", n=16)),
        ("large", b'{"model":"zero@cot","messages":[' + b"{}," * 1_300_000 + b"{}]}"),
        ("refused", b'{"model":"zero@cot","temperature":1e999}'),
        ("half", chat("zero@cot")),
    ]


async def hostile_client(base_url: str, key: str) -> None:
    where = urlsplit(base_url)

    async def half_open() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(where.hostname, where.port)
                writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), 30)
                writer.close()
            await asyncio.sleep(0.5)

    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        for kind, body in itertools.cycle(bodies()[number % 8 :] + bodies()[: number % 8]):

            async def slow(body: bytes = body) -> AsyncIterator[bytes]:
                yield body[:20]
                await asyncio.sleep(60)

            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
                async with asyncio.timeout(10), session.post(f"{base_url}/chat/completions", headers=headers,
                        data=slow() if kind == "half" else body) as response:  # fmt: skip
                    async for _ in response.content.iter_any():
                        pass
            await asyncio.sleep(0.02)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for _ in range(HALF_OPEN):
            group.create_task(half_open())
        for number in range(AT_A_TIME):
            group.create_task(ask(session, number))


async def measured(base_url: str, key: str, seconds: float) -> tuple[float, list[float]]:
    """The honest client's requests a second, and the seconds that `/healthz` took."""
    until, answered, waits = time.perf_counter() + seconds, 0, list[float]()
    headers = {"authorization": f"Bearer {key}"}

    async def honest(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.perf_counter() < until:
            body = {"model": "zero@cot", "messages": QUESTION}
            async with session.post(f"{base_url}/chat/completions", json=body, headers=headers) as response:
                content = await response.read()
                if response.status != 200:
                    print(f"refused: {response.status} {content[:200]!r}", file=sys.stderr)
                answered += response.status == 200

    async def health() -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            while time.perf_counter() < until:
                started = time.perf_counter()
                async with session.get(base_url.removesuffix("/v1") + "/healthz") as response:
                    assert response.status == 200
                waits.append(time.perf_counter() - started)
                await asyncio.sleep(0.05)

    started = time.perf_counter()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        group.create_task(health())
        for _ in range(HONEST):
            group.create_task(honest(session))
    return answered / (time.perf_counter() - started), waits


def percentile(waits: list[float], share: float) -> float:
    """In milliseconds."""
    return 1e3 * sorted(waits)[int(share * len(waits))]


def main(rounds: int = 3, seconds: float = 15) -> None:
    with ExitStack() as stack:
        good = stack.enter_context(serving(0.5, pieces=20))
        hostile = stack.enter_context(
            running("nice", "-n", "19", sys.executable, __file__, "server", stdout=subprocess.PIPE)
        )
        assert hostile.stdout is not None
        bad = f"http://127.0.0.1:{int(hostile.stdout.readline())}/v1"
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "keys"
        keys.write_text("honest\nhostile\n")
        port = free_port()
        words = ("-m", "scale_reasoning", "serve", "--base-url", good, "--model", "zero", "--port", port,
                 "--system1-model", "zero",
                 "--system1-base-url", bad, "--api-keys-file", keys, "--retries", 0)  # fmt: skip
        proxy = answering(stack.enter_context(running(sys.executable, *words)), port)
        asyncio.run(measured(proxy.base_url, "honest", 2))
        kept, all_waits = list[float](), list[float]()
        for number in range(1, rounds + 1):
            alone, quiet = asyncio.run(measured(proxy.base_url, "honest", seconds))
            with running("nice", "-n", "19", sys.executable, __file__, "client", proxy.base_url, "hostile"):
                time.sleep(3)
                attacked, waits = asyncio.run(measured(proxy.base_url, "honest", seconds))
            time.sleep(2)
            kept.append(attacked / alone)
            all_waits += waits
            print(f"round {number}: @cot {alone:.2f}/s alone, {attacked:.2f}/s attacked ({attacked / alone:.1%}); "
                  f"/healthz p99 {percentile(quiet, 0.99):.0f} ms alone, {percentile(waits, 0.99):.0f} ms attacked "
                  f"(median {percentile(waits, 0.5):.0f} ms); load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        status = Path(f"/proc/{proxy.pid}/status")
        peak = status.read_text().partition("VmHWM:")[2].split()[0] if status.exists() else "0"
        print(f"@cot keeps {statistics.median(kept):.1%} of its rate ({min(kept):.1%} to {max(kept):.1%}); "
              f"/healthz p99 {percentile(all_waits, 0.99):.0f} ms of {len(all_waits)}; "
              f"the proxy's memory {int(peak) / 1024:.0f} MB at most")  # fmt: skip


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with contextlib.suppress(KeyboardInterrupt):
        match sys.argv[1:]:
            case ["server"]:
                asyncio.run(hostile_server())
            case ["client", base_url, key]:
                asyncio.run(hostile_client(base_url, key))
            case [*numbers]:
                main(*map(int, numbers))
