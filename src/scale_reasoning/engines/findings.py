"""What is found about an endpoint: one thing that it can do or cannot do, with the cost and the fix of a lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`found` is what was seen, on one line; `cost` and `fix` say what a lack costs and how to fix it."""

    name: str
    verdict: Verdict
    found: str
    cost: str = ""
    fix: str = ""


def yes(found: str) -> Finding:
    """A finding without a name: the endpoint can do it."""
    return Finding(name="", verdict="yes", found=found)


def no(found: str, cost: str, fix: str) -> Finding:
    """A finding without a name: the endpoint cannot do it."""
    return Finding(name="", verdict="no", found=found, cost=cost, fix=fix)


def unknown(found: str, fix: str = "", cost: str = "") -> Finding:
    """A finding without a name: neither is shown."""
    return Finding(name="", verdict="unknown", found=found, cost=cost, fix=fix)
