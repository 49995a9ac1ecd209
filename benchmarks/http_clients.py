"""CPU of a chat completion by aiohttp and by httpx2, streamed, in one run, in turn: the choice behind engines/http.

python benchmarks/http_clients.py [requests] [in flight]
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

BODY = {"model": "zero", "stream": True, "messages": [{"role": "user", "content": "What is 2 + 2? " * 40}]}


async def spread(count: int, in_flight: int, one) -> float:
    """CPU seconds of this process for `count` runs of `one`, `in_flight` at a time."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await one()

    before = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())
    return time.process_time() - before


async def with_aiohttp(url: str, count: int, in_flight: int) -> float:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> None:
            async with session.post(url, json=BODY) as response:
                async for _ in response.content:
                    pass

        await spread(in_flight * 2, in_flight, one)
        return await spread(count, in_flight, one)


async def with_httpx2(url: str, count: int, in_flight: int) -> float:
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:

        async def one() -> None:
            async with client.stream("POST", url, json=BODY) as response:
                async for _ in response.aiter_lines():
                    pass

        await spread(in_flight * 2, in_flight, one)
        return await spread(count, in_flight, one)


def main() -> None:
    count, in_flight = (int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 64)
    server = subprocess.Popen([sys.executable, Path(__file__).with_name("zero_server.py")], stdout=subprocess.PIPE)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1/chat/completions"
        for round_number in range(3):
            a = asyncio.run(with_aiohttp(url, count, in_flight)) / count * 1e6
            h = asyncio.run(with_httpx2(url, count, in_flight)) / count * 1e6
            print(f"round {round_number}: aiohttp {a:.0f} us, httpx2 {h:.0f} us a request, httpx2/aiohttp {h / a:.2f}")
    finally:
        server.kill()


if __name__ == "__main__":
    main()
