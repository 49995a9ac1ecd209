"""How many new tokens to ask for after a server said that prompt and reply do not fit its window; and who is to blame.

Servers count in different ways: some tell the prompt's tokens, some a lower bound, some the window alone, some nothing.
What they do not tell is estimated from the prompt's bytes.
"""

from __future__ import annotations

from dataclasses import replace

from scale_reasoning.errors import ContextOverflow, WindowRefusal
from scale_reasoning.types import Message, Request

MIN_NEW_TOKENS = 16
"""A window with less room than this after the prompt counts as overflowing."""

MOST_REQUESTS = 3
"""Requests for one reply, the first included."""

HOPEFUL, CAUTIOUS = 4, 2
"""Bytes per token: English prose reaches four, formulas and digits come down to two."""

SPARE = 64
"""New tokens that are given up when a server's own count did not fit either."""

TEMPLATE = 1024
"""Tokens that a chat template may add to a prompt."""

ANY_WINDOW = 4096
"""Tokens that a server's window has, where the server says nothing about it: a prompt within them is not too long."""


def prompt_tokens(messages: tuple[Message, ...], bytes_per_token: int) -> int:
    """A prompt's tokens, estimated from its text because there is no tokenizer; eight per message for the template."""
    return sum(len(message.content.encode()) // bytes_per_token + 8 for message in messages)


class Fit:
    """One request, and what refusals said about its room. `request` is what to send next.

    `window` is what the window is believed to be, in tokens; what a server says of it goes first.
    """

    def __init__(self, request: Request, window: int | None) -> None:
        self.request = request
        self._believed = window
        self._hopeful = prompt_tokens(request.messages, HOPEFUL)
        self._cautious = prompt_tokens(request.messages, CAUTIOUS)
        self._least = self._hopeful
        self._most = 2 * self._cautious + TEMPLATE  # no text has more tokens than bytes
        self._requests = 1

    def shrink(self, error: ContextOverflow) -> None:
        """Prepares a request with fewer new tokens. Raises the overflow when none can help.

        The model is to blame for it only where the prompt itself does not fit: by the server's count, by its lower
        bound, or by the cautious estimate. Otherwise it is raised as a WindowRefusal, an infrastructure error.
        """
        sent = self.request.max_tokens
        window, counted = self._read_counts(error, sent)
        if window is None:
            if not self._fits(ANY_WINDOW):
                raise error  # nothing is known but the server's word
            window = ANY_WINDOW
            room = self._room(window, counted) if self._requests > 1 or sent is None else sent // 2
        else:
            room = self._room(window, counted)
        if sent is not None and room >= sent and counted is None:
            room = sent // 2
        if room < MIN_NEW_TOKENS or self._requests == MOST_REQUESTS or (sent is not None and room >= sent):
            raise self._blame(error, window, counted)
        self._requests += 1
        self.request = replace(self.request, max_tokens=room)

    def _fits(self, window: int) -> bool:
        """Whether the prompt fits a window of so many tokens however its text is split into tokens."""
        return self._most <= window

    def _read_counts(self, error: ContextOverflow, sent: int | None) -> tuple[int | None, int | None]:
        """(window, the prompt's tokens), as far as they are known."""
        window, counted = error.window or self._believed, error.prompt_tokens
        if window is not None and counted is not None and sent is not None and counted == window - sent + 1:
            # vLLM stops counting there: a lower bound, whatever the wording.
            self._least, counted = max(self._least, counted), None
        elif counted is not None and sent is not None and counted > self._most and 0 < counted - sent <= self._most:
            # More than this text can have: the reply that was asked for is counted as well.
            counted -= sent
        if window is None:
            return None, counted
        if error.at_least is not None:
            self._least = max(self._least, error.at_least)
        elif counted is None and error.window is not None and sent is not None and self._cautious > window // 2:
            self._least = max(self._least, window - sent + 1)
        return window, counted

    def _room(self, window: int, counted: int | None) -> int:
        """New tokens that fit after the prompt: by the server's count, else by an estimate, else by less."""
        if counted is not None:
            return window - counted - (SPARE if self._requests > 1 else 0)
        if self._requests > 1 and self.request.max_tokens is not None:
            return self.request.max_tokens // 4
        cautious = window - self._cautious
        return cautious if cautious >= MIN_NEW_TOKENS else (window - self._least) // 2

    def _blame(self, error: ContextOverflow, window: int, counted: int | None) -> ContextOverflow:
        """The overflow as the model's doing, or as the server's."""
        if counted is not None:
            fits = window - counted >= MIN_NEW_TOKENS
        elif self._fits(window):
            fits = True
        else:
            # A refusal of so small a reply says that the prompt is longer than the rest; the estimate says otherwise.
            smallest = max(self.request.max_tokens or 0, MIN_NEW_TOKENS)
            fits = max(self._cautious, self._least) + smallest <= window
        if not fits:
            return error
        told = f"{self._hopeful:,} to {self._cautious:,}"
        message = f"{error}; but by its text the prompt has {told} tokens, which fit {window:,}: the server is to blame"
        refusal = WindowRefusal(message, error.prompt_tokens, error.window, error.at_least)
        refusal.said = error.said
        return refusal
