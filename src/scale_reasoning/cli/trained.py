"""Which models of runs are fine-tuned and on what: by `--tuned`, what the runs recorded, and folders of `scale sft`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.metrics import Cell
    from scale_reasoning.report.training import Trained

FAMILY = "traces"
"""The family of profiles.toml of models that are fine-tuned on traces."""


def add_tuned(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that names fine-tuned models."""
    parser.add_argument(
        "--tuned",
        action="append",
        default=[],
        metavar="MODEL=BASE",
        help="MODEL, as a run names it, is BASE fine-tuned; several times (default: models of the family `traces`, "
        "with the base model in their sft.json, else the one that their names say)",
    )


def find_trained(cells: Sequence[Cell], tuned: Sequence[str]) -> dict[tuple[str, str], Trained]:
    """The fine-tuned models, by run and model. Raises ConfigError for a `--tuned` that names no model of the cells."""
    from scale_reasoning.report.training import Trained

    given = _read_tuned(tuned, {_name(cell) for cell in cells})
    recorded: dict[str, Mapping[str, str]] = {run: _read_families(run) for run in {cell.run for cell in cells}}
    found: dict[tuple[str, str], Trained] = {}
    for cell in cells:
        name = _name(cell)
        if name in given:
            found[cell.run, cell.model] = Trained(base=given[name], source="--tuned")
        elif recorded[cell.run].get(name) == FAMILY or _is_trained_here(name):
            found[cell.run, cell.model] = _find_base(name)
    return found


def _is_trained_here(name: str) -> bool:
    """Whether the name is that of a folder of `scale sft` on this machine."""
    from scale_reasoning.synth.folder import JOB

    try:
        return (Path(name) / JOB).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _name(cell: Cell) -> str:
    return cell.model.partition(" + ")[0]


def _read_tuned(tuned: Sequence[str], models: set[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for each in tuned:
        name, equals, base = each.rpartition("=")
        if not (name and equals and base):
            raise ConfigError(f"--tuned {each}: must be MODEL=BASE")
        if name not in models:
            raise ConfigError(f"--tuned {each}: the runs have no model {name}; they have {', '.join(sorted(models))}")
        if given.setdefault(name, base) != base:
            raise ConfigError(f"--tuned {each}: another --tuned says {given[name]}")
    return given


def _read_families(run: str) -> dict[str, str]:
    """The families that a run recorded, by model."""
    from scale_reasoning.runs.folder import read_manifest

    manifest = read_manifest(Path(run))
    resolved = cast("Mapping[str, Mapping[str, object]]", manifest.resolved.get("profiles") or {})
    families = {model: str(family.get("name", "")) for model, family in resolved.items()}
    given = {cell.model.model: cell.model.profile for cell in manifest.cells}
    return families | {model: profile for model, profile in given.items() if model and profile}


def _find_base(name: str) -> Trained:
    from scale_reasoning.report.paper_models import find_trained_base
    from scale_reasoning.report.training import Trained
    from scale_reasoning.synth.folder import JOB, read

    try:
        return Trained(base=read(Path(name)).recipe.model, source=f"its {JOB}")
    except ConfigError:
        base = find_trained_base(name)
        return Trained(base=base, source="the run's family traces" + ("; base model by its name" if base else ""))
