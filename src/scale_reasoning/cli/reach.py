"""From model flags, and from a run's manifest, to connections: on which server each model is, and with which key.

A model is on this machine or on a server; flags that say both are refused. A server's list of models names the model
where none was named, and explains why a model was refused.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from scale_reasoning.cli.consent import refuse_unknown_servers
from scale_reasoning.cli.flags import SERVER_KEYS, ModelFlags, RunFlags, pick_given
from scale_reasoning.cli.options import say
from scale_reasoning.cli.settings import default_base_url
from scale_reasoning.engines import listing, name_model
from scale_reasoning.engines.connection import Connection, ModelSpec, derive_system1
from scale_reasoning.engines.identify import name_server
from scale_reasoning.engines.table import is_on_server
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.runs.manifest import Manifest, name_unnamed
from scale_reasoning.types import JSON

PATIENCE = 10.0
"""Seconds to wait for a list of models that is helpful but not needed."""


def make_connection(flags: ModelFlags) -> Connection:
    """The connection that the flags and the environment describe. Raises ConfigError."""
    require_system1(flags.model)
    access = replace(flags.access, api_key=read_api_key(flags.model.api_key_env))
    model = locate(flags.model)
    require_servers(model)
    return Connection.join(model, access)


def name_connection(connection: Connection) -> Connection:
    """The connection with its model and the kinds of its servers named, as its servers say. Raises ConfigError."""
    return asyncio.run(_name(connection))


async def _name(connection: Connection) -> Connection:
    return await name_server(await name_model(connection))


def make_connections(flags: RunFlags, manifest: Manifest) -> dict[ModelSpec, Connection]:
    """How each model of a stored run is reached now; what its manifest does not name is what `name_unnamed` says.

    Raises ConfigError, also where a key would go to an unknown server.
    """
    return _make_connections(flags, manifest, name_unnamed)


def name_served(flags: RunFlags, manifest: Manifest) -> Manifest:
    """The manifest of a new run with each model that is on a server named, and the kinds of servers, as these say: so
    that a resume sends the same requests. Raises ConfigError.
    """
    named: dict[ModelSpec, ModelSpec] = {}
    for spec, connection in _make_connections(flags, manifest, lambda spec: spec).items():
        if connection.base_url is not None or connection.system1_base_url is not None:
            found = name_connection(connection)
            named[spec] = replace(spec, model=found.model, server=found.server, system1_server=found.system1_server)
    return manifest.replace_models(named)


def _make_connections(
    flags: RunFlags, manifest: Manifest, fill: Callable[[ModelSpec], ModelSpec]
) -> dict[ModelSpec, Connection]:
    locate(flags.model.model)  # refuses flags that contradict each other
    variable = flags.model.model.api_key_env
    connections: dict[ModelSpec, Connection] = {}
    for spec, moved in move(flags.model.model, {cell.model: cell.model for cell in manifest.cells}).items():
        access = replace(flags.model.access, api_key=read_api_key(variable or spec.api_key_env))
        connections[spec] = Connection.join(fill(moved), access)
    refuse_unknown_servers(flags, connections)
    return connections


def locate(model: ModelSpec) -> ModelSpec:
    """The flags' model with its servers: those of the flags, else the default one, none for models on this machine.

    Raises ConfigError where a flag contradicts another.
    """
    (environment, set_in), key = default_base_url(), read_api_key(model.api_key_env)
    url, system1_url = model.base_url or environment, model.system1_base_url
    if runs_here(model.model, _make_lister(url, key)):
        if model.base_url:
            raise ConfigError(
                f"--base-url {url}: {model.model} runs on this machine; give only one of them, or another name that "
                "the server lists (with --profile for its family)"
            )
        if environment:
            _say_once(f"{set_in} is not used for {model.model}, which runs on this machine")
        url = None
    if runs_here(model.system1_model, _make_lister(system1_url or url or environment, key)):
        if system1_url:
            raise ConfigError(
                f"--system1-base-url {system1_url}: {model.system1_model} runs on this machine; give only one of them, "
                "or another name that the server lists"
            )
    elif model.system1_model is not None and url is None:
        system1_url = system1_url or environment
    return replace(model, base_url=url, system1_base_url=system1_url)


def move(model: ModelSpec, models: Mapping[ModelSpec, ModelSpec]) -> dict[ModelSpec, ModelSpec]:
    """The values of `models` on the servers that the flags' `model` names; models on this machine stay there.

    Raises ConfigError for a server that no model can use.
    """
    servers = {key: value for key, value in pick_given(model).items() if key in SERVER_KEYS}
    if "base_url" in servers:
        servers["more_base_urls"] = model.more_base_urls
        if all(runs_here(each.model) for each in models.values()):
            names = ", ".join(dict.fromkeys(str(each.model) for each in models.values()))
            raise ConfigError(f"--base-url {model.base_url}: {names} runs on this machine; leave the URL out")
    system1 = {key: url for key, url in servers.items() if key == "system1_base_url"}
    if system1 and not any(each.system1_model or each.system1_base_url for each in models.values()):
        raise ConfigError("--system1-base-url: no model of System 1 is named; add --system1-model NAME")
    return {key: replace(each, **(system1 if runs_here(each.model) else servers)) for key, each in models.items()}


def require_system1(model: ModelSpec) -> None:
    """Raises ConfigError for a server of System 1 without its model, where only flags name the models."""
    if model.system1_base_url and not model.system1_model:
        raise ConfigError(
            "--system1-base-url: name the model there with --system1-model, even if it is the same as --model"
        )


def require_servers(model: ModelSpec) -> None:
    """Raises ConfigError for the kind of a server that there is not, where only flags name the models."""
    if model.server and not model.base_url:
        raise ConfigError(
            f"--server {model.server}: no server is named: add --base-url URL, or leave the flag out for a model on "
            "this machine"
        )
    if model.system1_server and not (model.system1_model or model.system1_base_url):
        raise ConfigError(
            f"--system1-server {model.system1_server}: no model of System 1 is named; add --system1-model NAME"
        )


def runs_here(model: str | None, is_served: Callable[[str], bool] = lambda _: True) -> bool:
    """Whether a model runs on this machine although there is a server: an embedded model or a GGUF file.

    A name that ends in .gguf and is no file may be a server's: `is_served` says whether the server lists it.
    """
    if model is None:
        return False
    if model.lower().endswith(".gguf") and not Path(model).is_file():
        return not is_served(model)
    return not is_on_server(ModelSpec(model=model, base_url="http://server"))


def read_api_key(variable: str | None) -> str | None:
    """The API key in an environment variable, by default OPENAI_API_KEY; None when that default is not set.

    Raises ConfigError when a variable was named and holds nothing.
    """
    key = os.environ.get(variable or "OPENAI_API_KEY")
    if variable and not key:
        raise ConfigError(f"--api-key-env {variable}: that environment variable is not set")
    return key or None


def _make_lister(url: str | None, key: str | None) -> Callable[[str], bool]:
    return lambda name: url is not None and _is_listed(url, key, name)


@cache
def _is_listed(url: str, key: str | None, name: str) -> bool:
    """Whether a server lists a model of this name; False where it gives no list."""
    entries = asyncio.run(_fetch_entries(Connection(base_url=url, api_key=key)))
    return name.removeprefix("models/") in (entries or {})


@cache
def _say_once(line: str) -> None:
    say(line)


def explain_unlisted(connections: Iterable[Connection]) -> list[str]:
    """One line for every model that its server does not list, with what the server lists instead."""
    lines: dict[str, None] = {}
    for connection in connections:
        for each in filter(None, (connection, derive_system1(connection))):
            if each.model is None or not is_on_server(each):
                continue
            finding = listing.check_model(each.model, asyncio.run(_fetch_entries(each)))
            if finding.verdict == "no":
                lines[f"{finding.found}: {finding.fix}"] = None
    return list(lines)


async def _fetch_entries(connection: Connection) -> Mapping[str, JSON] | None:
    try:
        return await listing.fetch_list(connection, seconds=PATIENCE)
    except (EngineError, ConfigError):
        return None
