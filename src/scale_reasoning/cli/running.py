"""How a run is started, gone on with and shown while it works: shared by the verbs that make runs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scale_reasoning.cli import options
from scale_reasoning.cli.consent import refuse_unknown_servers
from scale_reasoning.engines import Connection, connect, engine_of, key_from_environment
from scale_reasoning.engines.llama import SLOTS
from scale_reasoning.engines.spread import Limits
from scale_reasoning.errors import ConfigError
from scale_reasoning.events import Listener
from scale_reasoning.lm import Endpoints
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs.manifest import Manifest, ModelSpec

if TYPE_CHECKING:
    from scale_reasoning.runs.outcome import Outcome
    from scale_reasoning.runs.store import Store
    from scale_reasoning.types import Problem

ATTEMPTS_IN_FLIGHT = 1024


class Goal(Protocol):
    """What may end a run before all its attempts are made."""

    def heard(self, cell: int, outcome: Outcome) -> None:
        """One attempt ended."""
        ...

    def enough(self) -> bool:
        """Whether no more need be started."""
        ...


def attempts(text: str) -> int:
    """A number of attempts in flight, from a flag."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, at least 1")
    return int(text)


def prepared(manifest: Manifest) -> tuple[Manifest, dict[str, tuple[Problem, ...]]]:
    """The manifest resolved, and its problems."""
    from scale_reasoning.runs.prepare import prepare

    return asyncio.run(prepare(manifest))


@contextmanager
def resumed(folder: Path) -> Generator[Store]:
    """A run to go on with, checked to ask what it asked when it began."""
    from scale_reasoning.runs.store import resume

    with resume(folder) as store:
        try:
            now, _ = prepared(store.manifest)
        except ConfigError as error:  # the run has its problems; only whether they changed meanwhile stays open
            print(f"scale: {error}; going on with the problems that the run has", file=sys.stderr)
            now = store.manifest
        changed = manifests.differences(store.manifest.normalised(), now)
        if changed:
            told = "; ".join(changed)
            raise ConfigError(f"{folder}: the run has changed since it began; start a new one: {told}")
        yield store


def work(args: argparse.Namespace, store: Store, *, again: str, after: str, goal: Goal | None = None) -> int:
    """Makes what is left of a run; 1 when attempts are owed. `again` is the command that goes on, `after` the next."""
    connections = _connections(args, store.manifest)
    with _cluster(args, connections):
        return asyncio.run(_work(args, store, connections, again, after, goal))


async def _work(
    args: argparse.Namespace,
    store: Store,
    connections: Mapping[ModelSpec, Connection],
    again: str,
    after: str,
    goal: Goal | None,
) -> int:
    from scale_reasoning.cli.progress import Progress

    progress = Progress(store)
    async with _runner(args, store, connections, progress.hear) as run:
        with progress:
            try:
                await run(
                    attempts_in_flight=_attempts_in_flight(args, connections),
                    heard=_both(progress.heard, goal),
                    enough=goal.enough if goal else lambda: False,
                )
            except asyncio.CancelledError:
                print(f"scale: interrupted; go on with: {again}", file=sys.stderr)
                raise
            finally:
                store.resolve({"served": store.served()})
        return progress.end(again=again, after=after, stopped=goal is not None and goal.enough())


def _attempts_in_flight(args: argparse.Namespace, connections: Mapping[ModelSpec, Connection]) -> int:
    """What was asked for; by default many, but one a slot where llama.cpp serves a model here: every slot has a cache
    of its own, and more attempts would take turns in it.
    """
    if args.attempts_in_flight is None and any(engine_of(each) == "llama" for each in connections.values()):
        return SLOTS
    return ATTEMPTS_IN_FLIGHT if args.attempts_in_flight is None else args.attempts_in_flight


def _connections(args: argparse.Namespace, manifest: Manifest) -> dict[ModelSpec, Connection]:
    """How each model of a run is reached now."""
    base = options.connection(args)
    connections: dict[ModelSpec, Connection] = {}
    for spec in dict.fromkeys(cell.model for cell in manifest.cells):
        named = spec.api_key_env if not args.api_key_env else None  # a flag is the user's own word
        key = key_from_environment(named) if named else base.api_key
        there = replace(spec, **_whereabouts(args))
        connections[spec] = there.connection(replace(base, api_key=key))
    refuse_unknown_servers(args, connections)
    return connections


def _cluster(args: argparse.Namespace, connections: Mapping[ModelSpec, Connection]) -> AbstractContextManager[None]:
    """Ray, connected, where the attempts are to be made there."""
    if not args.ray:
        return nullcontext()
    from scale_reasoning.runs.ray import cluster

    return cluster(args.ray, connections, workers=args.ray_workers)


@asynccontextmanager
async def _runner(
    args: argparse.Namespace, store: Store, connections: Mapping[ModelSpec, Connection], listener: Listener
) -> AsyncGenerator[Callable[..., Awaitable[None]]]:
    """What makes a run's attempts: Ray's workers, or this process with the endpoints open."""
    if args.ray:
        from scale_reasoning.runs.ray import run_on_ray

        yield partial(run_on_ray, store, connections, workers=args.ray_workers)
        return
    from scale_reasoning.runs.run import run

    async with AsyncExitStack() as stack:
        opened, limits = dict[ModelSpec, Endpoints](), Limits()
        for spec, connection in connections.items():
            opened[spec] = await stack.enter_async_context(connect(connection, limits))
        yield partial(run, store, opened, listener=listener)


def _both(heard: Callable[[int, Outcome], None], goal: Goal | None) -> Callable[[int, Outcome], None]:
    def hear(cell: int, outcome: Outcome) -> None:
        if goal is not None:
            goal.heard(cell, outcome)
        heard(cell, outcome)

    return hear


def _whereabouts(args: argparse.Namespace) -> dict[str, Any]:
    """Where flags say that the servers are now: that may change between two sittings of a run, the questions not."""
    named = ("base_url", "more_base_urls", "system1_base_url")
    return {name: getattr(args, name) for name in named if getattr(args, name) not in (None, "")}
