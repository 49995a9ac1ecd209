"""The proxy as a server: a socket, aiohttp's web server on it, and an orderly end.

Decides what may be bound. On leaving no new requests are taken, those in flight go on to their end or until their time
is up, the rest is cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from scale_reasoning.engines import Connection, connect
from scale_reasoning.errors import ConfigError
from scale_reasoning.web.proxy.answer import Solver
from scale_reasoning.web.proxy.app import App
from scale_reasoning.web.proxy.gate import Gate, Limits, is_loopback
from scale_reasoning.web.proxy.metrics import Metrics
from scale_reasoning.web.proxy.upstream import Upstream

IDLE = 75.0
"""Seconds an idle connection is kept: longer than clients keep theirs, so that none meets one that just closed."""

_UNHEARD = logging.Logger("unheard", level=logging.CRITICAL + 1)
"""For what aiohttp has to say of broken requests: it quotes them, keys included."""


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
    """Where a server answers, and the model it is in front of."""

    base_url: str
    model: str


@asynccontextmanager
async def serving(connection: Connection, settings: Settings, *, log: Callable[[str], None]) -> AsyncGenerator[Serving]:
    """A running server, which ends in order on leaving.

    Raises ConfigError when the address cannot be bound, or the model cannot be opened.
    """
    async with connect(connection) as endpoints, Upstream(connection, endpoints) as upstream:
        metrics = Metrics()
        app = App(
            upstream=upstream,
            solver=Solver(endpoints=endpoints, token_budget=settings.limits.token_budget,
                          keep_alive=settings.keep_alive_seconds, on_usage=metrics.used),
            gate=Gate(settings.keys, places=settings.limits.max_concurrent),
            limits=settings.limits,
            metrics=metrics,
            log=log,
            drain_seconds=settings.drain_seconds,
        )  # fmt: skip
        runner = web.AppRunner(
            app.application(), handler_cancellation=True, keepalive_timeout=IDLE, auto_decompress=False,
            access_log=None, logger=_UNHEARD, shutdown_timeout=settings.drain_seconds + 1,
        )  # fmt: skip
        await runner.setup()
        try:
            yield Serving(base_url=await _bound(runner, settings), model=upstream.model)
        finally:
            await runner.cleanup()


async def _bound(runner: web.AppRunner, settings: Settings) -> str:
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {settings.host} --port {settings.port}: cannot be bound: {error}") from error
    host, port = runner.addresses[0][:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
