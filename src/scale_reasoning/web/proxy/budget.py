"""A request's token budget ahead of its calls: the limit in a body that is passed through, or a strategy's own limits.

Decides which keys servers read as a limit, and how a strategy divides a budget. Does not know connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from scale_reasoning.lm import Strategy
from scale_reasoning.strategies.allocators.within import Within
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.names import capped
from scale_reasoning.web.proxy.refusals import invalid

EVERYWHERE = ("max_tokens", "max_completion_tokens")
LIMIT_KEYS = (*EVERYWHERE, "n_predict", "num_predict")
"""Keys that servers read as the limit of new tokens per choice; most servers ignore the last two."""

MOST_RESERVED, RESERVED_SHARE = 128, 1 / 32
"""New tokens that SCALE holds back for each later step, at most, and as a share of the budget."""

CHOICE_KEYS = ("n", "best_of", "n_cmpl")
"""Keys that servers read as the number of choices."""


def within(budget: int, content: bytes, said: Mapping[str, JSON], *, limit_key: str) -> bytes:
    """A request's body with a limit that keeps all its choices together within `budget` new tokens.

    `said` is `content`, decoded; `limit_key` is added if the body has no limit that every server reads. Raises Refusal
    (400) for more choices than the budget has tokens, and for these keys in another case.
    """
    for key in said:
        if key not in (*LIMIT_KEYS, *CHOICE_KEYS) and key.casefold() in (*LIMIT_KEYS, *CHOICE_KEYS):
            # Servers in Go read keys in any case and use the last one.
            raise invalid(key, f"must be written {key.casefold()}")
    most = budget // _choices(budget, said)
    kept = {key: _limit(said[key], most) for key in LIMIT_KEYS if said.get(key) is not None}
    if not any(key in kept for key in EVERYWHERE):
        kept[limit_key] = most
    if all(said.get(key) == limit for key, limit in kept.items()):
        return content
    return msgspec.json.encode({**said, **kept})


def keep_within(strategy: Strategy, budget: int) -> Strategy:
    """The strategy with no solution of more than `budget` new tokens. SCALE divides the budget over its steps."""
    strategy = capped(strategy, budget)
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
    return max(counts.values(), default=1)


def _limit(asked: JSON, most: int) -> int:
    """The smaller limit; for some servers 0 and -1 mean no limit."""
    return min(asked, most) if _is_count(asked) else most


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
