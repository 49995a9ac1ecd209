"""Part inline `<think>` text from the reply, for servers without a reasoning parser.

Decides what is reasoning by the tags alone, on a stream of pieces cut anywhere.
"""

from __future__ import annotations

from typing import Literal

from scale_reasoning.types import Delta

OPEN, CLOSE = "<think>", "</think>"
LONGEST_LEAD = 1_000
"""Characters of white space after which no thought is opened any more."""


class ThinkSplitter:
    """Feed it pieces of content, get deltas as soon as it is sure of them.

    Only a reply's beginning can open a thought: a later `<think>` is something the model talks about. `inside` says
    that the chat template is known to open it, so the reply is taken to begin within.
    """

    __slots__ = ("_assumed", "_held", "_reasoning", "_state", "_text")

    def __init__(self, *, inside: bool) -> None:
        self._state: Literal["start", "inside", "closed", "outside", "apart"] = "start"
        self._assumed = inside
        self._held = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []

    @property
    def told(self) -> tuple[str, str]:
        """(text, reasoning) of the deltas so far."""
        return "".join(self._text), "".join(self._reasoning)

    def feed(self, piece: str) -> Delta | None:
        """What `piece` makes certain; the beginning of a tag is held back until the rest shows."""
        held, reasoning = self._held + piece, ""
        if self._state == "start":
            held = self._opened(held)
        if self._state == "inside":
            reasoning, held = self._thought(held)
        if self._state == "closed" and (held := held.lstrip()):
            self._state = "outside"
        text, self._held = (held, "") if self._state in ("outside", "apart") else ("", held)
        return self._add(text, reasoning)

    def served_apart(self) -> None:
        """The server parses reasoning itself, so its content is text from the first character to the last."""
        self._state, self._assumed = "apart", False

    def end(self) -> Delta | None:
        """What was held back, now that no more comes."""
        held, self._held = self._held, ""
        inside = self._state == "inside" or (self._state == "start" and self._assumed)
        return self._add("", held) if inside else self._add(held, "")

    def parts(self, *, cut_off: bool) -> tuple[str, str]:
        """(text, reasoning) of the whole reply; where they are not what was told, that was told too soon.

        A `</think>` that nothing opened closes a thought all the same. A thought that was only assumed, never closed
        and not cut off was none: the server keeps its reasoning to itself.
        """
        text, reasoning = self.told
        if self._assumed and not cut_off:
            return reasoning + text, ""
        head, tag, tail = text.rpartition(CLOSE)
        return (tail.lstrip(), reasoning + head) if tag and self._state != "apart" else (text, reasoning)

    def _opened(self, held: str) -> str:
        """What is left to read once it shows whether the reply begins with the tag."""
        lead = held.lstrip()
        far = len(held) - len(lead) > LONGEST_LEAD
        if lead.startswith(OPEN) and not far:
            self._state, self._assumed, held = "inside", False, lead[len(OPEN) :]
        elif far or not OPEN.startswith(lead):
            self._state = "inside" if self._assumed else "outside"
        return held

    def _thought(self, held: str) -> tuple[str, str]:
        """(reasoning, what is left to read) of the inside of a thought."""
        if not (self._assumed or self._reasoning):
            held = held.lstrip("\n")
        reasoning, tag, rest = held.partition(CLOSE)
        if tag:
            self._state, self._assumed = "closed", False
            return reasoning, rest
        sure = len(held) - _partial(held)
        return held[:sure], held[sure:]

    def _add(self, text: str, reasoning: str) -> Delta | None:
        if text:
            self._text.append(text)
        if reasoning:
            self._reasoning.append(reasoning)
        return Delta(text=text, reasoning=reasoning) if text or reasoning else None


def _partial(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    _, bracket, begun = text.rpartition(CLOSE[0])  # which stands in the tag only once
    return len(bracket + begun) if CLOSE.startswith(bracket + begun) else 0
