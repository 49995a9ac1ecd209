"""The check of `scale doctor` for thinking budgets: asks for a thought of at most 32 tokens, and counts its tokens."""

from __future__ import annotations

from scale_reasoning.endpoint import Thinking
from scale_reasoning.engines.findings import Finding, no, unknown, yes
from scale_reasoning.engines.probed import ProbedEngine
from scale_reasoning.errors import Rejected
from scale_reasoning.types import Completion, Mode

BUDGET = "thinking budget binds"
TOKENS = 32
"""The budget, or the server's least if that is more."""
LIMIT = 512
"""New tokens of the reply, besides the budget."""
ALLOWANCE = 2
"""A thought of so many budgets still counts as bound: servers let a sentence end, and words are counted for tokens."""
PUZZLE = "How many whole numbers from 1 to 1000 can be divided by exactly one of 2, 3 and 5?"

COST = "thoughts are as long as without it: a sweep of thinking budgets shows nothing"


async def check_budget(engine: ProbedEngine) -> Finding | None:
    """Whether a budget of thinking tokens binds; None for a model that does not think, or a server without a key."""
    endpoint = engine.endpoints.get(Mode.SYSTEM2)
    if endpoint is None or not endpoint.keeps_budget:
        return None
    kind = endpoint.kind
    budget = max(TOKENS, kind.least_budget)
    fix = f"{kind.title} needs {kind.needs or 'a newer version'}; --server generic has a second call enforce it"
    request = engine.request(PUZZLE, LIMIT + budget, mode=Mode.SYSTEM2, thinking=Thinking(budget=budget))
    try:
        reply = (await engine.send(request)).completion
    except Rejected as refusal:
        return no(f"refused: {refusal}", "no hard step can be solved with a budget", fix)
    dropped = [each.summary for each in engine.adaptations if each.key in request.extras]
    if dropped and not set(endpoint.profile.extras) & {each.key for each in engine.adaptations}:
        return no(f"refused: {'; '.join(dropped)}", COST, fix)
    return _judge(reply, engine.thought, budget, fix)


def _judge(reply: Completion, free: Completion | None, budget: int, fix: str) -> Finding:
    """Judges by the tokens of the thought, and by those of a thought without a budget."""
    thought = reply.count_thought()
    unit = "words" if reply.usage.reasoning_tokens is None else "tokens"
    if thought > ALLOWANCE * budget:
        return no(f"a thought of {thought:,} {unit} for a budget of {budget} tokens", COST, fix)
    if free is None or free.count_thought() <= ALLOWANCE * budget:
        return unknown(f"a thought of {thought:,} {unit}, and hardly more without a budget")
    return yes(f"a thought of {thought:,} {unit} for a budget of {budget} tokens, {free.count_thought():,} without one")
