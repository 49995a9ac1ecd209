"""A zero-latency OpenAI-compatible loopback server: the least a model server can cost. Prints its port.

Streams where it is asked to, else answers whole, with `n` choices. Written on asyncio's protocol directly, so that its
own cost stays small beside the client's that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from functools import cache

CHUNKS = (
    b'data: {"model":"zero","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
    b'data: {"model":"zero","choices":[{"index":0,"delta":{"content":"The answer is \\\\boxed{4}"}}]}\n\n',
    b'data: {"model":"zero","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"model":"zero","choices":[],"usage":{"prompt_tokens":40,"completion_tokens":8}}\n\n',
    b"data: [DONE]\n\n",
)
BODY = b"".join(CHUNKS)
STREAMS = re.compile(rb'"stream": ?true')
CHOICES = re.compile(rb'"n": ?(\d+)')


@cache
def reply(kind: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@cache
def whole(choices: int) -> bytes:
    message = {"role": "assistant", "content": "The answer is \\boxed{4}"}
    body = {
        "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "zero",
        "choices": [{"index": n, "message": message, "finish_reason": "stop"} for n in range(choices)],
        "usage": {"prompt_tokens": 40, "completion_tokens": 8 * choices, "total_tokens": 40 + 8 * choices},
    }  # fmt: skip
    return reply("application/json", json.dumps(body).encode())


def answer(asked: bytes) -> bytes:
    if STREAMS.search(asked):
        return reply("text/event-stream", BODY)
    return whole(int(said[1]) if (said := CHOICES.search(asked)) else 1)


class Zero(asyncio.Protocol):
    """Answers every request on a connection with the same words."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            asked, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.transport.write(answer(asked))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Zero, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
