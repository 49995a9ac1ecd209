"""A new run that looks at the steps of another one: its rows of SCALE with the allocator `probe` over their own.

The new run has the completions that the other one paid for, so that it pays for drafts and assessments only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.types import JSON


def probe_manifest(manifest: Manifest, options: Mapping[str, JSON]) -> Manifest:
    """The manifest of a run with the other's rows of SCALE, each with the allocator `probe` with these options.

    Raises ConfigError if there is no such row, or an option is not allowed.
    """
    cells = [_probe(cell, options) for cell in manifest.normalise().cells if cell.strategy["name"] == "scale"]
    if not cells:
        raise ConfigError("the run has no row of SCALE, so there is no step to look at")
    distinct = [each for number, each in enumerate(cells) if each not in cells[:number]]
    resolved = {key: value for key, value in manifest.resolved.items() if key != "prompts"}
    return replace(manifest, cells=tuple(distinct), synthesis={}, tuning=None, resolved=resolved, name=None).normalise()


def _probe(cell: CellSpec, options: Mapping[str, JSON]) -> CellSpec:
    route = cast("Mapping[str, JSON]", cell.strategy["route"])
    then = route["then"] if route["name"] == "probe" else route
    return replace(cell, strategy={**cell.strategy, "route": {"name": "probe", "then": then, **options}})
