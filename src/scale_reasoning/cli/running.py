"""How a run is prepared, resumed, worked on and shown meanwhile: shared by the verbs that make runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.costs import make_cap, read_caps, write_caps
from scale_reasoning.cli.flags import RunFlags
from scale_reasoning.cli.learned_prompt import tell_other_prompts
from scale_reasoning.cli.limits import explain_limits
from scale_reasoning.cli.options import say
from scale_reasoning.cli.reach import explain_unlisted, make_connections, name_served
from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines import connect, list_adaptations
from scale_reasoning.engines.connection import Connection, ModelSpec
from scale_reasoning.engines.llama import SLOTS
from scale_reasoning.engines.policy import Gate
from scale_reasoning.engines.spread import SharedServers
from scale_reasoning.engines.table import choose_engine
from scale_reasoning.errors import ConfigError, Unreachable
from scale_reasoning.events import Listener
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.policy_file import read_policy

if TYPE_CHECKING:
    from scale_reasoning.runs.cap import CappedJournal
    from scale_reasoning.runs.outcome import Outcome
    from scale_reasoning.runs.pace import Goal
    from scale_reasoning.runs.store import Store
    from scale_reasoning.types import Problem

ATTEMPTS_IN_FLIGHT = 1024


def prepare_new(flags: RunFlags, manifest: Manifest) -> tuple[Manifest, dict[str, tuple[Problem, ...]]]:
    """The manifest of a new run, resolved, with its name and date, and its problems; servers say what they are, and
    which model they have.
    """
    if not flags.dry_run:
        manifest = name_served(flags, manifest)
    read_caps(flags, manifest)
    manifest, problems = _prepare(manifest)
    tell_other_prompts(manifest)
    if flags.strategy.policy is not None:
        # A dry run asks no server what it is.
        servers: Mapping[str, str] = {} if flags.dry_run else manifest.resolved["servers"]
        _require_policy(flags.strategy.policy, manifest, servers)
    return date(manifest, flags.name), problems


def date(manifest: Manifest, name: str | None) -> Manifest:
    """The manifest of a run that begins now, with its name."""
    from scale_reasoning.runs.finding import write_now

    return replace(manifest, name=name, created=write_now())


def choose_folder(title: str) -> Path:
    """The folder of a new run where none is named: in `runs`, after its name or title and the time."""
    from scale_reasoning.runs.finding import RUNS

    words = "-".join(re.findall(r"[\w.]+", title)).strip(".") or "run"
    return RUNS / f"{words}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _require_policy(file: Path, manifest: Manifest, servers: Mapping[str, str]) -> None:
    """Refuses a policy for another model or other prompts; says where servers or problems are others."""
    from scale_reasoning.runs.cells import model_of

    policy = read_policy(file)
    for cell in manifest.cells:
        policy.require_model(file, model_of(cell.model), manifest.resolved["prompts"])
    for line in policy.compare_servers(file, servers):
        say(line)
    for cell in manifest.cells:
        source = manifest.resolved["datasets"][cell.dataset.name]
        if source.get("text_sha256") != policy.text_sha256:
            say(f"--policy {file}: it was chosen on {policy.dataset}; what it promises is not known to hold on "
                f"{cell.dataset.name}")  # fmt: skip


def _prepare(manifest: Manifest) -> tuple[Manifest, dict[str, tuple[Problem, ...]]]:
    from scale_reasoning.runs.prepare import prepare

    return asyncio.run(prepare(manifest))


@contextmanager
def open_resumed(folder: Path, name: str | None = None) -> Generator[Store]:
    """The store of a run to resume, with a new name if one is given.

    Raises ConfigError when code or data of the run have changed since it began.
    """
    from scale_reasoning.runs.store import resume

    with resume(folder) as store:
        require_unchanged_code(folder, store.manifest)
        if name is not None:
            store.rename(name)
        yield store


def require_unchanged_code(folder: Path, manifest: Manifest) -> None:
    """Raises ConfigError when code or data of the run have changed since it began."""
    now = prepare_stored(manifest)
    if changes := manifests.list_differences(manifest.normalise(), now):
        raise ConfigError(f"{folder}: the run has changed since it began; start a new one: {'; '.join(changes)}")


def prepare_stored(manifest: Manifest) -> Manifest:
    """The manifest, resolved now, of a run that has its problems; as it is where they cannot be loaded again."""
    try:
        return _prepare(manifest)[0]
    except ConfigError as error:  # whether the problems changed meanwhile stays unknown
        say(f"{error}; using the problems that the run has")
        return manifest


def work(flags: RunFlags, store: Store, *, again: str, after: str, goal: Goal | None = None) -> int:
    """Makes what is left of a run; 1 when attempts are pending. `again` is the command that resumes, `after` the next.

    Raises ConfigError and EngineError with what to do next.
    """
    caps = read_caps(flags, store.manifest)
    connections = make_connections(flags, store.manifest)
    commands = _Commands(again=again, after=after)
    try:
        with _connect_ray(flags, connections):
            return asyncio.run(_work(flags, store, connections, commands, goal, make_cap(store, caps)))
    except (ConfigError, Unreachable) as error:
        advice = _advise(store, connections.values(), commands.resume(flags))
        raise type(error)("; ".join([str(error), *advice])) from error


def _advise(store: Store, connections: Iterable[Connection], again: str) -> list[str]:
    """What to do about a failure that ended a run, as far as it is known."""
    if not store.new or store.begun:
        return [f"once that is fixed: {again}"]
    if not store.written():
        return []
    return [*explain_unlisted(connections), "no call succeeded and no run was kept: fix that and start again"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commands:
    """The command that resumes a run, without caps, and the one that comes after it."""

    again: str
    after: str

    def resume(self, flags: RunFlags, caps: Sequence[float] = ()) -> str:
        """The command that resumes the run with the caps of the flags, or with these amounts."""
        return f"{self.again} {write_caps(flags, caps)}".rstrip()


async def _work(
    flags: RunFlags,
    store: Store,
    connections: Mapping[ModelSpec, Connection],
    commands: _Commands,
    goal: Goal | None,
    cap: CappedJournal | None,
) -> int:
    from scale_reasoning.cli.progress import Progress
    from scale_reasoning.runs.run import needed

    progress = Progress(store)

    def hear_outcome(cell: int, outcome: Outcome) -> None:
        if goal is not None:
            goal.count_outcome(cell, outcome)
        progress.hear_outcome(cell, outcome)

    async with _open_runner(flags, store, connections, progress.hear, cap) as run:
        with progress.show():
            try:
                await run(
                    attempts_in_flight=_choose_attempts_in_flight(flags, connections),
                    on_outcome=hear_outcome,
                    goal=goal,
                )
            except asyncio.CancelledError:
                say(f"to resume: {commands.resume(flags)}")
                raise
            finally:
                store.resolve({"served": store.served()})
        if store.new and store.written() and not store.begun:
            raise Unreachable(f"every attempt failed; the first: {_find_first_failure(store)}")
        stopped = goal is not None and not needed(store, goal)
        if cap is not None and cap.reached:
            again = commands.resume(flags, cap.raise_caps())
            return progress.end(again=again, after=commands.after, stopped=stopped, why=cap.describe())
        return progress.end(again=commands.resume(flags), after=commands.after, stopped=stopped)


def _find_first_failure(store: Store) -> str:
    failures = (each.failure for cell in range(len(store.manifest.cells)) for each in store.records(cell))
    return next((failure.message for failure in failures if failure is not None), "unknown")


def _choose_attempts_in_flight(flags: RunFlags, connections: Mapping[ModelSpec, Connection]) -> int:
    """The flag's number, else many. With llama.cpp on this machine, one per slot: each slot has a cache of its own,
    which more attempts would take from each other.
    """
    if flags.attempts_in_flight is not None:
        return flags.attempts_in_flight
    return SLOTS if any(choose_engine(each) == "llama" for each in connections.values()) else ATTEMPTS_IN_FLIGHT


def _connect_ray(flags: RunFlags, connections: Mapping[ModelSpec, Connection]) -> AbstractContextManager[None]:
    if not flags.ray:
        return nullcontext()
    from scale_reasoning.runs.ray import cluster

    return cluster(flags.ray, connections, workers=flags.ray_workers)


@asynccontextmanager
async def _open_runner(
    flags: RunFlags,
    store: Store,
    connections: Mapping[ModelSpec, Connection],
    listener: Listener,
    cap: CappedJournal | None,
) -> AsyncGenerator[Callable[..., Awaitable[None]]]:
    """What makes a run's attempts: Ray's workers, or this process with the endpoints open."""
    if flags.ray:
        from scale_reasoning.runs.ray import run_on_ray

        yield partial(run_on_ray, store, connections, workers=flags.ray_workers, cap=cap)
        return
    from scale_reasoning.runs.run import run

    async with AsyncExitStack() as stack:
        servers, gate = SharedServers(), None if cap is None else Gate(cap.admit)
        endpoints = {
            spec: await stack.enter_async_context(connect(connection, servers, gate))
            for spec, connection in connections.items()
        }
        rows = ((cell.make_strategy(), endpoints[cell.model]) for cell in store.manifest.cells)
        for line in dict.fromkeys(line for row in rows for line in explain_limits(*row)):
            say(line)
        try:
            yield partial(run, store, endpoints, listener=listener, cap=cap)
        finally:
            _store_adaptations(store, endpoints.values())


def _store_adaptations(store: Store, endpoints: Iterable[Endpoints]) -> None:
    """Writes into the manifest what the servers refused in requests, and what was done about it."""
    stored: dict[str, list[str]] = {
        model: list(lines) for model, lines in store.manifest.resolved.get("adaptations", {}).items()
    }
    for each in endpoints:
        for model, lines in list_adaptations(each).items():
            known = stored.setdefault(model, [])
            known += [line for line in lines if line not in known]
    if stored:
        store.resolve({"adaptations": stored})
