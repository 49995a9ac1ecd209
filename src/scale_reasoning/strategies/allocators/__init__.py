"""The table of allocators: what is spent on a sub-problem (paper, eq 4).

To add one: write allocators/x.py with a frozen dataclass, and give it a row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scale_reasoning.strategies.allocators.always import Always
from scale_reasoning.strategies.allocators.chance import Random
from scale_reasoning.strategies.allocators.escalate import Escalate
from scale_reasoning.strategies.allocators.graded import Graded
from scale_reasoning.strategies.allocators.last import LastDifficulty, LastThinks
from scale_reasoning.strategies.allocators.probe import Probe
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.allocators.within import Within

ALLOCATORS: dict[str, type[Any]] = {
    "threshold": Threshold,
    "always": Always,
    "random": Random,
    "last-thinks": LastThinks,
    "last-difficulty": LastDifficulty,
    "escalate": Escalate,
    "graded": Graded,
    "within": Within,
    "probe": Probe,
}
SHORT_NAMES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "system1": ("always", {"mode": "system1"}),
    "system2": ("always", {"mode": "system2"}),
}
"""Words for an allocator with a setting."""
