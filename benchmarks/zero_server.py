"""A zero-latency OpenAI-compatible loopback server: the least a model server can cost. Prints its port.

Written on asyncio's protocol directly, so that its own cost stays small beside the client's that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib

CHUNKS = (
    b'data: {"model":"zero","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
    b'data: {"model":"zero","choices":[{"index":0,"delta":{"content":"The answer is \\\\boxed{4}"}}]}\n\n',
    b'data: {"model":"zero","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"model":"zero","choices":[],"usage":{"prompt_tokens":40,"completion_tokens":8}}\n\n',
    b"data: [DONE]\n\n",
)
BODY = b"".join(CHUNKS)
REPLY = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: " + str(len(BODY)).encode() + b"\r\n\r\n"
) + BODY


class Zero(asyncio.Protocol):
    """Answers every request on a connection with the same four chunks."""

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
            self.buffer = self.buffer[end + 4 + length :]
            self.transport.write(REPLY)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Zero, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
