"""From a connection (a model, a URL) to the endpoints of both modes: engines with their policies, open while used."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from scale_reasoning.endpoint import Endpoint, Endpoints
from scale_reasoning.engines.adapting import Adaptable, Adaptations
from scale_reasoning.engines.catalogue import DEFAULT_MODEL as DEFAULT_MODEL
from scale_reasoning.engines.connection import Connection, ModelSpec, derive_system1, find_family
from scale_reasoning.engines.identify import find_kind, name_server
from scale_reasoning.engines.limit import Slots, limit_of
from scale_reasoning.engines.policy import Gate, Gated, Limited, Retrying
from scale_reasoning.engines.spread import SharedServers, Spread
from scale_reasoning.engines.table import OpenEngine, is_on_server, open_engine
from scale_reasoning.servers import GENERIC, adapt_mode, find_server
from scale_reasoning.types import Engine, Mode


@asynccontextmanager
async def connect(
    connection: Connection, servers: SharedServers | None = None, gate: Gate | None = None
) -> AsyncGenerator[Endpoints]:
    """Both modes' endpoints, closed on leaving. Connections with the same `servers` share the limits of common servers.
    `gate` is asked before each request is sent, retries included.

    A mode that the model's family lacks, and for which no other model was named, has no entry; a strategy that asks
    for it raises a ConfigError that says what to do. Raises ConfigError for what cannot be opened.
    """
    connection = await name_server(await name_model(connection))
    async with AsyncExitStack() as stack:
        servers = servers or SharedServers()
        main = await _open_with_policies(connection, servers, gate, stack)
        second = derive_system1(connection)
        other = main if second is None else await _open_with_policies(second, servers, gate, stack)
        yield {
            **make_endpoint(connection, main, Mode.SYSTEM2),
            **make_endpoint(second or connection, other, Mode.SYSTEM1),
        }


def endpoints(engine: Engine, model: str, *, profile: str | None = None, window: int | None = None) -> Endpoints:
    """Both modes on one engine of your own, of the family `profile` (default: the one that matches `model`)."""
    spec = ModelSpec(model=model, profile=profile, window=window, server=GENERIC)
    opened = OpenEngine(engine=engine, model=model, window=window)
    return {mode: endpoint for mode in Mode for endpoint in make_endpoint(spec, opened, mode).values()}


async def name_model(connection: Connection) -> Connection:
    """The connection with its model named: where none was, the only one of its server. Raises ConfigError."""
    if connection.model is not None or connection.base_url is None:
        return connection
    from scale_reasoning.engines.listing import only_model

    model = await only_model(connection)
    connection.say(f"{connection.base_url} has one model: {model}")
    return replace(connection, model=model)


def make_endpoint(spec: ModelSpec, opened: OpenEngine, mode: Mode) -> dict[Mode, Endpoint]:
    """The endpoint of one mode on an open engine; {} when the model's family lacks that mode."""
    family = find_family(spec)
    profile = family.mode(mode)
    if profile is None:
        return {}
    given = {"temperature": spec.temperature, "top_p": spec.top_p}
    sampling = replace(profile.sampling, **{key: value for key, value in given.items() if value is not None})
    window = opened.window or spec.window or family.window
    server = find_server(find_kind(spec))
    profile = adapt_mode(replace(profile, sampling=sampling), server)
    endpoint = Endpoint(engine=opened.engine, model=opened.model, profile=profile, window=window, server=server.name)
    return {mode: endpoint}


async def _open_with_policies(
    connection: Connection, shared: SharedServers, gate: Gate | None, stack: AsyncExitStack
) -> OpenEngine:
    if not is_on_server(connection) or connection.base_url is None:  # on this machine, for this connection
        opened = await _open_gated(connection, gate, stack)
        engine = Limited(opened.engine, slots=Slots(limit_of(connection.in_flight)))
        return replace(opened, engine=Retrying(engine, retries=connection.retries))
    urls = tuple(dict.fromkeys((connection.base_url, *connection.more_base_urls)))
    each = [await _open_gated(replace(connection, base_url=url), gate, stack) for url in urls]
    servers = shared.get(urls, connection.in_flight)
    engines = {server: opened.engine for server, opened in zip(servers, each, strict=True)}
    engine = Spread(engines) if len(urls) > 1 else Limited(each[0].engine, slots=servers[0])
    return replace(each[0], engine=Retrying(engine, retries=connection.retries))


async def _open_gated(connection: Connection, gate: Gate | None, stack: AsyncExitStack) -> OpenEngine:
    opened = await open_engine(connection, stack)
    return opened if gate is None else replace(opened, engine=Gated(opened.engine, gate))


def list_adaptations(endpoints: Endpoints) -> dict[str, list[str]]:
    """What the servers of these endpoints refused so far, one sentence each, by model."""
    known: dict[str, list[str]] = {}
    for endpoint in endpoints.values():
        for adaptations in _find_adaptations(endpoint.engine):
            for model, each in adaptations.found.items():
                sentences = known.setdefault(model, [])
                new = [adaptation.describe(adaptations.where) for adaptation in each]
                sentences += [sentence for sentence in new if sentence not in sentences]
    return known


def _find_adaptations(engine: Engine) -> Iterator[Adaptations]:
    if isinstance(engine, Adaptable):
        yield engine.adaptations
    elif isinstance(engine, Retrying | Limited | Gated):
        yield from _find_adaptations(engine.engine)
    elif isinstance(engine, Spread):
        for server in engine.engines.values():
            yield from _find_adaptations(server)
