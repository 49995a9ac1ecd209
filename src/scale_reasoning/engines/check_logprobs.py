"""The check of `scale doctor` for log-probabilities: sends nothing, and looks at the reply that was asked for them."""

from __future__ import annotations

from scale_reasoning.engines.findings import Finding, no, unknown, yes
from scale_reasoning.engines.probed import ProbedEngine

COST = "assessors `expected` and `draft` fall back: a difficulty is the number that the model writes"
FIX = (
    "vLLM gives them, and so does llama.cpp's server (`logprobs`); OpenAI's reasoning models do not, unless their "
    "effort is none; a proxy in between may drop the key"
)


async def check_logprobs(engine: ProbedEngine) -> Finding:
    """Whether replies have the log-probabilities of their tokens, with alternatives."""
    replies = [reply.completion for reply in engine.replies if reply.asked_logprobs and reply.completion.text]
    refused = next((each for each in engine.adaptations if each.key == "logprobs"), None)
    if refused is not None:
        return no(f"refused: {refused.refusal}", COST, FIX)
    if not replies:
        return unknown("no reply with a text was asked for them")
    tokens = [token for reply in replies for token in reply.logprobs or ()]
    if not tokens:
        return no("asked for, not given", COST, FIX)
    most = max(len(token.top) for token in tokens)
    if not most:
        return no("given without alternatives", COST, FIX)
    return yes(f"of {len(tokens)} tokens, each with up to {most} alternatives")
