"""A request's token budget ahead of its calls: the limit in a body that is passed through, or a strategy's own limits.

Decides which keys servers read as a limit, and how a strategy divides a budget. Does not know connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import msgspec

from scale_reasoning.lm import Strategy
from scale_reasoning.strategies.allocators.within import Within
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.names import cap_tokens
from scale_reasoning.web.proxy.refusals import invalid

CHATS = "/chat/completions"

LIMITED: Mapping[str, tuple[str, ...]] = {
    CHATS: ("max_tokens", "max_completion_tokens"),
    "/completions": ("max_tokens",),
    "/messages": ("max_tokens",),
    "/responses": ("max_output_tokens",),
}
"""Paths at which a server writes text, with the keys that every server reads as the limit of new tokens there."""

SILENT = ("/embeddings", "/messages/count_tokens", "/moderations", "/rerank", "/score")
"""Paths at which no server writes text."""

LIMIT_KEYS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "num_predict")
"""All keys that some server reads as the limit of new tokens per choice."""

MOST_RESERVED, RESERVED_SHARE = 128, 1 / 32
"""New tokens that SCALE holds back for each later step, at most, and as a share of the budget."""

CHOICE_KEYS = ("n", "best_of", "n_cmpl")
"""Keys that servers read as the number of choices."""

PROMPT_KEYS = ("prompt", "prompt_embeds")
"""Keys that servers read as prompts, each of which is answered."""

_READ = (*LIMIT_KEYS, *CHOICE_KEYS, *PROMPT_KEYS)


def holds_budget(method: str, path: str) -> bool:
    """Whether a request cannot write more new tokens than a budget that `within` gives it."""
    return method not in ("POST", "PUT", "PATCH") or path in SILENT or (method == "POST" and path in LIMITED)


def within(budget: int, content: bytes, said: Mapping[str, JSON], *, limit_key: str, path: str = CHATS) -> bytes:
    """A request's body with a limit that keeps all its choices together within `budget` new tokens.

    `said` is `content`, decoded. If it has no limit that every server reads at `path`, one is added: at chats as
    `limit_key`. Raises Refusal (400) for more choices than the budget has tokens, and for these keys in another case.
    """
    for key in said:
        if key not in _READ and key.casefold() in _READ:
            # Servers in Go read keys in any case and use the last one.
            raise invalid(key, f"must be written {key.casefold()}")
    most = budget // _choices(budget, said)
    kept = {key: _limit(said[key], most) for key in LIMIT_KEYS if said.get(key) is not None}
    read = LIMITED[path]
    if not any(key in kept for key in read):
        kept[limit_key if limit_key in read else read[0]] = most
    if all(said.get(key) == limit for key, limit in kept.items()):
        return content
    return msgspec.json.encode({**said, **kept})


def keep_within(strategy: Strategy, budget: int) -> Strategy:
    """The strategy with no solution of more than `budget` new tokens. SCALE divides the budget over its steps."""
    strategy = cap_tokens(strategy, budget)
    if not isinstance(strategy, Scale):
        return strategy
    route = strategy.route
    if isinstance(route, Within):
        tokens = min(route.tokens, budget)
        return replace(strategy, route=replace(route, tokens=tokens, reserve=min(route.reserve, tokens)))
    reserve = max(1, min(MOST_RESERVED, int(budget * RESERVED_SHARE)))
    return replace(strategy, route=Within(then=route, tokens=budget, reserve=reserve))


def _choices(budget: int, said: Mapping[str, JSON]) -> int:
    counts = {key: said[key] for key in CHOICE_KEYS if said.get(key) is not None}
    for key, count in counts.items():
        if not _is_count(count) or count > budget:
            raise invalid(key, f"must be from 1 to {budget:,}, which is this server's budget of new tokens")
    choices = max(counts.values(), default=1) * _count_prompts(said)
    if choices > budget:
        raise invalid("prompt", f"has more choices than this server's budget has new tokens, {budget:,}")
    return choices


def _count_prompts(said: Mapping[str, JSON]) -> int:
    """The prompts of a body: a list of texts, or of lists of tokens, is several; a list of tokens is one."""
    listed = (cast("list[JSON]", value) for key in PROMPT_KEYS if isinstance(value := said.get(key), list))
    return max(1, sum(not isinstance(each, int) for value in listed for each in value))


def _limit(asked: JSON, most: int) -> int:
    """The smaller limit; for some servers 0 and -1 mean no limit."""
    return min(asked, most) if _is_count(asked) else most


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
