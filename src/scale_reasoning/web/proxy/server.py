"""The proxy as a server: a socket, aiohttp's web server on it, and a clean shutdown.

Decides which address may be bound. On shutdown it takes no new requests, waits for those in flight until their time is
over, and cancels the rest.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from scale_reasoning.engines import Connection, connect
from scale_reasoning.engines.table import name_llama
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.web.proxy.answer import Solver
from scale_reasoning.web.proxy.app import App
from scale_reasoning.web.proxy.chat import SHOWN, Shown
from scale_reasoning.web.proxy.cors import Origins, check_origin
from scale_reasoning.web.proxy.door import Door, Site
from scale_reasoning.web.proxy.gate import Gate, Limits, is_loopback
from scale_reasoning.web.proxy.log import Log
from scale_reasoning.web.proxy.metrics import Metrics
from scale_reasoning.web.proxy.passing import Passing
from scale_reasoning.web.proxy.readiness import Readiness
from scale_reasoning.web.proxy.upstream import Upstream

SPARE_FILES = 128
"""Files that the process has open besides connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a server. `keys` are those of clients; without keys only loopback may be bound. `tuned` is the
    strategy of a policy, served as `MODEL@tuned`.

    allow_origin: origins of web pages that may use it. lenient: the plain model answers what a strategy cannot.
    content: what the content of an answer is where a request does not say so.
    """

    host: str = "127.0.0.1"
    port: int = 9000
    keys: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    keep_alive_seconds: float = 15.0
    drain_seconds: float = 30.0
    tuned: Strategy | None = None
    allow_origin: tuple[str, ...] = ()
    lenient: bool = False
    content: Shown = "last"

    def __post_init__(self) -> None:
        for origin in self.allow_origin:
            check_origin(origin)
        if self.content not in SHOWN:
            raise ConfigError(f"content = {self.content!r}: must be one of {', '.join(SHOWN)}")
        for name in ("keep_alive_seconds", "drain_seconds"):
            if not 0 < getattr(self, name) < 1e6:
                raise ConfigError(f"{name} = {getattr(self, name)}: must be a positive number of seconds")
        if not self.keys and not is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host}: is open to others, so it needs --api-keys-file FILE; or bind 127.0.0.1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The address of a running server, and its model names: the served model, then the strategies over it."""

    base_url: str
    models: tuple[str, ...]


@asynccontextmanager
async def serving(
    connection: Connection,
    settings: Settings,
    *,
    log: Callable[[str], None],
    say: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[Serving]:
    """Runs a server during the block and shuts it down at the end. `log` gets one line per request; `say` gets what the
    model server lacks, and when it is ready.

    Raises ConfigError if the address cannot be bound, the model cannot be opened, or the model server refuses the key
    or does not have the model.
    """
    lines, budget = Log(log), settings.limits.token_budget
    await _require_free(settings)
    async with AsyncExitStack() as stack:
        endpoints = await stack.enter_async_context(connect(replace(connection, alias=name_llama(connection))))
        upstream = await stack.enter_async_context(Upstream(connection, endpoints, budget, settings.tuned))
        stack.enter_context(lines.of_loop())
        readiness, metrics = Readiness(upstream.targets), Metrics()
        in_flight = upstream.in_flight
        door = Door(_most_connections(settings.limits.max_connections, in_flight))
        app = App(
            upstream=upstream,
            readiness=readiness,
            solver=Solver(endpoints=endpoints, token_budget=budget, in_flight=in_flight,
                          keep_alive=settings.keep_alive_seconds, on_usage=metrics.count_tokens),
            gate=Gate(settings.keys, slots=settings.limits.max_concurrent, in_flight=in_flight),
            door=door,
            origins=Origins(settings.allow_origin),
            passing=Passing(served=upstream.model, tuned=settings.tuned is not None, lenient=settings.lenient,
                            token_budget=budget is not None),
            shown=settings.content,
            limits=settings.limits,
            metrics=metrics,
            log=lines,
            drain_seconds=settings.drain_seconds,
        )  # fmt: skip
        runner = web.AppRunner(
            app.application(), handler_cancellation=True, shutdown_timeout=settings.drain_seconds + 1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        base_url = await _bind(runner, settings, door)
        await stack.enter_async_context(door.watch())
        await readiness.first()
        if readiness.why is not None:
            say(f"not ready: {readiness.why}; asking again every {readiness.seconds:g} s")
        await stack.enter_async_context(_running(readiness.settle(say)))
        yield Serving(base_url=base_url, models=upstream.own)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Runs a coroutine during the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _most_connections(wanted: int, in_flight: int) -> int:
    """The number of connections that the process has files for, at most `wanted`. Raises the limit of open files."""
    if sys.platform == "win32":  # it has no such limit
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = SPARE_FILES + 2 * in_flight
    if soft != resource.RLIM_INFINITY and soft < wanted + others:
        soft = wanted + others if hard == resource.RLIM_INFINITY else min(wanted + others, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - others))


async def _require_free(settings: Settings) -> None:
    """Raises ConfigError if the address cannot be bound now: a model may take minutes to load."""
    try:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, settings.host, settings.port, start_serving=False)
    except (OSError, OverflowError) as error:
        raise _refuse_address(settings, error) from error
    server.close()


def _refuse_address(settings: Settings, error: Exception) -> ConfigError:
    host, port = settings.host, settings.port
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ConfigError(f"--port {port}: in use on {host}; --port 0 takes a free one")
    return ConfigError(f"--host {host} --port {port}: cannot be bound: {error}")


async def _bind(runner: web.AppRunner, settings: Settings, door: Door) -> str:
    try:
        await Site(runner, settings.host, settings.port, door).start()
    except (OSError, OverflowError) as error:
        raise _refuse_address(settings, error) from error
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
