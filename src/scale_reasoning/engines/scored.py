"""The tokens of a checkpoint's reply as texts with their log-probabilities. Which of them count is logprobs.py's."""

from __future__ import annotations

from typing import Any

from scale_reasoning.engines.decoding import Row
from scale_reasoning.engines.logprobs import RawToken, select_tokens
from scale_reasoning.types import Token


class ScoredTokens:
    """Add each token of the row as it comes."""

    def __init__(self, backend: Any, row: Row) -> None:
        self._backend, self._row = backend, row
        self._before, self._count = row.prompt[-1], 0  # the text of a token may depend on the token before it
        added: dict[int, Any] = backend.get_added_tokens_decoder()
        self._special = {token for token, about in added.items() if about.special}
        self._tokens: list[RawToken] = []

    def add(self, token: int, piece: str | None) -> None:
        """Adds a token with the text that it completed: None for a part of a character, and for a special token."""
        scores = self._row.scores[self._count]
        self._count += 1
        if piece is not None or token not in self._special:
            written = self._backend.decode([self._before], skip_special_tokens=False)
            top = tuple((self._text_after(written, other), logprob) for other, logprob in scores.top)
            text = piece or ""
            self._tokens.append(RawToken(Token(text=text, logprob=scores.logprob, top=top), text.encode()))
        self._before = token

    def select(self, text: str) -> tuple[Token, ...] | None:
        """Those of the reply's text; None where that cannot be told."""
        return select_tokens(self._tokens, text)

    def _text_after(self, written: str, token: int) -> str:
        both: str = self._backend.decode([self._before, token], skip_special_tokens=False)
        alone: str = self._backend.decode([token], skip_special_tokens=False)
        return both.removeprefix(written) if both.startswith(written) else alone
