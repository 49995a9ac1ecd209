"""The presets of presets.toml as data, and the name of the one that a strategy was made by."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from scale_reasoning.types import JSON

PARTS = ("route", "assess")
"""Options of a preset that a strategy may have otherwise and still be called like it."""


@cache
def read_presets() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The tables of presets.toml."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def list_settings(preset: str, strategy: str) -> list[dict[str, JSON]]:
    """What a preset sets of a strategy, by family: those with settings of their own first, then all others."""
    table = read_presets()[preset]
    shared = table.get(strategy, {})
    own = (family[strategy] for family in table["families"].values() if strategy in family)
    return [*({**shared, **each} for each in own), dict(shared)]
