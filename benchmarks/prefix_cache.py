"""Prompt tokens that llama.cpp takes from its cache when the model in the box runs SCALE.

    python benchmarks/prefix_cache.py [problems]

Problems of `arithmetic`, one after another and all at once on the four slots that it has, then with one slot and
with one candidate, which shows what limits it. The server itself turns every prompt into tokens (its chat template,
its tokenizer). What could be shared of a prompt is its longest common prefix with any request that the attempt sent
before, less the last token of a whole prompt, which has to be read again; the second share counts earlier requests
only if they were answered before this one was sent, for no cache has what is still being read. Goals: 85 % of what
could be shared, 70 % of all prompt tokens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from scale_reasoning import Problem, Scale, attempt, endpoints
from scale_reasoning.arithmetic.problems import problem
from scale_reasoning.engines.catalogue import SMOLLM2
from scale_reasoning.engines.fetching import Reporter, fetch
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.policy import Limited
from scale_reasoning.together import together
from scale_reasoning.types import Completion, OnDelta, Request

STAGES = {"decomposition": "decompose", "choice": "select", "difficulty": "assess", "": "solve"}


@dataclass(kw_only=True)
class Sent:
    """One request: when it was sent and answered, and how many of its prompt's tokens the cache had."""

    request: Request
    began: float
    ended: float
    prompt: int
    cached: int
    tokens: Sequence[int] = ()

    @property
    def stage(self) -> str:
        return STAGES[self.request.schema.name if self.request.schema else ""]


class Noted:
    """An attempt's engine that keeps what was sent, in the order of sending once it is sorted by `began`."""

    def __init__(self, engine: Limited) -> None:
        self.engine = engine
        self.sent: list[Sent] = []

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        now = asyncio.get_running_loop().time
        began = now()
        completion = await self.engine.generate(request, on_delta)
        prompt, cached = completion.usage.prompt_tokens, completion.usage.cached_tokens
        assert prompt is not None
        assert cached is not None
        self.sent.append(Sent(request=request, began=began, ended=now(), prompt=prompt, cached=cached))
        return completion


@dataclass(kw_only=True)
class Share:
    """Tokens of prompts: all, those that an earlier request began with, an answered one, and those from the cache."""

    stage: str
    prompt: int
    shared: int
    answered: int
    cached: int


def shares(sent: list[Sent]) -> Iterable[Share]:
    """One attempt's requests."""
    sent = sorted(sent, key=lambda one: one.began)
    for number, one in enumerate(sent):
        common = [(_common(one.tokens, earlier.tokens), earlier) for earlier in sent[:number]]
        yield Share(
            stage=one.stage,
            prompt=one.prompt,
            shared=max((tokens for tokens, _ in common), default=0),
            answered=max((tokens for tokens, earlier in common if earlier.ended <= one.began), default=0),
            cached=one.cached,
        )


def _common(prompt: Sequence[int], earlier: Sequence[int]) -> int:
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, earlier, strict=False)))
    return min(alike, len(prompt) - 1)


async def tokenised(server: OpenAI, sent: Sent) -> None:
    messages = [{"role": message.role, "content": message.content} for message in sent.request.messages]
    laid_out = await server.fetch("/apply-template", {"messages": messages})
    said = await server.fetch("/tokenize", {"content": laid_out["prompt"], "add_special": True, "parse_special": True})
    sent.tokens = said["tokens"]
    assert len(sent.tokens) == sent.prompt, "the server read another prompt"


async def measure(problems: list[Problem], *, candidates: int, slots: int, at_once: int) -> list[Share]:
    """Shares of every request of every attempt, on a server that has just started."""
    # Tokens are counted, not seconds, and on a busy machine one thread waits for no other.
    async with await Llama.start(fetch(SMOLLM2, Reporter(say=print)), slots=slots, threads=1) as llama:
        engine, notes, left = Limited(llama), list[Noted](), iter(problems)

        async def worker() -> None:
            for each in left:
                notes.append(noted := Noted(engine))
                await attempt(each, Scale(candidates=candidates), endpoints(noted, "smollm2", window=llama.window))

        await together(worker() for _ in range(at_once))
        async with OpenAI(llama.base_url.removesuffix("/v1"), api_key=llama.key) as server:
            for noted in notes:
                for sent in noted.sent:
                    await tokenised(server, sent)
        return [share for noted in notes for share in shares(noted.sent)]


def tell(what: str, listed: list[Share]) -> None:
    prompt, shared, answered, cached = (
        sum(getattr(share, name) for share in listed) for name in ("prompt", "shared", "answered", "cached")
    )
    could = sum(min(share.cached, share.shared) for share in listed)
    had = sum(min(share.cached, share.answered) for share in listed)
    print(f"{what:34}{len(listed):6}{prompt:9,}{shared / prompt:12.0%}{cached / prompt:9.0%}"
          f"{could / max(shared, 1):12.0%}{had / max(answered, 1):14.0%}", flush=True)  # fmt: skip


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    problems = [problem(index) for index in range(count)]
    print(f"{'':34}{'calls':>6}{'tokens':>9}{'could be':>12}{'cached':>9}{'of could':>12}{'of answered':>14}")
    for candidates, slots, at_once in ((8, 4, 1), (8, 4, count), (8, 1, 1), (1, 4, 1)):
        listed = asyncio.run(measure(problems, candidates=candidates, slots=slots, at_once=at_once))
        tell(f"candidates {candidates}, slots {slots}, problems {at_once}", listed)
        for stage in STAGES.values():
            if of_stage := [share for share in listed if share.stage == stage]:
                tell(f"  {stage}", of_stage)


if __name__ == "__main__":
    main()
