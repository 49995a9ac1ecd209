"""A fake engine for tests of strategies and programs: rules that map prompts to replies."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from scale_reasoning.engines.logprobs import limit_alternatives
from scale_reasoning.errors import ConfigError
from scale_reasoning.types import Completion, Delta, OnDelta, Request, Usage

Reply: TypeAlias = str | Completion | Exception | Callable[[Request], "str | Completion"]


class Scripted:
    """Replies by the first rule whose pattern is found in the last message, or equals the schema's name.

    A reply is a text, a completion, an exception to raise, or a function of the request. `requests` are all requests so
    far; `in_flight` and `most_in_flight` count requests being answered. Each word is a token.
    The log-probabilities of a completion are given as far as a request asks for them.
    """

    def __init__(self, rules: Sequence[tuple[str, Reply]], *, seconds: float = 0.0) -> None:
        self.rules, self.seconds = list(rules), seconds
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = 0

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine. Raises ConfigError when no rule matches."""
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.seconds)
            completion = self._completion(request)
        finally:
            self.in_flight -= 1
        if on_delta is not None:
            if completion.reasoning:
                on_delta(Delta(reasoning=completion.reasoning))
            for piece in re.findall(r"\S*\s+|\S+", completion.text):
                on_delta(Delta(text=piece))
        return completion

    def _completion(self, request: Request) -> Completion:
        text = request.messages[-1].content
        named = request.schema.name if request.schema else None
        matching = (reply for pattern, reply in self.rules if pattern == named or re.search(pattern, text))
        reply = next(matching, None)
        if reply is None:
            raise ConfigError(f"no rule of the script matches: {text[:200]!r}")
        if isinstance(reply, Exception):
            raise copy.copy(reply)  # notes may be added to what is raised
        made = reply(request) if callable(reply) else reply
        completion = Completion(text=made, finish_reason="stop") if isinstance(made, str) else made
        if completion.logprobs is not None:
            completion = replace(completion, logprobs=limit_alternatives(completion.logprobs, request.logprobs))
        return completion if completion.usage != Usage() else replace(completion, usage=_usage(request, completion))


def _usage(request: Request, completion: Completion) -> Usage:
    thought = len(completion.reasoning.split())
    return Usage(
        prompt_tokens=sum(len(message.content.split()) for message in request.messages),
        completion_tokens=thought + len(completion.text.split()),
        reasoning_tokens=thought,
        cached_tokens=0,
    )
