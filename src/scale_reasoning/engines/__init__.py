"""From what a user names (a model, a URL) to the endpoints of both modes: engines with their policies, open while used.

To add an engine: one file with one `generate`, one row in ENGINES. Heavy imports happen inside the openers.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

from scale_reasoning.arithmetic.teacher import TEACHER, Teacher
from scale_reasoning.endpoint import Endpoint, Endpoints
from scale_reasoning.engines.adapting import Adaptable, Adaptations
from scale_reasoning.engines.limit import InFlight, Slots, limit_of
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.spread import SharedServers, Spread
from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import Profile, profile_for
from scale_reasoning.types import Engine, Mode

if TYPE_CHECKING:
    from scale_reasoning.engines.http import Timeouts

EMBEDDED = "student"
"""The name of the model in the box: SmolLM2 with an adapter for arithmetic's laptop level (docs/student.md)."""
UNTAUGHT = "smollm2"
"""The name of the same model without the adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a user says about the model they want; None is not said.

    model: a name on the server (not needed where it has one model only), `student` (the model in the box, the default
    without a base URL), `smollm2` (the same without its adapter), the path of a GGUF file or, without a base URL, of a
    checkpoint folder. base_url: the server of an OpenAI-compatible API.
    more_base_urls: further servers of the same model. system1_model, system1_base_url: where System 1 sits when it is
    another model. api_key: sent as a bearer token.
    profile: a family of profiles.toml instead of the one that matches the name; profiles: a file of the user's own
    families. window: tokens, prompt and reply together. in_flight: requests a server is sent at a time; retries: of a
    failed request.
    temperature, top_p: instead of the profile's.
    """

    model: str | None = None
    base_url: str | None = None
    more_base_urls: tuple[str, ...] = ()
    system1_model: str | None = None
    system1_base_url: str | None = None
    api_key: str | None = None
    profile: str | None = None
    profiles: Path | None = None
    window: int | None = None
    in_flight: InFlight = 64
    retries: int = 4
    temperature: float | None = None
    top_p: float | None = None
    timeouts: Timeouts | None = None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An engine ready to answer, the model's name on it, and the window it was given (tokens, None unknown)."""

    engine: Engine
    model: str
    window: int | None = None


Opener: TypeAlias = Callable[[Connection, AsyncExitStack], Awaitable[Opened]]


async def _openai(connection: Connection, stack: AsyncExitStack) -> Opened:
    from scale_reasoning.engines.openai import OpenAI

    if connection.base_url is None or connection.model is None:
        raise ConfigError(
            f"base URL {connection.base_url}: which model? --model NAME"
            if connection.base_url
            else f"model {connection.model!r} is neither the model in the box ({EMBEDDED!r}, {UNTAUGHT!r}) nor a GGUF "
            "file nor a checkpoint folder (with a config.json): say where it is served, --base-url http://HOST:PORT/v1"
        )
    server = OpenAI(connection.base_url, api_key=connection.api_key, timeouts=connection.timeouts, say=connection.say)
    return Opened(engine=await stack.enter_async_context(server), model=connection.model)


async def _llama(connection: Connection, stack: AsyncExitStack) -> Opened:
    from scale_reasoning.engines import smollm2, student
    from scale_reasoning.engines.llama import Llama

    named = connection.model or EMBEDDED
    boxed = {EMBEDDED: student.fetch, UNTAUGHT: smollm2.fetch}.get(named)
    path = await _fetched(boxed, connection.say) if boxed else Path(named)
    asked = {} if connection.window is None else {"window": connection.window}
    engine = await stack.enter_async_context(await Llama.start(path, **asked))
    return Opened(engine=engine, model=named if boxed else path.stem, window=engine.window)


async def _fetched(fetch: Callable[..., Path], say: Callable[[str], None]) -> Path:
    """In a thread, for it may take minutes; whoever is cancelled meanwhile stops it."""
    stop = Event()
    try:
        return await asyncio.to_thread(fetch, say, stop=stop)
    finally:
        stop.set()


async def _teacher(connection: Connection, stack: AsyncExitStack) -> Opened:
    return Opened(engine=Teacher(), model=TEACHER, window=connection.window)


async def _transformers(connection: Connection, stack: AsyncExitStack) -> Opened:
    from scale_reasoning.engines.checkpoint import Checkpoint

    loaded = await Checkpoint.load(Path(connection.model or ""), window=connection.window)
    engine = await stack.enter_async_context(loaded)
    return Opened(engine=engine, model=engine.name, window=engine.window)


ENGINES: dict[str, Opener] = {"openai": _openai, "llama": _llama, "teacher": _teacher, "transformers": _transformers}


def engine_of(connection: Connection) -> str:
    """Which row of ENGINES serves it: here the teacher, a GGUF file, the model in the box and, unless a base URL says
    that it is served, a checkpoint folder; all else its server.
    """
    model, base_url = connection.model, connection.base_url
    if model == TEACHER:
        return "teacher"
    if model in (EMBEDDED, UNTAUGHT) or (model is None and base_url is None):
        return "llama"
    if str(model).lower().endswith(".gguf") and (base_url is None or Path(str(model)).is_file()):
        return "llama"  # else it is a server's name for its model
    # A server, too, may know a checkpoint by its path.
    return "transformers" if model and base_url is None and Path(model, "config.json").is_file() else "openai"


@asynccontextmanager
async def connect(connection: Connection, servers: SharedServers | None = None) -> AsyncGenerator[Endpoints]:
    """Both modes' endpoints, closed on leaving. Connections given the same `servers` share
    the limits of servers that they have in common.

    A mode that the model's family lacks and no other model was named for has no entry; asking for it raises a
    ConfigError that says what to do. Raises ConfigError for what cannot be opened.
    """
    connection = await with_model(connection)
    async with AsyncExitStack() as stack:
        servers = servers or SharedServers()
        main = await _with_policies(connection, servers, stack)
        second = system1_connection(connection)
        other = main if second is None else await _with_policies(second, servers, stack)
        yield {
            **mode_endpoints(connection, main, Mode.SYSTEM2),
            **mode_endpoints(second or connection, other, Mode.SYSTEM1),
        }


def endpoints(engine: Engine, model: str, *, profile: str | None = None, window: int | None = None) -> Endpoints:
    """Both modes on one engine of your own, spoken to as the family of `profile` (else as `model`'s name says)."""
    opened = Opened(engine=engine, model=model, window=window)
    connection = Connection(model=model, profile=profile, window=window)
    return {mode: endpoint for mode in Mode for endpoint in mode_endpoints(connection, opened, mode).values()}


def adaptations(endpoints: Endpoints) -> dict[str, list[str]]:
    """What the servers of these endpoints were found to refuse so far, a sentence each, by model."""
    found: dict[str, list[str]] = {}
    for endpoint in endpoints.values():
        for of_server in _adaptations(endpoint.engine):
            for model, each in of_server.found.items():
                known = found.setdefault(model, [])
                sentences = [adaptation.describe(of_server.where) for adaptation in each]
                known += [sentence for sentence in sentences if sentence not in known]
    return found


def _adaptations(engine: Engine) -> Iterator[Adaptations]:
    if isinstance(engine, Adaptable):
        yield engine.adaptations
    elif isinstance(engine, Retrying | Limited):
        yield from _adaptations(engine.engine)
    elif isinstance(engine, Spread):
        for server in engine.engines.values():
            yield from _adaptations(server)


async def with_model(connection: Connection) -> Connection:
    """The connection with its model named: where none was, the only one of its server. Raises ConfigError."""
    if connection.model is not None or connection.base_url is None:
        return connection
    from scale_reasoning.engines.listing import only_model

    model = await only_model(connection)
    connection.say(f"{connection.base_url} has one model: {model}")
    return replace(connection, model=model)


async def open_engine(connection: Connection, stack: AsyncExitStack) -> Opened:
    """The bare engine, without policies; `stack` closes it."""
    return await ENGINES[engine_of(connection)](connection, stack)


async def _with_policies(connection: Connection, shared: SharedServers, stack: AsyncExitStack) -> Opened:
    if engine_of(connection) != "openai" or connection.base_url is None:  # it runs here, for this connection alone
        opened = await open_engine(connection, stack)
        engine = Limited(opened.engine, slots=Slots(limit_of(connection.in_flight)))
        return replace(opened, engine=Retrying(engine, retries=connection.retries))
    urls = tuple(dict.fromkeys((connection.base_url, *connection.more_base_urls)))
    each = [await open_engine(replace(connection, base_url=url), stack) for url in urls]
    servers = shared.get(urls, connection.in_flight)
    engines = {server: opened.engine for server, opened in zip(servers, each, strict=True)}
    engine = Spread(engines) if len(urls) > 1 else Limited(each[0].engine, slots=servers[0])
    return replace(each[0], engine=Retrying(engine, retries=connection.retries))


def system1_connection(connection: Connection) -> Connection | None:
    """The connection of System 1 where it is another model's or another server's. Another model has a family and a
    window of its own.
    """
    if connection.system1_model is None and connection.system1_base_url is None:
        return None
    elsewhere = replace(
        connection,
        base_url=connection.system1_base_url or connection.base_url,
        more_base_urls=() if connection.system1_base_url else connection.more_base_urls,
    )
    if connection.system1_model in (None, connection.model):
        return elsewhere
    return replace(elsewhere, model=connection.system1_model, profile=None, window=None)


def family_of(connection: Connection) -> Profile:
    """The family of the connection's model. Raises ConfigError for an unknown profile or a faulty profiles file."""
    return profile_for(connection.model or EMBEDDED, name=connection.profile, file=connection.profiles)


def mode_endpoints(connection: Connection, opened: Opened, mode: Mode) -> dict[Mode, Endpoint]:
    """The endpoint of one mode on an open engine, {} when the model's family lacks that mode."""
    family = family_of(connection)
    own = family.mode(mode)
    if own is None:
        return {}
    said = {"temperature": connection.temperature, "top_p": connection.top_p}
    sampling = replace(own.sampling, **{key: value for key, value in said.items() if value is not None})
    window = opened.window or connection.window or family.window
    return {
        mode: Endpoint(engine=opened.engine, model=opened.model, profile=replace(own, sampling=sampling), window=window)
    }


def key_from_environment(variable: str | None) -> str | None:
    """The API key in `variable`, else in OPENAI_API_KEY; None when that is not set.

    Raises ConfigError when a variable was named and holds nothing.
    """
    key = os.environ.get(variable or "OPENAI_API_KEY")
    if variable and not key:
        raise ConfigError(f"--api-key-env {variable}: that environment variable is not set")
    return key or None
