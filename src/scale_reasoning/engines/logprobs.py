"""Log-probabilities of a reply's tokens: reads what servers send, and finds the tokens that make up the text.

Servers give the tokens of thoughts, of marks and of the end of the turn, too, and some trim the text. The tokens that
are kept follow each other and concatenate to the text; the first may begin with white space, and the last end in white
space or a mark, that the text has not. A character that several tokens make is in the last of them; where a server left
such a character's tokens out or wrote U+FFFD, so do the tokens. None where the tokens of the text cannot be told.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from scale_reasoning.engines.pieces import join_surrogates
from scale_reasoning.engines.values import as_list, as_table
from scale_reasoning.profiles import KNOWN_MARKS
from scale_reasoning.types import JSON, Token

NEVER = -9999.0
"""What some servers send for minus infinity, and for a token that is too unlikely to be listed."""

ROUNDING = 1e-3
"""A logarithm up to this is a probability of 1 with a rounding error; a larger one is none."""

LONGEST_MARK, MOST_MARKS = 60, 8
"""Characters of a mark such as `<|im_end|>`, and tokens of marks at the end of a reply."""

_CLOSES = frozenset(close.strip() for _, close in KNOWN_MARKS)


class RawToken(NamedTuple):
    """A token as it was drawn, and its bytes, which may be a part of a character."""

    token: Token
    raw: bytes


class Malformed(ValueError):
    """It is no list of tokens with log-probabilities."""


class Logprobs:
    """The log-probabilities in a server's reply, each with at most `most` alternatives; one wrong shape voids all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tokens: list[RawToken] = []
        self._given, self._malformed = False, False

    def add(self, value: JSON) -> None:
        """Adds those of a choice's `logprobs`; null is none."""
        if value is None or self._malformed:
            return
        content = as_table(value).get("content")
        try:
            if content is None and isinstance(value, dict):
                return
            if not isinstance(content, list):
                raise Malformed
            self._tokens += [_read_token(each, self._most) for each in as_list(content)]
            self._given = True
        except Malformed:
            self._malformed = True

    def select(self, text: str) -> tuple[Token, ...] | None:
        """Those of the reply's text; None where the server gave none."""
        return select_tokens(self._tokens, text) if self._given and not self._malformed else None


def _read_token(value: JSON, most: int) -> RawToken:
    raw, number = _read_entry(value)
    if number is None:
        raise Malformed
    read = [_read_entry(each) for each in as_list(as_table(value).get("top_logprobs"))]
    top = sorted(
        ((_decode(text), each) for text, each in read if each is not None and each > NEVER),
        key=lambda pair: -pair[1],
    )
    return RawToken(Token(text=_decode(raw), logprob=number, top=tuple(top[:most])), raw)


def _read_entry(value: JSON) -> tuple[bytes, float | None]:
    """(bytes, log-probability) of one token; None for minus infinity, which grammars give to what they forbid."""
    table = as_table(value)
    text, number = table.get("token"), table.get("logprob")
    if not isinstance(text, str) or isinstance(number, bool) or not isinstance(number, int | float):
        raise Malformed
    if not number <= ROUNDING:  # also what is not a number
        raise Malformed
    # Of a part of a character the text is an escape or U+FFFD.
    raw = None if text.isascii() and "\\" not in text else _read_bytes(table.get("bytes"))
    raw = join_surrogates(text).encode() if raw is None else raw
    return raw, None if number < NEVER else min(0.0, float(number))


def _read_bytes(value: JSON) -> bytes | None:
    try:
        return bytes(as_list(value)) or None
    except (TypeError, ValueError):
        return None


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def limit_alternatives(tokens: Sequence[Token], most: int | None) -> tuple[Token, ...] | None:
    """The tokens with at most `most` alternatives each; None if none were asked for."""
    return None if most is None else tuple(replace(token, top=token.top[:most]) for token in tokens)


def select_tokens(tokens: Sequence[RawToken], text: str) -> tuple[Token, ...] | None:
    """The tokens of a text among all that were drawn for the reply; None where that cannot be told."""
    if not text:
        return ()
    raw, wanted = b"".join(each.raw for each in tokens), text.encode("utf-8", "replace")
    begin = raw.rfind(wanted)
    if begin < 0:
        return _select_all(tokens, text)
    end = begin + len(wanted)
    ends = list(accumulate(len(each.raw) for each in tokens))
    starts = [0, *ends[:-1]]
    inside = [at for at, stop in enumerate(ends) if stop > begin and starts[at] < end]
    before, after = raw[starts[inside[0]] : begin], raw[end : ends[inside[-1]]]
    rest = (after, *(each.raw for each in tokens[inside[-1] + 1 :]))
    if before.strip() or not all(map(_is_mark, rest)):
        return None  # it is in the thought, too, or the end of the thought and the text are one token
    first = inside[0]
    while first and not tokens[first - 1].raw:
        first -= 1
    return _join_characters(tokens[first : inside[-1] + 1])


def _is_mark(raw: bytes) -> bool:
    """Whether it may follow the end of a text, or overlap it: white space, or a mark that does not close a thought."""
    text = _decode(raw).strip()
    if text in _CLOSES:
        return False  # what is before it is the thought
    return not text or (len(text) <= LONGEST_MARK and text[0] in "<[◁" and text[-1] in ">]▷")


def _select_all(tokens: Sequence[RawToken], text: str) -> tuple[Token, ...] | None:
    """All tokens but marks at the end, if they differ from the text only where characters are in parts."""
    kept, wanted = list(tokens), _keep_ascii(text)
    for _ in range(MOST_MARKS):
        joined = _join(kept)
        if "\ufffd" in joined and _keep_ascii(joined) == wanted:
            return _join_characters(kept)
        if not kept or not _is_mark(kept.pop().raw):
            break
    return None


def _join(tokens: Sequence[RawToken]) -> str:
    return _decode(b"".join(each.raw for each in tokens))


def _keep_ascii(text: str) -> str:
    return text.encode("ascii", "ignore").decode().strip()


def _join_characters(tokens: Sequence[RawToken]) -> tuple[Token, ...]:
    """The tokens, with each character in the last of the tokens that make it.

    Tokens without bytes are special ones and left out, but before a token that ends a character they are its parts.
    """
    kept, is_part = list[RawToken](), False
    for each in reversed(tokens):
        is_part = not each.raw.isascii() if each.raw else is_part
        if each.raw or is_part:
            kept.append(each)
    decoder, left = codecs.getincrementaldecoder("utf-8")("replace"), len(kept)
    texts = [decoder.decode(each.raw, at + 1 == left) for at, each in enumerate(reversed(kept))]
    return tuple(replace(each.token, text=text) for each, text in zip(reversed(kept), texts, strict=True))
