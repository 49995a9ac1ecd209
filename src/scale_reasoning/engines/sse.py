"""Server-sent events out of chunks of bytes, wherever the chunks are cut. Knows nothing of what the events say."""

from __future__ import annotations

from scale_reasoning.errors import Malformed

LONGEST_LINE = 16 * 2**20
"""Bytes; a longer line is not an event stream."""


class EventReader:
    """Feed it chunks, get the data of complete events. Comments and other fields are passed over."""

    __slots__ = ("_data", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that `chunk` completes. Raises Malformed when a line never ends."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise Malformed(f"a line of over {LONGEST_LINE} bytes in the event stream")
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        return events

    def end(self) -> list[bytes]:
        """Data of an event that the end of the stream completes, for servers that leave out the last blank line."""
        events: list[bytes] = []
        for line in (self._rest, b""):
            self._line(line, events)
        self._rest = b""
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if line.endswith(b"\r"):
            line = line[:-1]
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line and self._data:
            events.append(b"\n".join(self._data))
            self._data.clear()
