"""The proxy as a process: a socket, uvicorn on it, and an orderly end.

Decides what is bound and how the server goes down: no new requests, those in flight to their end or until their time
is up, then the rest is cancelled. The one door to uvicorn.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from scale_reasoning.engines import Connection, connect
from scale_reasoning.errors import ConfigError
from scale_reasoning.web.proxy.answer import Solver
from scale_reasoning.web.proxy.app import App
from scale_reasoning.web.proxy.gate import Gate, Limits, is_loopback
from scale_reasoning.web.proxy.metrics import Metrics
from scale_reasoning.web.proxy.models import ModelList
from scale_reasoning.web.proxy.upstream import Upstream

IDLE = 75
"""Seconds an idle connection is kept: longer than clients keep theirs, so that none meets one that just closed."""


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


async def serve(connection: Connection, settings: Settings, *, ready: Callable[[str, str], None],
                log: Callable[[str], None]) -> None:  # fmt: skip
    """Serves until SIGTERM, SIGINT or cancelling. `ready` is called with the base URL and the model's name.

    Raises ConfigError when the socket may not or cannot be bound, or the model cannot be opened.
    """
    uvicorn = _uvicorn()
    with _socket(settings) as listening:
        async with connect(connection) as endpoints, Upstream(connection, endpoints) as upstream:
            metrics = Metrics()
            app = App(
                upstream=upstream,
                solver=Solver(endpoints=endpoints, token_budget=settings.limits.token_budget,
                              keep_alive=settings.keep_alive_seconds, on_usage=metrics.used),
                models=ModelList(upstream),
                gate=Gate(settings.keys, places=settings.limits.max_concurrent),
                limits=settings.limits,
                metrics=metrics,
                log=log,
            )  # fmt: skip
            server = uvicorn.Server(
                uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False,
                               interface="asgi3", timeout_keep_alive=IDLE,
                               timeout_graceful_shutdown=settings.drain_seconds)
            )  # fmt: skip
            host, port = listening.getsockname()[:2]
            ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/v1", upstream.model)
            with _signals(server):
                try:
                    await server.serve([listening])
                finally:
                    if server.started and not server.should_exit:  # cancelled
                        await server.shutdown([listening])


@contextmanager
def _signals(server: Any) -> Generator[None]:
    """SIGTERM and Ctrl-C drain and then return; uvicorn's own handlers would die of the signal after all."""
    server.capture_signals = nullcontext
    if threading.current_thread() is not threading.main_thread():  # where no signal comes
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _socket(settings: Settings) -> socket.socket:
    host = settings.host
    if not settings.keys and not is_loopback(host):
        raise ConfigError(f"--host {host}: is open to others, so it needs --api-keys-file FILE; or bind 127.0.0.1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, settings.port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--host {host} --port {settings.port}: cannot be bound: {error}") from error
    # asyncio sets it on sockets made with a protocol number only; without it a small write waits 40 ms for an ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _uvicorn() -> Any:
    try:
        return import_module("uvicorn")
    except ImportError as error:
        raise ConfigError("scale serve needs uvicorn: pip install 'scale-reasoning[serve]'") from error
