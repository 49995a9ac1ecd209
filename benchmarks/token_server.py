"""An OpenAI-compatible loopback server that writes a thought token by token, an event each. Prints its port.

Its pace is a server's with many slots, so that a client reads an event at a time, as it does in the field.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re

TOKENS, SECONDS = 200, 0.006
"""Tokens of a reply, and between two of them."""

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 40, "completion_tokens": TOKENS}


def event(delta: dict[str, str], finish_reason: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """A chunk of the reply as vLLM writes it, in a chunk of HTTP's."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, "token_ids": None}
    body = {"id": "chatcmpl-7d0f4c0e9b1a", "object": "chat.completion.chunk", "created": 0, "model": "zero",
            "choices": [choice], "usage": usage}  # fmt: skip
    return framed(b"data: " + json.dumps(body).encode() + b"\n\n")


def framed(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


TOKEN = event({"reasoning_content": " token"})
END = (
    event({"content": "The answer is \\boxed{4}"})
    + event({}, "stop", USAGE)
    + framed(b"data: [DONE]\n\n")
    + framed(b"")
)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            asked = LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(asked[1]))
            writer.write(HEAD)
            for _ in range(TOKENS):
                writer.write(TOKEN)
                await asyncio.sleep(SECONDS)
            writer.write(END)
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
