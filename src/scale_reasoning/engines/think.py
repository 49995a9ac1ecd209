"""Separates thoughts from the text of a reply, for servers without a reasoning parser.

Decides by the marks alone what is reasoning, in a stream of pieces that are cut anywhere.
"""

from __future__ import annotations

from typing import Literal

from scale_reasoning.profiles import FINAL, KNOWN_MARKS
from scale_reasoning.types import THINK, Delta, Marks

LONGEST_LEAD = 1_000
"""Characters of white space after which no thought can begin."""

_START, _BODY, _END, _RETURN = "<|start|>assistant", "<|message|>", "<|end|>", "<|return|>"
"""Marks around the messages of a gpt-oss reply that no server parsed."""

_STRIPPED, _STRIPPED_FINAL = "analysis", "assistantfinal"
"""The rest of gpt-oss's marks where a server drops special tokens: `analysisTwo ... assistantfinalFour.`"""

_PROSE = {f"{here} my thought process:": f"{here} my response:" for here in ("Here is", "Here's")}
"""Granite's marks are sentences that other models write too. What they open and do not close is a thought only where
the reply was cut off.
"""

_ORPHANS = tuple(dict.fromkeys(close for _, close in KNOWN_MARKS if close == FINAL or "think" in close.lower()))
"""Closing marks that a reply can have alone, because the chat template opened the thought."""


class ThinkSplitter:
    """Takes pieces of content and returns deltas as soon as it is certain of them.

    A thought can begin only where the reply begins: the model mentions a later `<think>`, it does not think there.
    `think` are the marks of the model's family; all other known pairs are recognised too. `inside`: the chat template
    opens the thought, so the reply is assumed to begin inside it.
    """

    __slots__ = ("_assumed", "_closes", "_header", "_held", "_marks", "_reasoning", "_state", "_text")

    def __init__(self, *, inside: bool, think: Marks = THINK) -> None:
        self._state: Literal["start", "inside", "closed", "outside", "apart"] = "start"
        self._assumed = inside
        self._marks = KNOWN_MARKS if think in KNOWN_MARKS else (think, *KNOWN_MARKS)
        self._closes = (think[1],) if think[1] == THINK[1] else (think[1], THINK[1])
        self._header = False
        self._held = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []

    @property
    def emitted(self) -> tuple[str, str]:
        """(text, reasoning) of the deltas so far."""
        return "".join(self._text), "".join(self._reasoning)

    @property
    def closes(self) -> tuple[str, ...]:
        """The marks that may close the thought; a single one as soon as the opening mark is known."""
        return self._closes

    def feed(self, piece: str) -> Delta | None:
        """What `piece` makes certain. What may be the beginning of a mark is held back."""
        held, reasoning = self._held + piece, ""
        if self._state == "start":
            held = self._read_start(held)
        if self._state == "inside":
            reasoning, held = self._read_thought(held)
        if self._state == "closed":
            held = self._read_text_start(held)
        text, self._held = (held, "") if self._state in ("outside", "apart") else ("", held)
        return self._add(text, reasoning)

    def disable(self) -> None:
        """From now on all content is text, because the server parses reasoning itself."""
        self._state, self._assumed = "apart", False

    def end(self) -> Delta | None:
        """What was held back, at the end of the reply."""
        held, self._held = self._held, ""
        inside = self._state == "inside" or (self._state == "start" and self._assumed)
        return self._add("", held) if inside else self._add(held, "")

    def split(self, *, cut_off: bool) -> tuple[str, str]:
        """(text, reasoning) of the whole reply, which may differ from what was emitted.

        A closing mark without an opening one closes a thought, too. A thought that was only assumed, not closed and not
        cut off is text: the server hides its reasoning. What a cut-off reply opens and does not close is a thought at
        any position, so that no answer is taken from it.
        """
        text, reasoning = self.emitted
        if self._state == "apart":
            return text, reasoning
        if self._assumed and not cut_off:
            text, reasoning = reasoning + text, ""
        at, close = max((text.rfind(close), close) for close in (*self._closes, *_ORPHANS))
        if at >= 0:
            tail = text[at + len(close) :]
            reasoning, text = reasoning + text[:at], (_drop_header(tail) if close == FINAL else tail).lstrip()
        if self._closes == (_STRIPPED_FINAL,):
            reasoning = reasoning.removeprefix(_STRIPPED)
        if FINAL in self._closes or (at >= 0 and close == FINAL):
            text = text.removesuffix(_RETURN).removesuffix(_END)
            reasoning = reasoning.removesuffix(_START).removesuffix(_END)
        if cut_off:
            at = min((at for marks in self._marks if (at := _find_unclosed(text, *marks)) >= 0), default=len(text))
            text, reasoning = text[:at], reasoning + text[at:]
        return text, reasoning

    def _read_start(self, held: str) -> str:
        """Finds out whether the reply begins with an opening mark; returns what is left to read."""
        lead = held.lstrip()
        if len(held) - len(lead) > LONGEST_LEAD:
            self._state = "inside" if self._assumed else "outside"
            return held
        for opening, close in self._marks:
            if lead.startswith(opening):
                self._state, self._assumed, self._closes = "inside", False, (close,)
                return lead[len(opening) :]
        if lead.startswith(_STRIPPED) and lead[len(_STRIPPED) : len(_STRIPPED) + 1].isupper():
            self._state, self._assumed, self._closes = "inside", True, (_STRIPPED_FINAL,)
            return lead
        if opening := next((each for each in _PROSE if lead.startswith(each)), None):
            self._state, self._assumed, self._closes = "inside", True, (_PROSE[opening],)
            return lead
        if not any(opening.startswith(lead) for opening in (*dict(self._marks), _STRIPPED, *_PROSE)):
            self._state = "inside" if self._assumed else "outside"
        return held

    def _read_thought(self, held: str) -> tuple[str, str]:
        """(reasoning, what is left to read) inside a thought."""
        if not (self._assumed or self._reasoning):
            held = held.lstrip("\n")
        found = [(at, close) for close in self._closes if (at := held.find(close)) >= 0]
        if found:
            at, close = min(found)
            self._state, self._assumed, self._header = "closed", False, close == FINAL
            return held[:at], held[at + len(close) :]
        sure = len(held) - max(_partial_length(held, close) for close in self._closes)
        return held[:sure], held[sure:]

    def _read_text_start(self, held: str) -> str:
        """Drops white space and the header of a gpt-oss message after a thought; returns what is left to read."""
        if self._header:
            if _BODY not in held[:LONGEST_LEAD] and len(held) < LONGEST_LEAD:
                return held
            held, self._header = _drop_header(held), False
        if held := held.lstrip():
            self._state = "outside"
        return held

    def _add(self, text: str, reasoning: str) -> Delta | None:
        if text:
            self._text.append(text)
        if reasoning:
            self._reasoning.append(reasoning)
        return Delta(text=text, reasoning=reasoning) if text or reasoning else None


def find_open_thought(prompt: str, think: Marks = THINK) -> Marks | None:
    """The marks of the thought that the end of a prompt opens; None where it opens none."""
    prompt = prompt.rstrip()
    return next((marks for marks in (think, *KNOWN_MARKS) if prompt.endswith(marks[0].rstrip())), None)


def _drop_header(tail: str) -> str:
    at = tail.find(_BODY, 0, LONGEST_LEAD)
    return tail[at + len(_BODY) :] if at >= 0 else tail


def _find_unclosed(text: str, opening: str, close: str) -> int:
    """Position of the first thought that is not closed, -1 if there is none."""
    return text.find(opening, text.rfind(close) + 1)


def _partial_length(text: str, close: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing mark."""
    at = text.find(close[0], max(0, len(text) - len(close) + 1))
    while at >= 0 and not close.startswith(text[at:]):
        at = text.find(close[0], at + 1)
    return len(text) - at if at >= 0 else 0
