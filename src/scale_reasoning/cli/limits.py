"""What a run says before its first call of the limits that it will not keep as they were set."""

from __future__ import annotations

from scale_reasoning.endpoint import Endpoints, explain_budget, explain_family_limits
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies import find_limits, has_budget


def explain_limits(strategy: Strategy, endpoints: Endpoints) -> list[str]:
    """A line for each limit on tokens that the model or its server does not keep as it was set, and what it does."""
    budget = explain_budget(endpoints) if has_budget(strategy) else None
    return [*([budget] if budget else []), *explain_family_limits(endpoints, find_limits(strategy))]
