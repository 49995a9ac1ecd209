"""What servers list: the model where none was named, and what there is where a model is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from scale_reasoning.engines import listing, name_model
from scale_reasoning.engines.connection import Connection, ModelSpec, derive_system1
from scale_reasoning.engines.table import choose_engine
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.types import JSON

PATIENCE = 10.0
"""Seconds to wait for a list of models that is helpful but not needed."""


def is_listed(connection: Connection, name: str) -> bool:
    """Whether the connection's server lists a model of this name; False where the server gives no list."""
    return name.removeprefix("models/") in (asyncio.run(_fetch_entries(connection)) or {})


def explain_unlisted(connections: Iterable[Connection]) -> list[str]:
    """One line for every model that its server does not list, with what the server lists instead."""
    lines: dict[str, None] = {}
    for connection in connections:
        for each in filter(None, (connection, derive_system1(connection))):
            if each.model is None or choose_engine(each) != "openai":
                continue
            finding = listing.model(each.model, asyncio.run(_fetch_entries(each)))
            if finding.verdict == "no":
                lines[f"{finding.found}: {finding.fix}"] = None
    return list(lines)


def name_models(manifest: Manifest, connections: Mapping[ModelSpec, Connection]) -> Manifest:
    """The manifest with every model named: where none was, the only one of its server. Raises ConfigError."""
    return manifest.replace_models(
        {
            spec: replace(spec, model=asyncio.run(name_model(connection)).model)
            for spec, connection in connections.items()
            if spec.model is None and connection.base_url is not None
        }
    )


async def _fetch_entries(connection: Connection) -> Mapping[str, JSON] | None:
    from scale_reasoning.engines.openai import OpenAI, Timeouts

    patience = Timeouts(connect=PATIENCE, first_byte=PATIENCE)
    try:
        async with OpenAI(connection.base_url or "", api_key=connection.api_key, timeouts=patience) as server:
            return listing.listed(await server.fetch("/models"))
    except (EngineError, ConfigError):
        return None
