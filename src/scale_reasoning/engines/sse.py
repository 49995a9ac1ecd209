"""Server-sent events out of chunks of bytes, wherever the chunks are cut. Knows nothing of what the events say."""

from __future__ import annotations

from scale_reasoning.errors import Malformed

LONGEST_LINE = 2**20
"""Bytes; a longer line is not an event stream."""


BEATS = {b"ping", b"keepalive", b"keep-alive", b"heartbeat"}
"""Types of events that only keep the connection open, whatever their data."""


class EventReader:
    """Feed it chunks, get the data of complete events. Comments and other fields are passed over."""

    __slots__ = ("_data", "_held", "_kind", "_rest")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held = 0
        self._kind = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that `chunk` completes. Raises Malformed when a line never ends."""
        self._rest.append(chunk)
        self._held += len(chunk)
        lines: list[bytes] = []
        if b"\n" in chunk or b"\r" in chunk:  # a long line is put together once, not with every chunk
            buffer = b"".join(self._rest)
            *lines, rest = buffer.split(b"\n") if b"\r" not in buffer else _lines(buffer)
            self._rest, self._held = [rest], len(rest)
        if self._held > LONGEST_LINE:
            raise Malformed(f"a line of over {LONGEST_LINE} bytes in the event stream")
        events: list[bytes] = []
        for line in lines:
            field, colon, value = line.partition(b":")
            if colon and field in (b"data", b"error"):  # older llama.cpp servers have a field for errors
                self._data.append(value.removeprefix(b" "))
            elif field == b"event":
                self._kind = value.strip()
            elif not line:
                if self._data and self._kind not in BEATS:
                    events.append(b"\n".join(self._data))
                self._data.clear()
                self._kind = b""
        return events

    def end(self) -> list[bytes]:
        """Data of an event that the end of the stream completes, for servers that leave out the last blank line."""
        return self.feed(b"\n\n")


def _lines(buffer: bytes) -> list[bytes]:
    """The lines of a stream that has carriage returns, and what is left over after the last end of a line.

    A return at the very end is left over with its line: what follows decides whether it ends the line alone.
    """
    lines = buffer.splitlines(keepends=True)
    rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
    return [*(line.rstrip(b"\r\n") for line in lines), rest]
