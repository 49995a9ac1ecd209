"""Which kind of server an address is: by its host, else by what the server says of itself.

At most a few small requests, once; a server that fails, falls silent or says nothing known is generic.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scale_reasoning.engines import listing
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import Connection, ModelSpec, derive_system1
from scale_reasoning.engines.table import choose_engine, is_on_server
from scale_reasoning.engines.values import as_list, as_table, value_at
from scale_reasoning.errors import ConfigError, EngineError, Malformed, Rejected
from scale_reasoning.servers import GENERIC, Server, find_by_host, find_server, list_servers
from scale_reasoning.types import JSON

if TYPE_CHECKING:
    from scale_reasoning.engines.openai import OpenAI

ASKING_SECONDS = 5.0
"""How long a server has to say what it is, in all requests together."""

LLAMA = "llama.cpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The name of a kind, and what showed it."""

    name: str
    shown_by: str


async def name_server(connection: Connection) -> Connection:
    """The connection with the kind of its server, and of System 1's where that has another address."""
    second = derive_system1(connection)
    identity = await identify(connection)
    connection = replace(connection, server=identity.name)
    if second is None or second.server is not None:
        return connection
    alike = second.base_url == connection.base_url and choose_engine(second) == choose_engine(connection)
    other = identity if alike else await identify(second)
    return replace(connection, system1_server=other.name)


async def identify(connection: Connection) -> Identity:
    """The kind of a connection's server. Raises ConfigError for a kind that there is not."""
    if connection.server is not None:
        find_server(connection.server)
    url = connection.base_url
    if not is_on_server(connection):
        return Identity(name=find_kind(connection), shown_by="it runs on this machine")
    if connection.server is not None or url is None:
        return Identity(name=find_kind(connection), shown_by="by --server, or the run's manifest")
    if (named := find_by_host(url)) is not None:
        return Identity(name=named, shown_by="by the host of its URL")
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            return await _ask(connection, url)
    except TimeoutError:
        connection.say(
            f"the server of {connection.model} did not say in {ASKING_SECONDS:g} s of which kind it is, so it is told "
            "as any other: --server KIND names it"
        )
    except (EngineError, ConfigError):
        pass  # what is wrong with it is said when it is used
    return Identity(name=GENERIC, shown_by="it did not say what it is")


def find_kind(spec: ModelSpec) -> str:
    """The kind that a spec names, or means without naming one; what runs on this machine has one of its own."""
    if is_on_server(spec):
        return spec.server or GENERIC
    return LLAMA if choose_engine(spec) == "llama" else GENERIC


def find_kinds(specs: Iterable[ModelSpec]) -> dict[str, str]:
    """The kinds of servers by model; where a model is on servers of several kinds, all of them: `vllm + ollama`."""
    kinds: dict[str, dict[str, None]] = {}
    for spec in specs:
        kinds.setdefault(spec.model or DEFAULT_MODEL, {})[find_kind(spec)] = None
    return {model: " + ".join(found) for model, found in kinds.items()}


async def _ask(connection: Connection, url: str) -> Identity:
    from scale_reasoning.engines.http import Timeouts
    from scale_reasoning.engines.openai import OpenAI

    timeouts = Timeouts(connect=ASKING_SECONDS, first_byte=ASKING_SECONDS)
    async with OpenAI(url, api_key=connection.api_key, timeouts=timeouts) as server:
        models = await _fetch(server, "/models")
    owners = _list_texts(models, "owned_by")
    kinds = list_servers().values()
    owned = [kind for kind in kinds if owners & {*kind.owned_by}]
    if len(owned) == 1:
        return Identity(name=owned[0].name, shown_by="by its list of models")
    names = _list_texts(models, "id")
    asked = [kind for kind in kinds if kind.asks and (not owners or kind in owned or _may_be(kind, owners, names))]
    # Servers keep what they say of themselves outside the protocol's part of their paths.
    async with OpenAI(url.rstrip("/").removesuffix("/v1"), api_key=connection.api_key, timeouts=timeouts) as root:
        told = {path: await _fetch(root, path) for path in dict.fromkeys(kind.asks for kind in asked)}
    for kind in asked:
        if _is_told(kind, told[kind.asks]):
            return Identity(name=kind.name, shown_by=f"by its {kind.asks}{_show_version(told[kind.asks])}")
    return Identity(name=GENERIC, shown_by="it did not say what it is")


async def _fetch(server: OpenAI, path: str) -> JSON:
    """The JSON at a path; None where there is none."""
    try:
        return await server.fetch(path)
    except Rejected as refusal:
        if refusal.status in (401, 403):
            raise
        return None
    except Malformed:
        return None


def _list_texts(models: JSON, key: str) -> set[str]:
    """What a list of models says of each under a key."""
    entries = as_list(value_at(models, "data"))[: listing.MOST_NAMES]
    return {text for entry in entries if isinstance(text := value_at(entry, key), str)}


def _may_be(kind: Server, owners: set[str], names: set[str]) -> bool:
    """Whether the owners or the names of models leave it open that a server is of this kind."""
    is_named_so = bool(kind.in_names and names) and all(kind.in_names in name for name in names)
    return is_named_so or not owners.isdisjoint(kind.may_own)


def _is_told(kind: Server, reply: JSON) -> bool:
    table = as_table(reply)
    if not any(key in table for key in kind.tells):
        return False
    version = value_at(reply, "version")
    if not kind.since or not isinstance(version, str):
        return True
    found = _read_version(version)
    return found is None or found >= (_read_version(kind.since) or ())


def _read_version(text: str) -> tuple[int, ...] | None:
    """The numbers at the beginning of a version, at most three of them; None where there are none."""
    found = re.match(r"v?(\d{1,6}(?:\.\d{1,6}){0,2})", text[:40])
    return tuple(map(int, found[1].split("."))) if found else None


def _show_version(reply: JSON) -> str:
    version = value_at(reply, "version") or value_at(reply, "release") or value_at(reply, "build_info")
    return f", version {version[:40]}" if isinstance(version, str) else ""
