"""The proxy as a server: a socket, aiohttp's web server on it, and an orderly end.

Decides what may be bound. On leaving no new requests are taken, those in flight go on to their end or until their time
is up, the rest is cancelled.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from scale_reasoning.engines import Connection, connect
from scale_reasoning.errors import ConfigError
from scale_reasoning.web.proxy.answer import Solver
from scale_reasoning.web.proxy.app import App
from scale_reasoning.web.proxy.door import Door, Site
from scale_reasoning.web.proxy.gate import Gate, Limits, is_loopback
from scale_reasoning.web.proxy.log import Log
from scale_reasoning.web.proxy.metrics import Metrics
from scale_reasoning.web.proxy.readiness import Readiness
from scale_reasoning.web.proxy.upstream import Upstream

SPARE_FILES = 128
"""Files that the process has open beside connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server of the proxy is told. `keys` are the clients'; none means that only loopback may be bound."""

    host: str = "127.0.0.1"
    port: int = 9000
    keys: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    keep_alive_seconds: float = 15.0
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("keep_alive_seconds", "drain_seconds"):
            if not 0 < getattr(self, name) < 1e6:
                raise ConfigError(f"{name} = {getattr(self, name)}: must be a positive number of seconds")
        if not self.keys and not is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host}: is open to others, so it needs --api-keys-file FILE; or bind 127.0.0.1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where a server answers, and under which names: the model it is in front of, then the strategies over it."""

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
    """A running server, which ends in order on leaving. `log` gets a line for each request, `say` what the model server
    lacks and when it has it.

    Raises ConfigError when the address cannot be bound, the model cannot be opened, the model server refuses the key
    or does not have the model.
    """
    lines, budget = Log(log), settings.limits.token_budget
    async with AsyncExitStack() as stack:
        endpoints = await stack.enter_async_context(connect(connection))
        upstream = await stack.enter_async_context(Upstream(connection, endpoints, budget))
        stack.enter_context(lines.of_loop())
        readiness, metrics = Readiness(upstream.asked), Metrics()
        in_flight = upstream.in_flight
        door = Door(_connections(settings.limits.max_connections, in_flight))
        app = App(
            upstream=upstream,
            readiness=readiness,
            solver=Solver(endpoints=endpoints, token_budget=budget, in_flight=in_flight,
                          keep_alive=settings.keep_alive_seconds, on_usage=metrics.used),
            gate=Gate(settings.keys, places=settings.limits.max_concurrent, in_flight=in_flight),
            door=door,
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
        base_url = await _bound(runner, settings, door)
        await stack.enter_async_context(door.watched())
        await readiness.first()
        if readiness.why is not None:
            say(f"not ready: {readiness.why}; asking again every {readiness.seconds:g} s")
        await stack.enter_async_context(_beside(readiness.settle(say)))
        yield Serving(base_url=base_url, models=upstream.own)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Runs until left, or done."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _connections(wanted: int, in_flight: int) -> int:
    """How many clients' connections the process has files for, if it may not open as many as are wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = SPARE_FILES + 2 * in_flight
    if soft != resource.RLIM_INFINITY and soft < wanted + others:
        soft = wanted + others if hard == resource.RLIM_INFINITY else min(wanted + others, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - others))


async def _bound(runner: web.AppRunner, settings: Settings, door: Door) -> str:
    try:
        await Site(runner, settings.host, settings.port, door).start()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {settings.host} --port {settings.port}: cannot be bound: {error}") from error
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
