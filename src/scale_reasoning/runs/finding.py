"""Which runs a folder has, and what each of them is, so that a person can choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.cells import model_of
from scale_reasoning.runs.folder import DATABASE, MANIFEST, store_errors
from scale_reasoning.runs.store import reading
from scale_reasoning.strategies import name_in_words

RUNS = Path("runs")
"""The folder of runs that commands make and read where none is named."""
INNER = "run"
"""The folder of the run in one of traces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What a run is. `name` is the one that `--name` gave it. `created`: when it was begun, as its manifest says; for
    an older run, when its manifest was last written.
    """

    folder: Path
    name: str | None
    created: datetime
    strategies: tuple[str, ...]
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    samples: int
    planned: int
    done: int

    @property
    def what(self) -> str:
        """Strategies, datasets and models in words."""
        parts = (_name_some(self.strategies, "; "), _name_some(self.datasets), _name_some(self.models))
        return f"{parts[0]} on {parts[1]} with {parts[2]}"


def find_runs(folder: Path) -> list[Path]:
    """The folder itself if it is a run, else the runs directly in it, by their names; of a folder of traces in it, the
    run that they were made from. Raises ConfigError if there is none.
    """
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")) if folder.is_dir() else []
    if not found:
        what = f"there is no {MANIFEST} in it or in a folder directly in it" if folder.is_dir() else "it is no folder"
        raise ConfigError(f"{folder} holds no run: {what}")
    return [each / INNER if _has_traces(each) else each for each in found]


def _has_traces(folder: Path) -> bool:
    return not (folder / DATABASE).exists() and (folder / INNER / MANIFEST).is_file()


def look_at(folder: Path) -> Overview:
    """What the run in a folder is. Raises ConfigError if there is none, StoreError if it cannot be read."""
    with reading(folder) as store:
        manifest, done, planned = store.manifest, len(store.done()), store.planned
    with store_errors(folder):
        written = datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC)
    return Overview(
        folder=folder,
        name=manifest.name,
        created=read_date(manifest.created) or written,
        strategies=_list_once(name_in_words(cell.strategy) for cell in manifest.cells),
        datasets=_list_once(cell.dataset.name for cell in manifest.cells),
        models=_list_once(model_of(cell.model) for cell in manifest.cells),
        samples=manifest.samples,
        planned=planned,
        done=done,
    )


def read_date(text: str | None) -> datetime | None:
    """The date of a manifest, in UTC; None if it has none that can be read."""
    try:
        date = datetime.fromisoformat(text or "")
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def write_now() -> str:
    """The present date as manifests have it: `2026-03-01T12:00:00Z`."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _list_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _name_some(names: tuple[str, ...], between: str = ", ", most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more
