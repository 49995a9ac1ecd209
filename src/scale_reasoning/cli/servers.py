"""What servers say of their models: names where none was given, and what there is where one is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from scale_reasoning.engines import Connection, engine_of, listing, system1_connection, with_model
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.runs.manifest import Manifest, ModelSpec
from scale_reasoning.types import JSON

PATIENCE = 10.0
"""Seconds that a list of models is waited for, where the answer can do without it."""


def lists(connection: Connection, name: str) -> bool:
    """Whether the connection's server lists a model of this name; False where it cannot be asked."""
    return name.removeprefix("models/") in (asyncio.run(_entries(connection)) or {})


def unlisted(connections: Iterable[Connection]) -> list[str]:
    """A line for every model that its server does not list, with what it lists instead."""
    lines: dict[str, None] = {}
    for connection in connections:
        for each in filter(None, (connection, system1_connection(connection))):
            if each.model is None or engine_of(each) != "openai":
                continue
            found = listing.check_model(each.model, asyncio.run(_entries(each)))
            if found.verdict == "no":
                lines[f"{found.found}: {found.fix}"] = None
    return list(lines)


def named(manifest: Manifest, connections: Mapping[ModelSpec, Connection]) -> Manifest:
    """The manifest with every model named: where none was, the only one of its server. Raises ConfigError."""
    names = {
        spec: asyncio.run(with_model(connection)).model
        for spec, connection in connections.items()
        if spec.model is None and connection.base_url is not None
    }
    return replace(
        manifest,
        cells=tuple(
            replace(cell, model=replace(cell.model, model=names[cell.model])) if cell.model in names else cell
            for cell in manifest.cells
        ),
    )


async def _entries(connection: Connection) -> Mapping[str, JSON] | None:
    try:
        return await listing.fetch_list(connection, seconds=PATIENCE)
    except (EngineError, ConfigError):
        return None
