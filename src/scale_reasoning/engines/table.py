"""The table of engines: which engine serves a model, and how each is opened.

To add an engine: one file with one `generate`, one row in ENGINES. Heavy imports happen inside the openers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

from scale_reasoning.arithmetic.teacher import TEACHER, Teacher
from scale_reasoning.engines.catalogue import CATALOGUE, DEFAULT_MODEL, EMBEDDED_MODELS, SMOLLM2, STUDENT
from scale_reasoning.engines.connection import Connection, ModelSpec
from scale_reasoning.errors import ConfigError
from scale_reasoning.servers import find_by_host
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import Engine

if TYPE_CHECKING:
    from scale_reasoning.engines.fetching import Reporter
    from scale_reasoning.engines.http import Timeouts
    from scale_reasoning.engines.openai import OpenAI


WINDOW, GENERAL_WINDOW, THINKING_WINDOW = 4096, 8192, 16384
"""Tokens of a request: to the student and any other file, to a model of the catalogue, and to one that thinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEngine:
    """An engine that is open, the name of its model, and the model's window (tokens, None unknown)."""

    engine: Engine
    model: str
    window: int | None = None


Opener: TypeAlias = Callable[[Connection, AsyncExitStack], Awaitable[OpenEngine]]


async def _open_server(connection: Connection, stack: AsyncExitStack) -> OpenEngine:
    if connection.base_url is None or connection.model is None:
        raise ConfigError(
            f"base URL {connection.base_url}: which model? --model NAME"
            if connection.base_url
            else f"{describe_unknown('model', str(connection.model), EMBEDDED_MODELS)}, GGUF files, checkpoint folders "
            "(with a config.json), and what a server has: --model NAME --base-url http://HOST:PORT/v1"
        )
    server = await stack.enter_async_context(make_server(connection))
    return OpenEngine(engine=server, model=connection.model)


def make_server(connection: Connection, timeouts: Timeouts | None = None) -> OpenAI:
    """The engine for the server at the connection's base URL, by its protocol; with these time-outs, if given.

    Raises ConfigError for a URL or a key that cannot be used.
    """
    from scale_reasoning.engines.anthropic import Anthropic
    from scale_reasoning.engines.openai import OpenAI

    kind = Anthropic if choose_protocol(connection) == "anthropic" else OpenAI
    return kind(
        connection.base_url or "",
        api_key=connection.api_key,
        timeouts=timeouts or connection.timeouts,
        say=connection.say,
    )


async def _open_llama(connection: Connection, stack: AsyncExitStack) -> OpenEngine:
    from scale_reasoning.engines.llama import Llama

    path = await _find_file(connection.model or DEFAULT_MODEL, connection.say)
    window = connection.window or _choose_window(connection.model or DEFAULT_MODEL)
    engine = await stack.enter_async_context(await Llama.start(path, alias=connection.alias, window=window))
    return OpenEngine(engine=engine, model=name_llama(connection), window=engine.window)


def _choose_window(name: str) -> int:
    """Tokens of a request to a model on this machine, where none are asked for: memory is set aside for all of them."""
    row = CATALOGUE.get(name)
    return WINDOW if row is None else min(row.window, THINKING_WINDOW if row.thinks else GENERAL_WINDOW)


async def _find_file(name: str, say: Callable[[str], None]) -> Path:
    """A model's GGUF file, fetched in a thread, because it may take minutes; a cancellation stops it."""
    from scale_reasoning.engines.fetching import Reporter, say_tenths

    if not is_embedded(name):
        return Path(name)
    stop = Event()
    try:
        reporter = Reporter(say=say, progress=say_tenths(say), stop=stop)
        return await asyncio.to_thread(fetch_embedded, name, reporter)
    finally:
        stop.set()


def is_embedded(name: str) -> bool:
    """Whether SCALE fetches the model itself: the student, or a model of the catalogue."""
    return name in EMBEDDED_MODELS


def fetch_embedded(name: str, reporter: Reporter) -> Path:
    """The GGUF file of the student or of a model of the catalogue. Raises ConfigError."""
    from scale_reasoning.engines import student
    from scale_reasoning.engines.fetching import fetch

    return student.fetch(reporter) if name == STUDENT else fetch(CATALOGUE[name], reporter)


def name_llama(spec: ModelSpec) -> str:
    """The name of a model that llama.cpp runs here, as requests have it: its own, or its file's without the ending."""
    name = spec.model or DEFAULT_MODEL
    return name if is_embedded(name) else Path(name).stem


async def _open_teacher(connection: Connection, stack: AsyncExitStack) -> OpenEngine:
    return OpenEngine(engine=Teacher(), model=TEACHER, window=connection.window)


async def _open_transformers(connection: Connection, stack: AsyncExitStack) -> OpenEngine:
    from scale_reasoning.engines.checkpoint import Checkpoint

    loaded = await Checkpoint.load(Path(connection.model or ""), window=connection.window)
    engine = await stack.enter_async_context(loaded)
    return OpenEngine(engine=engine, model=engine.name, window=engine.window)


ENGINES: dict[str, Opener] = {
    "openai": _open_server,
    "anthropic": _open_server,
    "llama": _open_llama,
    "teacher": _open_teacher,
    "transformers": _open_transformers,
}


SERVED = ("openai", "anthropic")
"""Rows of ENGINES for models on a server: the protocols."""


def choose_protocol(spec: ModelSpec) -> str:
    """The row of SERVED for the server at the spec's base URL, by its kind, or by its host where no kind is named."""
    kind = spec.server or find_by_host(spec.base_url or "")
    return "anthropic" if kind == "anthropic" else "openai"


def is_on_server(spec: ModelSpec) -> bool:
    """Whether a server runs the model, not this machine."""
    return choose_engine(spec) in SERVED


def choose_engine(spec: ModelSpec) -> str:
    """The row of ENGINES that serves a model.

    On this machine: the teacher, GGUF files, the student and, without a base URL, models of the catalogue and
    checkpoint folders. All else is on a server.
    """
    model, base_url = spec.model, spec.base_url
    if model == TEACHER:
        return "teacher"
    if model in (STUDENT, SMOLLM2.name) or (base_url is None and (model is None or model in CATALOGUE)):
        return "llama"  # a server may have a model of the catalogue under the same name
    if str(model).lower().endswith(".gguf") and (base_url is None or Path(str(model)).is_file()):
        return "llama"  # else it is a server's name for its model
    # A server, too, may know a checkpoint by its path.
    is_folder = model and base_url is None and Path(model, "config.json").is_file()
    return "transformers" if is_folder else choose_protocol(spec)


async def open_engine(connection: Connection, stack: AsyncExitStack) -> OpenEngine:
    """The bare engine, without policies; `stack` closes it."""
    return await ENGINES[choose_engine(connection)](connection, stack)
