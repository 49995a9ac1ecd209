"""Merges several runs: the shards of a run, or copies of it that were resumed separately. Starts runs from others.

Decides what counts as the same run and as the same result. Attempts that none of them has are pending in the merged
run. A run that starts from others has their completions, and none of their attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import workspace
from scale_reasoning.runs import database
from scale_reasoning.runs.folder import DAMAGED, attached, opened, read_manifest, store_errors
from scale_reasoning.runs.manifest import CellSpec, Manifest, list_differences
from scale_reasoning.runs.store import create, reading, resume
from scale_reasoning.servers import find_server
from scale_reasoning.strategies import has_budget
from scale_reasoning.types import Completion, Problem, Record

if TYPE_CHECKING:
    import sqlite3

ODD_COMPLETIONS = """SELECT 1 FROM other.completions
    WHERE typeof(key) || typeof(loose) || typeof(cut) || typeof(request) || typeof(completion)
          != 'texttextintegerblobblob' OR typeof(tokens) NOT IN ('integer', 'null') LIMIT 1"""
"""Finds a completion of the attached run `other` with a value of the wrong type."""
TAKE_COMPLETIONS = "INSERT OR IGNORE INTO completions SELECT * FROM other.completions"


def merge(out: Path, folders: Sequence[Path]) -> None:
    """Merges the folders into `out`, atomically. The folders are only read.

    Results that are equal except for times are kept once; an attempt that is pending in one run is taken from another.
    Raises ConfigError if they are not parts of one run, or have different results for one attempt or call; StoreError
    if `out` is not empty or a folder cannot be read.
    """
    require_empty(out)
    whole = _one_run(folders)
    _build(folders, out, whole, _problems(folders, whole), _merge_into)


def start_from(
    folders: Sequence[Path], out: Path, manifest: Manifest, problems: Mapping[str, Sequence[Problem]]
) -> None:
    """Puts a new run at `out`, atomically, with the completions that other runs have paid for. They are only read.

    Raises StoreError if `out` is not empty or a folder cannot be read.
    """
    require_empty(out)
    for folder in folders:
        read_manifest(folder)
    _build(folders, out, manifest, problems, _take_completions)
    with resume(out) as store:
        store.resolve({"taken_calls": store.paid().calls})


def _build(
    folders: Sequence[Path],
    out: Path,
    manifest: Manifest,
    problems: Mapping[str, Sequence[Problem]],
    take: Callable[[sqlite3.Connection, Path], None],
) -> None:
    """Puts a run at `out`, atomically. `take` takes rows of each folder, whose database is attached as `other`."""
    with store_errors(out), workspace(out.parent, f".{out.name}-") as place:
        part = place / "run"
        with create(part, manifest, problems):
            pass
        with opened(part, new=False) as connection:
            database.bound(connection)
            for folder in folders:
                with attached(connection, folder, "other"), store_errors(folder):
                    take(connection, folder)
        part.rename(out)


def _take_completions(connection: sqlite3.Connection, folder: Path) -> None:
    with connection:
        connection.execute("BEGIN")  # one state of the other run, which may be in progress
        if connection.execute(ODD_COMPLETIONS).fetchone():
            raise StoreError(f"{folder}: a row has a value of the wrong type: {DAMAGED}")
        connection.execute(TAKE_COMPLETIONS)


def require_empty(out: Path) -> None:
    """Raises StoreError unless a run can be put at `out`; makes the folder above it."""
    with store_errors(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError(f"{out} is not empty: name another folder for the new run")
        out.parent.mkdir(parents=True, exist_ok=True)


def _one_run(folders: Sequence[Path]) -> Manifest:
    """The manifest of the whole run. Raises ConfigError."""
    manifests = [replace(_normalise(read_manifest(folder)), shard=None) for folder in folders]
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        found = list_differences(_without_servers(first), _without_servers(manifest))
        if found:
            raise ConfigError(f"{folder} and {folders[0]} are not parts of one run: {'; '.join(found)}")
    served = {name for manifest in manifests for name in manifest.resolved.get("served", ())}
    return replace(first, resolved={**first.resolved, "served": sorted(served)}) if served else first


def _normalise(manifest: Manifest) -> Manifest:
    """The manifest with all options of this version, because earlier ones had fewer; as it is if it has other ones."""
    try:
        return manifest.normalise()
    except ConfigError:
        return manifest


def _without_servers(manifest: Manifest) -> Manifest:
    """The manifest without the addresses of servers, which may differ, as on resume, and without kinds of servers that
    are told as a generic one is: one of several machines may not have found out what its server is.
    """
    cells = (replace(cell, model=_without_addresses(cell)) for cell in manifest.cells)
    return replace(manifest, cells=tuple(cells))


def _without_addresses(cell: CellSpec) -> ModelSpec:
    model, budget = cell.model, has_budget(cell.make_strategy())
    served = "a server" if model.base_url else None
    system1 = "a server" if model.system1_base_url else None
    return replace(
        model,
        base_url=served,
        more_base_urls=(),
        system1_base_url=system1,
        api_key_env=None,
        server=_without_alike(model.server, budget=budget),
        system1_server=_without_alike(model.system1_server, budget=budget),
    )


def _without_alike(kind: str | None, *, budget: bool) -> str | None:
    """The kind of a server; None for those that are told as a generic one is, with or without a thinking budget."""
    if kind is None:
        return None
    server = find_server(kind)
    return kind if server.has_own_keys or (budget and server.budget is not None) else None


def _problems(folders: Sequence[Path], manifest: Manifest) -> dict[str, list[Problem]]:
    """The problems of the run. Raises ConfigError if the folders differ."""
    names = dict.fromkeys(cell.dataset.name for cell in manifest.cells)
    problems: dict[str, list[Problem]] = {}
    for folder in folders:
        with reading(folder) as store:
            for name in names:
                if problems.setdefault(name, found := store.problems(name)) != found:
                    raise ConfigError(f"{folder} has other problems in {name} than {folders[0]}")
    return problems


def _merge_into(connection: sqlite3.Connection, folder: Path) -> None:
    with connection:
        connection.execute("BEGIN")  # one state of the other run, which may be in progress
        if connection.execute(_OF_OTHER_TYPES).fetchone():
            raise StoreError(f"{folder}: a row has a value of the wrong type: {DAMAGED}")
        conflict = next(_conflicts(connection), None)
        if conflict is not None:
            raise ConfigError(f"{folder}: {conflict} differs from that of a run named before it; leave one of them out")
        connection.execute(TAKE_COMPLETIONS)
        connection.execute(_ATTEMPTS)


def _conflicts(connection: sqlite3.Connection) -> Iterator[str]:
    """The names of results that both runs have, and that differ."""
    for cell, problem, sample, *records in connection.execute(_TWICE_MADE):
        ours, theirs = (_timeless(msgspec.json.decode(blob, type=Record)) for blob in records)
        if ours != theirs:
            yield f"cell {cell + 1}, problem {problem}, sample {sample}"
    for key, *completions in connection.execute(_TWICE_PAID):
        ours, theirs = (replace(msgspec.json.decode(blob, type=Completion), seconds=None) for blob in completions)
        if ours != theirs:
            yield f"the reply to call {key[:12]}"


def _timeless(record: Record) -> Record:
    return replace(record, seconds=0.0, calls=tuple(replace(call, seconds=0.0) for call in record.calls))


_OF_OTHER_TYPES = f"""
    SELECT 1 FROM other.attempts
    WHERE typeof(cell) || typeof(problem) || typeof(sample) || typeof(owed) || typeof(outcome) || typeof(record)
          != 'integertextintegerintegerblobblob'
    UNION ALL {ODD_COMPLETIONS}"""  # noqa: S608  our words

_TWICE_MADE = """
    SELECT cell, problem, sample, ours.record, theirs.record
    FROM attempts AS ours JOIN other.attempts AS theirs USING (cell, problem, sample)
    WHERE NOT ours.owed AND NOT theirs.owed AND ours.record != theirs.record ORDER BY 1, 2, 3"""

_TWICE_PAID = """
    SELECT key, ours.completion, theirs.completion
    FROM completions AS ours JOIN other.completions AS theirs USING (key)
    WHERE ours.completion != theirs.completion ORDER BY key"""

_ATTEMPTS = """
    INSERT OR REPLACE INTO attempts SELECT * FROM other.attempts AS theirs WHERE NOT EXISTS (
        SELECT 1 FROM attempts AS ours
        WHERE ours.cell = theirs.cell AND ours.problem = theirs.problem AND ours.sample = theirs.sample
              AND (theirs.owed OR NOT ours.owed))"""
