"""A loopback model server that takes its time: every stage answered in the right form after a delay. Prints its port.

    python benchmarks/delayed_server.py [median seconds] [sigma] [pieces]

A request's delay is log-normal around the median and follows from its seed alone, so whoever asks the same waits as
long. A reply is streamed in so many pieces over that time. As cheap as zero_server.py otherwise: clients are
measured, not it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator

SEED = re.compile(rb'"seed": ?(\d+)')
SCHEMA = re.compile(rb'"json_schema": ?\{"name": ?"(\w+)"')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWER = "It is \\boxed{4}."


def seconds_of(seed: int, median: float, sigma: float) -> float:
    return median * random.Random(seed).lognormvariate(0, sigma)


def reply_to(schema: bytes | None, chance: random.Random) -> str:
    """Four to six sub-problems, half of them hard."""
    if schema == b"decomposition":
        return json.dumps({"subproblems": [f"Part {n} of {chance.random()}?" for n in range(chance.randint(4, 6))]})
    if schema == b"choice":
        return '{"choice": 1}'
    return ANSWER if schema is None else json.dumps({"difficulty": round(chance.random(), 2)})


def event(chunk: object) -> bytes:
    data = b"data: " + (b"[DONE]" if chunk is None else json.dumps(chunk).encode()) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def said(text: str) -> bytes:
    return event({"model": "delayed", "choices": [{"index": 0, "delta": {"content": text}}]})


END = b"".join([
    event({"model": "delayed", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    event({"model": "delayed", "choices": [], "usage": {"prompt_tokens": 400, "completion_tokens": 200}}),
    event(None),
    b"0\r\n\r\n",
])  # fmt: skip


class Delayed(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, median: float, sigma: float, pieces: int) -> None:
        self.median, self.sigma, self.pieces = median, sigma, pieces
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        at = self.buffer[:end].lower().find(b"content-length:")
        length = int(self.buffer[at + 15 : end].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if end >= 0 and len(self.buffer) >= end + 4 + length:
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.answer(body)

    def answer(self, body: bytes) -> None:
        named, schema = SEED.search(body), SCHEMA.search(body)
        seed = int(named[1]) if named else 0
        text = reply_to(schema[1] if schema else None, random.Random(seed))
        loop, seconds = asyncio.get_running_loop(), seconds_of(seed, self.median, self.sigma)
        words = [text, *[" and so on"] * (self.pieces - 1)] if schema is None else [text]
        for number, word in enumerate(words, 1):
            head, tail = HEAD if number == 1 else b"", END if number == len(words) else b""
            loop.call_later(seconds * number / len(words), self.write, head + said(word) + tail)

    def write(self, content: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(content)


@contextlib.contextmanager
def serving(median: float, sigma: float = 0.0, pieces: int = 1) -> Iterator[str]:
    """Its base URL, the server in a process of its own."""
    command = [sys.executable, __file__, str(median), str(sigma), str(pieces)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


async def main() -> None:
    median, sigma, pieces = (float(word) for word in (*sys.argv[1:], *("0", "0", "1")[len(sys.argv) - 1 :]))
    server = await asyncio.get_running_loop().create_server(
        lambda: Delayed(median, sigma, int(pieces)), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
