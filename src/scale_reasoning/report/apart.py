"""What differs between two rows that are compared: model, strategy, options, attempts, and what their runs record.

Decides what counts: not where the servers are, and not the date. What a run resolved (package, prompts, families, kinds
of servers, data) counts where both runs record it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.report.metrics import flatten
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.strategies import label, shorten
from scale_reasoning.types import JSON

OF_MODEL = ("profile", "profiles", "window", "temperature", "top_p", "server", "system1_server")
OF_DATASET = ("count", "split", "level")
OF_RUN = ("seed", "grader", "reuse", "shard")
LIMITS = {"count": "limit"}
"""What a key is called on the command line, if it is another word."""
ATTEMPTS = "attempts per problem"
PACKAGE = {"package": "package version", "commit": "package commit"}
SOURCE = {"revision": "dataset revision", "sha256": "dataset hash"}
"""What is compared of what a run resolved, in words."""
MODES = ("system1", "system2")
MARK_CHARACTERS = 8
"""Of a fingerprint, a hash or a commit."""
SHORTENED = ("commit", "revision", "sha256")


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs, with its value in each of the two rows; None is none, or the default."""

    what: str
    a: JSON
    b: JSON


def find_apart(a: Cell, b: Cell, mine: Manifest, theirs: Manifest) -> list[Apart]:
    """What differs between two cells; `mine` is the manifest of A's run, `theirs` that of B's."""
    name = shorten if a.strategy.get("name") == b.strategy.get("name") else label
    found = _list_differing(_describe(a, mine), _describe(b, theirs))
    # An option may have the name of something else.
    found += _list_differing(flatten(name(a.strategy)), flatten(name(b.strategy)))
    known = {each.what for each in found}
    left, right = _recall(a, mine), _recall(b, theirs)
    both = [key for key in left if key in right and key not in known]
    return found + _list_differing({key: left[key] for key in both}, {key: right[key] for key in both})


def _list_differing(left: Mapping[str, JSON], right: Mapping[str, JSON]) -> list[Apart]:
    names = dict.fromkeys([*left, *right])
    return [
        Apart(what=name, a=left.get(name), b=right.get(name)) for name in names if left.get(name) != right.get(name)
    ]


def _describe(cell: Cell, manifest: Manifest) -> dict[str, JSON]:
    """What is known of a cell besides its options."""
    name = str(cell.strategy.get("name", ""))
    said: dict[str, JSON] = {"dataset": cell.dataset, "model": cell.model, "strategy": name, ATTEMPTS: cell.samples}
    said |= {key: getattr(manifest, key) for key in OF_RUN}
    said["shard"] = manifest.shard and str(manifest.shard)
    if (spec := _find_spec(cell, manifest)) is not None:
        said |= {key: getattr(spec.model, key) for key in OF_MODEL}
        said |= {LIMITS.get(key, key): getattr(spec.dataset, key) for key in OF_DATASET}
    return said


def _recall(cell: Cell, manifest: Manifest) -> dict[str, JSON]:
    """What the cell's run resolved, as far as it records it."""
    resolved = manifest.resolved
    said = _rename(resolved, PACKAGE)
    said |= _rename(_table(_table(resolved.get("datasets")).get(cell.dataset)), SOURCE)
    names = set(_list_names(cell.strategy))
    for name, mark in _table(resolved.get("prompts")).items():
        if name.rpartition("/")[2] in names:
            said[f"text of the {name} prompts"] = str(mark)[:MARK_CHARACTERS]
    if (spec := _find_spec(cell, manifest)) is None:
        return said
    system2 = spec.model.model or DEFAULT_MODEL
    said |= _recall_model(system2, resolved, "")
    if (system1 := spec.model.system1_model) is not None and system1 != system2:
        said |= _recall_model(system1, resolved, "system1_")
    return said


def _recall_model(model: str, resolved: Mapping[str, JSON], under: str) -> dict[str, JSON]:
    """What a run resolved of one model; `under` begins the names."""
    said: dict[str, JSON] = {}
    if (kind := _table(resolved.get("servers")).get(model)) is not None:
        said[f"{under}server"] = kind
    if "servers" in resolved:
        said[f"{under}changes of requests"] = _table(resolved.get("adaptations")).get(model)
    family = dict(_table(_table(resolved.get("profiles")).get(model)))
    if (name := family.pop("name", None)) is not None:
        said[f"{under}profile"] = name
    family.pop("match", None)  # how the family is found
    modes = {mode: family.pop(mode) for mode in MODES if mode in family}
    for mode, table in modes.items():
        family |= {mode: table is not None, **{f"{mode} {key}": value for key, value in _table(table).items()}}
    return said | {f"{under}profile {name}: {key}": value for key, value in family.items()}


def _rename(table: Mapping[str, JSON], names: Mapping[str, str]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for key, name in names.items():
        if key in table:
            value = table[key]
            found[name] = value[:MARK_CHARACTERS] if key in SHORTENED and isinstance(value, str) else value
    return found


def _table(value: JSON) -> Mapping[str, JSON]:
    return cast("Mapping[str, JSON]", value) if isinstance(value, Mapping) else {}


def _list_names(strategy: Mapping[str, JSON]) -> Iterator[str]:
    """The names of a described strategy and its parts, as their prompts are called."""
    yield str(strategy.get("name"))
    if strategy.get("split_by") == "model":
        yield "statement"
    for value in strategy.values():
        if isinstance(value, Mapping):
            yield from _list_names(cast("Mapping[str, JSON]", value))


def _find_spec(cell: Cell, manifest: Manifest) -> CellSpec | None:
    """The cell in the manifest of its run."""
    own = (cell.dataset, cell.model, cell.strategy)
    return next((c for c in manifest.cells if (c.dataset.name, model_of(c.model), c.strategy) == own), None)
