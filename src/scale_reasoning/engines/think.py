"""Part inline `<think>` text from the reply, for servers without a reasoning parser.

Decides what is reasoning by the tags alone, on a stream of pieces cut anywhere.
"""

from __future__ import annotations

from typing import Literal

from scale_reasoning.types import Delta

OPEN, CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Feed it pieces of content, get deltas as soon as it is sure of them.

    Only a reply's beginning can open a thought: a later `<think>` is something the model talks about. `inside` says
    that the chat template is known to open it, so the reply is taken to begin within.
    """

    __slots__ = ("_assumed", "_held", "_reasoning", "_state", "_text")

    def __init__(self, *, inside: bool) -> None:
        self._state: Literal["start", "inside", "outside"] = "inside" if inside else "start"
        self._assumed = inside
        self._held = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []

    def feed(self, piece: str) -> Delta | None:
        """What `piece` makes certain; the beginning of a tag is held back until the rest shows."""
        held = self._held + piece
        text = reasoning = ""
        if self._state == "start":
            lead = held.lstrip()
            if lead.startswith(OPEN):
                self._state, held = "inside", lead[len(OPEN) :].lstrip("\n")
            elif not OPEN.startswith(lead):
                self._state = "outside"
        if self._state == "inside":
            reasoning, tag, rest = held.partition(CLOSE)
            if tag:
                self._state, self._assumed, held = "outside", False, rest
            else:
                kept = _partial(held)
                reasoning, held = held[: len(held) - kept], held[len(held) - kept :]
        if self._state == "outside":
            text, held = (held if self._text or not (self._reasoning or reasoning) else held.lstrip()), ""
        self._held = held
        return self._add(text, reasoning)

    def served_apart(self) -> None:
        """The server parses reasoning itself, so its content is text from the first character."""
        self._state, self._assumed = "outside", False

    def end(self) -> Delta | None:
        """What was held back, now that no more comes."""
        held, self._held = self._held, ""
        return self._add("", held) if self._state == "inside" else self._add(held, "")

    def parts(self, *, cut_off: bool) -> tuple[str, str]:
        """(text, reasoning) of the whole reply.

        A `</think>` that nothing opened closes a thought all the same. A thought that was only assumed, never closed
        and not cut off was none: the server keeps its reasoning to itself.
        """
        text, reasoning = "".join(self._text), "".join(self._reasoning).removeprefix(OPEN)
        if self._assumed and not cut_off:
            return reasoning + text, ""
        head, tag, tail = text.rpartition(CLOSE)
        return (tail.lstrip(), reasoning + head) if tag else (text, reasoning)

    def _add(self, text: str, reasoning: str) -> Delta | None:
        if text:
            self._text.append(text)
        if reasoning:
            self._reasoning.append(reasoning)
        return Delta(text=text, reasoning=reasoning) if text or reasoning else None


def _partial(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    longest = min(len(text), len(CLOSE) - 1)
    return next((size for size in range(longest, 0, -1) if CLOSE.startswith(text[-size:])), 0)
