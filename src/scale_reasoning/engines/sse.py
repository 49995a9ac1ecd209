"""Reads server-sent events from chunks of bytes that are cut anywhere. Knows nothing of what the events say."""

from __future__ import annotations

from scale_reasoning.errors import Malformed

LONGEST_LINE = 2**20
"""Bytes; a longer line is not an event stream."""


BEATS = {b"ping", b"keepalive", b"keep-alive", b"heartbeat"}
"""Types of events that only keep the connection open; their data is ignored."""


class EventReader:
    """Takes chunks, returns the data of complete events. Comments and other fields are ignored."""

    __slots__ = ("_data", "_held", "_kind", "_rest")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held = 0
        self._kind = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that `chunk` completes. Raises Malformed for a line that is too long."""
        self._rest.append(chunk)
        self._held += len(chunk)
        lines: list[bytes] = []
        if b"\n" in chunk or b"\r" in chunk:  # a long line is joined once, not with every chunk
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
        """Data of the last event, for servers that leave out the last blank line."""
        return self.feed(b"\n\n")


def _lines(buffer: bytes) -> list[bytes]:
    """The lines of a stream with carriage returns, and last the rest after the last complete line.

    A line with a return at the very end of the buffer is not complete: a line feed may follow.
    """
    lines = buffer.splitlines(keepends=True)
    rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
    return [*(line.rstrip(b"\r\n") for line in lines), rest]
