"""What `make test` leaves to `make test-slow`: the parameters and the examples that cost more than they add."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

ALL = 100
"""Examples of a property in `make test-slow`, as Hypothesis itself tries. `make test` tries a quarter (conftest.py)."""


def limit_examples(count: int) -> int:
    """`count`, or the share of it that the loaded profile tries."""
    return max(1, count * settings().max_examples // ALL)


def mark_slow(*values: Any) -> list[Any]:
    """The values of one parameter, marked `slow`."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
