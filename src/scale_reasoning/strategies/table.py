"""The tables of strategies, allocators and assessors by name; parts.py makes them from names and settings.

To add a strategy: write strategies/x.py with a frozen dataclass and x.md with its prompts, and give it a row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_type_hints

from scale_reasoning.lm import Strategy
from scale_reasoning.strategies.allocation import Allocator, Assessor
from scale_reasoning.strategies.allocators import ALLOCATORS, SHORT_NAMES
from scale_reasoning.strategies.assessors import ASSESSORS
from scale_reasoning.strategies.cascade import Cascade
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote

STRATEGIES: dict[str, type[Any]] = {
    "scale": Scale,
    "cot": CoT,
    "vote": Vote,
    "cascade": Cascade,
    "inftythink": InftyThink,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Classes by name. `kind` is what they are, in messages; `short` are words for a class with settings."""

    kind: str
    rows: Mapping[str, type[Any]]
    short: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict[str, tuple[str, Mapping[str, str]]])


STRATEGY_TABLE = Table(kind="strategy", rows=STRATEGIES)
TABLES: Mapping[object, Table] = {
    Strategy: STRATEGY_TABLE,
    Allocator: Table(kind="allocator", rows=ALLOCATORS, short=SHORT_NAMES),
    Assessor: Table(kind="assessor", rows=ASSESSORS),
}
"""By the type of the options that are taken from it."""


@cache
def find_tables(shape: type[Any]) -> Mapping[str, Table]:
    """The options of a class that are parts, by name, each with the table that it is taken from."""
    types = get_type_hints(shape)
    return {each.name: TABLES[types[each.name]] for each in fields(shape) if types[each.name] in TABLES}


def list_shapes() -> tuple[type[Any], ...]:
    """The classes of all tables."""
    return tuple(shape for table in TABLES.values() for shape in table.rows.values())


def find_name(shape: type[Any]) -> str:
    """The name of a class in its table, else the class's own."""
    names = {row: name for table in TABLES.values() for name, row in table.rows.items()}
    return names.get(shape, shape.__name__)
