"""What a checkpoint's tokens say of its thought, without the libraries that make them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from scale_reasoning.engines.checkpoint import _Reply
from scale_reasoning.types import THINK, Completion, Marks

SPECIAL = {"[THINK]", "[/THINK]", "<s>"}
"""Tokens that the decoder passes over."""


class Stream:
    def __init__(self, **_: Any) -> None: ...

    def step(self, names: Any, token: int) -> str | None:
        name = names.id_to_token(token)
        return None if name in SPECIAL else name


def replied(monkeypatch: pytest.MonkeyPatch, *tokens: str, think: Marks = THINK, inside: bool = False) -> Completion:
    monkeypatch.setitem(sys.modules, "tokenizers.decoders", SimpleNamespace(DecodeStream=Stream))
    backend = SimpleNamespace(id_to_token=lambda token: tokens[token])
    reply = _Reply(SimpleNamespace(backend_tokenizer=backend), None, inside=inside, think=think)
    for token in range(len(tokens)):
        reply.add(token)
    return reply.end("stop", prompt_tokens=1, model="m")


@pytest.mark.parametrize(
    ("tokens", "reasoning_tokens"),
    [
        (("<think>", "Hm.", "</th", "ink>", "4", "."), 4),
        (("<s>", "[THINK]", "Hm.", "[/THINK]", "4", "."), 4),
        (("<mm:think>Hm.", "</mm:", "think>4", "."), 3),
        (("Hm.", "</think>", "4", "."), 2),
    ],
)
def test_thoughts_are_parted_and_counted_by_any_marks(
    monkeypatch: pytest.MonkeyPatch, tokens: tuple[str, ...], reasoning_tokens: int
) -> None:
    reply = replied(monkeypatch, *tokens)
    assert (reply.text, reply.reasoning) == ("4.", "Hm.")
    assert reply.usage.reasoning_tokens == reasoning_tokens


def test_a_thought_that_the_prompt_opened_is_closed_by_its_own_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = replied(monkeypatch, "Hm.", "[/THINK]", "4.", think=("[THINK]", "[/THINK]"), inside=True)
    assert (reply.text, reply.reasoning, reply.usage.reasoning_tokens) == ("4.", "Hm.", 2)
