"""What differs between two rows that are compared: model, strategy, options, samples, and what their runs record.

Decides what counts: not where the servers are, and not the date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from scale_reasoning.report.metrics import flatten
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.strategies import label, shorten
from scale_reasoning.types import JSON

OF_MODEL = ("profile", "profiles", "window", "temperature", "top_p", "server", "system1_server")
OF_DATASET = ("count", "split", "level")
OF_RUN = ("seed", "grader")
LIMITS = {"count": "limit"}
"""What a key is called on the command line, if it is another word."""
PROMPTS = "text of the prompts"
MARK_CHARACTERS = 8
"""Of a fingerprint."""


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs, with its value in each of the two rows; None is none, or the default."""

    what: str
    a: JSON
    b: JSON


def find_apart(a: Cell, b: Cell, mine: Manifest, theirs: Manifest) -> list[Apart]:
    """What differs between two cells; `mine` is the manifest of A's run, `theirs` that of B's."""
    left, right = _describe(a, mine), _describe(b, theirs)
    if a.strategy.get("name") == b.strategy.get("name"):
        options = flatten(shorten(a.strategy)), flatten(shorten(b.strategy))
    else:
        options = flatten(label(a.strategy)), flatten(label(b.strategy))
        left.pop(PROMPTS, None)
        right.pop(PROMPTS, None)
    left |= options[0]
    right |= options[1]
    names = dict.fromkeys([*left, *right])
    return [
        Apart(what=name, a=left.get(name), b=right.get(name)) for name in names if left.get(name) != right.get(name)
    ]


def _describe(cell: Cell, manifest: Manifest) -> dict[str, JSON]:
    """What is known of a cell besides its options."""
    name = str(cell.strategy.get("name", ""))
    said: dict[str, JSON] = {"dataset": cell.dataset, "model": cell.model, "strategy": name, "samples": cell.samples}
    said |= {key: getattr(manifest, key) for key in OF_RUN}
    if (spec := _find_spec(cell, manifest)) is not None:
        said |= {key: getattr(spec.model, key) for key in OF_MODEL}
        said |= {LIMITS.get(key, key): getattr(spec.dataset, key) for key in OF_DATASET}
    prompts = cast("Mapping[str, JSON]", manifest.resolved.get("prompts") or {})
    if isinstance(mark := prompts.get(name), str):
        said[PROMPTS] = mark[:MARK_CHARACTERS]
    return said


def _find_spec(cell: Cell, manifest: Manifest) -> CellSpec | None:
    """The cell in the manifest of its run."""
    own = (cell.dataset, cell.model, cell.strategy)
    return next((c for c in manifest.cells if (c.dataset.name, model_of(c.model), c.strategy) == own), None)
