"""How many examples a property is tried on: a quarter in `make test`, all in `make test-slow` (see conftest.py)."""

from __future__ import annotations

from hypothesis import settings

ALL = 100
"""What Hypothesis itself tries."""


def examples(count: int) -> int:
    """`count`, or the share of it that the loaded profile tries."""
    return max(1, count * settings().max_examples // ALL)
