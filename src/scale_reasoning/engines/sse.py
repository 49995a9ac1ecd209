"""Server-sent events out of chunks of bytes, wherever the chunks are cut. Knows nothing of what the events say."""

from __future__ import annotations

from scale_reasoning.errors import Malformed

LONGEST_LINE = 2**20
"""Bytes; a longer line is not an event stream."""


class EventReader:
    """Feed it chunks, get the data of complete events. Comments and other fields are passed over."""

    __slots__ = ("_data", "_held", "_rest")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Data of the events that `chunk` completes. Raises Malformed when a line never ends."""
        self._rest.append(chunk)
        self._held += len(chunk)
        lines: list[bytes] = []
        if b"\n" in chunk:  # a long line is put together once, not with every chunk
            lines = b"".join(self._rest).replace(b"\r\n", b"\n").split(b"\n")
            rest = lines.pop()
            self._rest, self._held = [rest], len(rest)
        if self._held > LONGEST_LINE:
            raise Malformed(f"a line of over {LONGEST_LINE} bytes in the event stream")
        events: list[bytes] = []
        for line in lines:
            field, colon, value = line.partition(b":")
            if field == b"data" and colon:
                self._data.append(value.removeprefix(b" "))
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        return events

    def end(self) -> list[bytes]:
        """Data of an event that the end of the stream completes, for servers that leave out the last blank line."""
        return self.feed(b"\n\n")
