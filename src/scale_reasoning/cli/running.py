"""How a run is started, gone on with and shown while it works: shared by the verbs that make runs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_reasoning.cli import options
from scale_reasoning.cli.consent import refuse_unknown_servers
from scale_reasoning.cli.place import here
from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines import Connection, adaptations, connect, engine_of, key_from_environment
from scale_reasoning.engines.llama import SLOTS
from scale_reasoning.engines.spread import SharedServers
from scale_reasoning.errors import ConfigError, Unreachable
from scale_reasoning.events import Listener
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs.manifest import Manifest, ModelSpec

if TYPE_CHECKING:
    from scale_reasoning.runs.outcome import Outcome
    from scale_reasoning.runs.pace import Goal
    from scale_reasoning.runs.store import Store
    from scale_reasoning.types import Problem

ATTEMPTS_IN_FLIGHT = 1024
RAY_WORKERS = 4


def attempts(text: str) -> int:
    """A number of attempts in flight, from a flag."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, at least 1")
    return int(text)


def named(args: argparse.Namespace, manifest: Manifest) -> Manifest:
    """A new run's manifest with the name of every model: its server is asked where none was given."""
    if args.dry_run:
        return manifest
    from scale_reasoning.cli import servers

    return servers.named(manifest, _connections(args, manifest))


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
    """Makes what is left of a run; 1 when attempts are pending. `again` is the command that resumes, `after` the next.

    Raises ConfigError and EngineError with what to do next.
    """
    connections = _connections(args, store.manifest)
    try:
        with _cluster(args, connections):
            return asyncio.run(_work(args, store, connections, again, after, goal))
    except (ConfigError, Unreachable) as error:
        raise type(error)("; ".join([str(error), *_next(store, connections.values(), again)])) from error


def _next(store: Store, connections: Iterable[Connection], again: str) -> list[str]:
    """What to do about a failure that ended a run, as far as it is known."""
    if not store.new or store.begun:
        return [f"once that is fixed: {again}"]
    if not store.written():
        return []
    from scale_reasoning.cli.servers import unlisted

    return [*unlisted(connections), "no call succeeded and no run was kept: fix that and begin again"]


async def _work(
    args: argparse.Namespace,
    store: Store,
    connections: Mapping[ModelSpec, Connection],
    again: str,
    after: str,
    goal: Goal | None,
) -> int:
    from scale_reasoning.cli.progress import Progress
    from scale_reasoning.runs.run import needed

    progress = Progress(store)
    async with _runner(args, store, connections, progress.hear) as run:
        with progress:
            try:
                await run(
                    attempts_in_flight=_attempts_in_flight(args, connections),
                    heard=_both(progress.heard, goal),
                    goal=goal,
                )
            except asyncio.CancelledError:
                print(f"scale: interrupted; to resume: {again}", file=sys.stderr)
                raise
            finally:
                store.resolve({"served": store.served()})
        if store.new and store.written() and not store.begun:
            raise Unreachable(f"every attempt failed; the first: {_first_failure(store)}")
        return progress.end(again=again, after=after, stopped=goal is not None and not needed(store, goal))


def _first_failure(store: Store) -> str:
    failures = (each.failure for cell in range(len(store.manifest.cells)) for each in store.records(cell))
    return next((failure.message for failure in failures if failure is not None), "unknown")


def _attempts_in_flight(args: argparse.Namespace, connections: Mapping[ModelSpec, Connection]) -> int:
    """What was asked for; by default many, but one a slot where llama.cpp serves a model here: every slot has a cache
    of its own, and more attempts would take turns in it.
    """
    if args.attempts_in_flight is None and any(engine_of(each) == "llama" for each in connections.values()):
        return SLOTS
    return ATTEMPTS_IN_FLIGHT if args.attempts_in_flight is None else args.attempts_in_flight


def _connections(args: argparse.Namespace, manifest: Manifest) -> dict[ModelSpec, Connection]:
    """How each model of a run is reached now."""
    base = options.partial_connection(args)
    connections: dict[ModelSpec, Connection] = {}
    for spec, there in with_servers(args, {cell.model: cell.model for cell in manifest.cells}).items():
        key = base.api_key
        if spec.api_key_env and not args.api_key_env:
            key = key_from_environment(spec.api_key_env)
        connections[spec] = there.connection(replace(base, api_key=key))
    refuse_unknown_servers(args, connections)
    return connections


def servers_of(args: argparse.Namespace) -> dict[str, Any]:
    """Where flags say that the servers are now: that may change between two parts of a run, the questions not."""
    named = ("base_url", "more_base_urls", "system1_base_url")
    return {name: getattr(args, name) for name in named if getattr(args, name) not in (None, "")}


def with_servers(args: argparse.Namespace, models: Mapping[ModelSpec, ModelSpec]) -> dict[ModelSpec, ModelSpec]:
    """Every model on the servers that flags name; those that run here stay here. Raises ConfigError where all do."""
    said = servers_of(args)
    if "base_url" in said and all(here(model.model) for model in models.values()):
        names = ", ".join(dict.fromkeys(str(model.model) for model in models.values()))
        raise ConfigError(f"--base-url {args.base_url}: {names} runs on this machine; leave the URL out")
    system1 = {name: url for name, url in said.items() if name == "system1_base_url"}
    if system1 and not any(model.system1_model or model.system1_base_url for model in models.values()):
        raise ConfigError("--system1-base-url: no System 1 model of its own is named: --system1-model NAME")
    return {key: replace(model, **(system1 if here(model.model) else said)) for key, model in models.items()}


def _cluster(args: argparse.Namespace, connections: Mapping[ModelSpec, Connection]) -> AbstractContextManager[None]:
    """Ray, connected, where the attempts are to be made there."""
    if not args.ray:
        return nullcontext()
    from scale_reasoning.runs.ray import cluster

    return cluster(args.ray, connections, workers=_workers(args))


@asynccontextmanager
async def _runner(
    args: argparse.Namespace, store: Store, connections: Mapping[ModelSpec, Connection], listener: Listener
) -> AsyncGenerator[Callable[..., Awaitable[None]]]:
    """What makes a run's attempts: Ray's workers, or this process with the endpoints open."""
    if args.ray:
        from scale_reasoning.runs.ray import run_on_ray

        yield partial(run_on_ray, store, connections, workers=_workers(args))
        return
    from scale_reasoning.runs.run import run

    async with AsyncExitStack() as stack:
        opened, servers = dict[ModelSpec, Endpoints](), SharedServers()
        for spec, connection in connections.items():
            opened[spec] = await stack.enter_async_context(connect(connection, servers))
        try:
            yield partial(run, store, opened, listener=listener)
        finally:
            _note_adaptations(store, opened.values())


def _note_adaptations(store: Store, opened: Iterable[Endpoints]) -> None:
    """Keeps in the manifest what the servers refused in requests, and what was done about it."""
    told: dict[str, list[str]] = {
        model: list(lines) for model, lines in store.manifest.resolved.get("adaptations", {}).items()
    }
    for endpoints in opened:
        for model, lines in adaptations(endpoints).items():
            known = told.setdefault(model, [])
            known += [line for line in lines if line not in known]
    if told:
        store.resolve({"adaptations": told})


def _workers(args: argparse.Namespace) -> int:
    return RAY_WORKERS if args.ray_workers is None else args.ray_workers


def _both(heard: Callable[[int, Outcome], None], goal: Goal | None) -> Callable[[int, Outcome], None]:
    def hear(cell: int, outcome: Outcome) -> None:
        if goal is not None:
            goal.heard(cell, outcome)
        heard(cell, outcome)

    return hear
