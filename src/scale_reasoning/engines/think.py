"""Part inline thoughts from the reply, for servers without a reasoning parser.

Decides what is reasoning by the marks alone, on a stream of pieces cut anywhere.
"""

from __future__ import annotations

from typing import Literal

from scale_reasoning.profiles import FINAL, KNOWN_MARKS
from scale_reasoning.types import THINK, Delta, Marks

LONGEST_LEAD = 1_000
"""Characters of white space after which no thought is opened any more."""

_START, _BODY, _END, _RETURN = "<|start|>assistant", "<|message|>", "<|end|>", "<|return|>"
"""What stands around the messages of a gpt-oss reply that nobody parsed."""

_STRIPPED, _STRIPPED_FINAL = "analysis", "assistantfinal"
"""What is left of the marks of gpt-oss where a server drops special tokens: `analysisTwo ... assistantfinalFour.`"""

_PROSE = {f"{here} my thought process:": f"{here} my response:" for here in ("Here is", "Here's")}
"""Granite's marks are sentences that other models write too: what they open and do not close is a thought only where
the reply was cut off.
"""

_ORPHANS = tuple(dict.fromkeys(close for _, close in KNOWN_MARKS if close == FINAL or "think" in close.lower()))
"""Marks that close a thought which the chat template opened, so that the reply has only these."""


class ThinkSplitter:
    """Feed it pieces of content, get deltas as soon as it is sure of them.

    Only a reply's beginning can open a thought: a later `<think>` is something the model talks about. `think` are the
    marks of the model's family; every other known pair is recognised too. `inside` says that the chat template is known
    to open the thought, so the reply is taken to begin within.
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
    def told(self) -> tuple[str, str]:
        """(text, reasoning) of the deltas so far."""
        return "".join(self._text), "".join(self._reasoning)

    @property
    def closes(self) -> tuple[str, ...]:
        """The marks that may close the thought: one once it is known how it was opened."""
        return self._closes

    def feed(self, piece: str) -> Delta | None:
        """What `piece` makes certain; the beginning of a mark is held back until the rest shows."""
        held, reasoning = self._held + piece, ""
        if self._state == "start":
            held = self._opened(held)
        if self._state == "inside":
            reasoning, held = self._thought(held)
        if self._state == "closed":
            held = self._begun(held)
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

        A closing mark that nothing opened closes a thought all the same. A thought that was only assumed, never closed
        and not cut off was none: the server keeps its reasoning to itself. What a cut-off reply opened and did not
        close is a thought wherever it stands, so that no answer is taken from it.
        """
        text, reasoning = self.told
        if self._state == "apart":
            return text, reasoning
        if self._assumed and not cut_off:
            text, reasoning = reasoning + text, ""
        at, close = max((text.rfind(close), close) for close in (*self._closes, *_ORPHANS))
        if at >= 0:
            tail = text[at + len(close) :]
            reasoning, text = reasoning + text[:at], (_bare(tail) if close == FINAL else tail).lstrip()
        if self._closes == (_STRIPPED_FINAL,):
            reasoning = reasoning.removeprefix(_STRIPPED)
        if FINAL in self._closes or (at >= 0 and close == FINAL):
            text = text.removesuffix(_RETURN).removesuffix(_END)
            reasoning = reasoning.removesuffix(_START).removesuffix(_END)
        if cut_off:
            at = min((at for marks in self._marks if (at := _unclosed(text, *marks)) >= 0), default=len(text))
            text, reasoning = text[:at], reasoning + text[at:]
        return text, reasoning

    def _opened(self, held: str) -> str:
        """What is left to read once it shows whether the reply begins with an opening mark."""
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

    def _thought(self, held: str) -> tuple[str, str]:
        """(reasoning, what is left to read) of the inside of a thought."""
        if not (self._assumed or self._reasoning):
            held = held.lstrip("\n")
        found = [(at, close) for close in self._closes if (at := held.find(close)) >= 0]
        if found:
            at, close = min(found)
            self._state, self._assumed, self._header = "closed", False, close == FINAL
            return held[:at], held[at + len(close) :]
        sure = len(held) - max(_partial(held, close) for close in self._closes)
        return held[:sure], held[sure:]

    def _begun(self, held: str) -> str:
        """What is left to read once the text after a thought begins; the header of a gpt-oss message is dropped."""
        if self._header:
            if _BODY not in held[:LONGEST_LEAD] and len(held) < LONGEST_LEAD:
                return held
            held, self._header = _bare(held), False
        if held := held.lstrip():
            self._state = "outside"
        return held

    def _add(self, text: str, reasoning: str) -> Delta | None:
        if text:
            self._text.append(text)
        if reasoning:
            self._reasoning.append(reasoning)
        return Delta(text=text, reasoning=reasoning) if text or reasoning else None


def opened_by(prompt: str, think: Marks = THINK) -> Marks | None:
    """The marks of the thought that a prompt ends in, so that the reply begins inside it; None where it opens none."""
    prompt = prompt.rstrip()
    return next((marks for marks in (think, *KNOWN_MARKS) if prompt.endswith(marks[0].rstrip())), None)


def _bare(tail: str) -> str:
    at = tail.find(_BODY, 0, LONGEST_LEAD)
    return tail[at + len(_BODY) :] if at >= 0 else tail


def _unclosed(text: str, opening: str, close: str) -> int:
    """Where the first thought begins that is not closed, -1 where none does."""
    return text.find(opening, text.rfind(close) + 1)


def _partial(text: str, close: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing mark."""
    at = text.find(close[0], max(0, len(text) - len(close) + 1))
    while at >= 0 and not close.startswith(text[at:]):
        at = text.find(close[0], at + 1)
    return len(text) - at if at >= 0 else 0
