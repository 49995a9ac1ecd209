"""Strategies, with the allocators and assessors of SCALE. The tables are in table.py, and say how to add a row."""

from __future__ import annotations

from scale_reasoning.strategies.naming import label, name_in_words, shorten, unusual
from scale_reasoning.strategies.parts import (
    Flag,
    describe,
    find_limits,
    find_option,
    fingerprints,
    flags,
    has_budget,
    make,
    make_described,
    needs_both_modes,
    prompts_of,
)
from scale_reasoning.strategies.table import STRATEGIES

__all__ = [
    "STRATEGIES",
    "Flag",
    "describe",
    "find_limits",
    "find_option",
    "fingerprints",
    "flags",
    "has_budget",
    "label",
    "make",
    "make_described",
    "name_in_words",
    "needs_both_modes",
    "prompts_of",
    "shorten",
    "unusual",
]
