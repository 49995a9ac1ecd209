"""Strategies, with the allocators and assessors of SCALE. The tables are in table.py, and say how to add a row."""

from __future__ import annotations

from scale_reasoning.strategies.parts import (
    Flag,
    describe,
    find_option,
    fingerprints,
    flags,
    label,
    make,
    needs_both_modes,
    prompts_of,
    shorten,
    unusual,
)
from scale_reasoning.strategies.table import STRATEGIES

EFFORTS = {"low": 0.8, "medium": 0.5, "high": 0.2}
"""tau by a word: from the last step alone to three of four steps in System 2 (paper, Table 2)."""

__all__ = [
    "EFFORTS",
    "STRATEGIES",
    "Flag",
    "describe",
    "find_option",
    "fingerprints",
    "flags",
    "label",
    "make",
    "needs_both_modes",
    "prompts_of",
    "shorten",
    "unusual",
]
