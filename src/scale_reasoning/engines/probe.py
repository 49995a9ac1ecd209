"""Probes an endpoint with a few small calls: whether it can be used, then each of the abilities in checks.py.

Decides the order of the checks and when to stop. Every call is sent as a strategy's would be, but without policies: a
failure becomes a finding and is not tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TypeAlias

from scale_reasoning.engines import checks, listing, name_model
from scale_reasoning.engines.check_budget import BUDGET, check_budget
from scale_reasoning.engines.check_logprobs import check_logprobs
from scale_reasoning.engines.connection import Connection, derive_system1
from scale_reasoning.engines.findings import Finding, no, unknown, yes
from scale_reasoning.engines.probed import ProbedEngine, open_probed
from scale_reasoning.engines.refusals import quote
from scale_reasoning.engines.table import is_on_server
from scale_reasoning.errors import EngineError, Rejected, Unreachable
from scale_reasoning.servers import GENERIC, find_server, list_servers
from scale_reasoning.types import Mode

__all__ = ["LEAK", "MODEL", "REACHABLE", "Finding", "is_complete", "probe"]

REACHABLE = "reachable"
LEAK = "System 1 leaks no reasoning"
MODEL = "model"
LAST = "streaming"

Check: TypeAlias = Callable[[ProbedEngine], Awaitable[Finding | None]]

PLANETS = "Name the planets of the solar system."


def _ignore(_: object) -> None:
    pass


async def probe(
    connection: Connection, say: Callable[[str], None] = _ignore, tell: Callable[[Finding], None] = _ignore
) -> list[Finding]:
    """What the endpoint of each mode can do; where both modes have one endpoint, everything is found once.

    Sends at most 13 requests to an endpoint, one after the other, and repeats those in which the server refuses a key.
    `say` is called with the name of each finding before its check, and `tell` with the finding. The checks of an
    endpoint end with `reachable` or `model` when it cannot be used, and with the check in which it falls silent. Raises
    ConfigError for what cannot be opened; an EngineError becomes a finding.
    """
    findings: list[Finding] = []
    connection = await name_model(connection)
    secrets = (connection.api_key,) if connection.api_key else ()

    def add(finding: Finding) -> None:
        # Both texts may quote the server.
        finding = replace(finding, found=quote(finding.found, secrets), fix=quote(finding.fix, secrets))
        findings.append(finding)
        tell(finding)

    async with AsyncExitStack() as stack:
        second = derive_system1(connection)
        if second is None:
            engines = {"": await open_probed(connection, tuple(Mode), stack)}
        else:
            engines = {
                " (System 2)": await open_probed(connection, (Mode.SYSTEM2,), stack),
                " (System 1)": await open_probed(second, (Mode.SYSTEM1,), stack),
            }
        for label, engine in engines.items():
            await _run_checks(engine, label, say, add)
    return findings


def is_complete(findings: Sequence[Finding]) -> bool:
    """Whether the checks of every endpoint came to their end: each can be used and none fell silent."""
    began, ended = (sum(finding.name.startswith(name) for finding in findings) for name in (REACHABLE, LAST))
    return 0 < began == ended


async def _run_checks(
    engine: ProbedEngine, label: str, say: Callable[[str], None], add: Callable[[Finding], None]
) -> None:
    for name, check, mode in _CHECKS:
        if mode not in engine.modes if mode else not engine.endpoints:
            continue
        say(name)
        silent = False
        try:
            finding = await check(engine)
        except EngineError as error:
            finding, silent = unknown(str(error)), isinstance(error, Unreachable)
        if finding is not None:
            add(replace(finding, name=name if mode else name + label))
        unusable = name in (REACHABLE, MODEL) and finding is not None and finding.verdict == "no"
        if silent or unusable:
            break


async def _check_reachable(engine: ProbedEngine) -> Finding:
    """Whether the server answers a chat. Keeps its list of models and its refusal."""
    models = "no list of models"
    try:
        engine.names = listing.read_list(await engine.fetch("/models"))
        models = "models listed" if engine.names is not None else models
    except Unreachable as error:
        return no(str(error), "nothing else can be asked", "is it up, and is this its address? --base-url")
    except EngineError:
        pass  # many servers have no such route; a chat shows more
    try:
        first = await engine.ask(PLANETS, checks.SOME if engine.cheapest is Mode.SYSTEM1 else checks.MANY)
    except Rejected as refusal:
        engine.refusal = refusal
        if listing.check_model(engine.model, engine.names).verdict == "no":
            return yes(models)
        fix = "--base-url (ends in /v1?), --model and --api-key-env must be the server's"
        extras = engine.endpoint.profile.extras
        if refusal.status in (400, 422) and extras:
            fix = f"if it refuses {', '.join(extras)}, this is not the server's family: --profile NAME"
        return no(f"{models}; a chat is refused: {refusal}", "no strategy can run", fix)
    except EngineError as error:
        return no(f"{models}; a chat fails: {error}", "no strategy can run", "see the server's log; --base-url")
    return yes(f"{models}; a reply began after {first.first_seconds:.2f} s and took {first.seconds:.2f} s")


async def _check_model(engine: ProbedEngine) -> Finding:
    """Whether the server lists the model."""
    if not is_on_server(engine.connection):
        return yes(f"{engine.model}, run on this machine")
    finding = listing.check_model(engine.model, engine.names)
    if finding.verdict == "no" and engine.refusal is None:
        cost = "another model may have answered, and this name picks the wrong profile for it"
        return replace(finding, verdict="unknown", found=f"it answers, yet {finding.found}", cost=cost)
    return finding


async def _check_window(engine: ProbedEngine) -> Finding:
    """Whether the window in use is the server's."""
    names = engine.names or {}
    entry = names.get(engine.model) or (next(iter(names.values())) if len(names) == 1 else None)
    # --window is System 2's where System 1 has an endpoint of its own.
    flag = "--window {}" if Mode.SYSTEM2 in engine.modes else "--profiles FILE, a family of your own with window = {}"
    return listing.check_window(engine.endpoint.window, entry, own=engine.opened.window, flag=flag)


async def _check_server(engine: ProbedEngine) -> Finding | None:
    """Which kind of server it is."""
    if not is_on_server(engine.connection):
        return None
    kind = find_server(engine.connection.server or GENERIC)
    if kind.name != GENERIC or "--server" in engine.shown_by:
        return yes(f"{kind.name}, {engine.shown_by}")
    return unknown(
        f"{GENERIC}: {engine.shown_by}",
        f"--server KIND, one of {', '.join(name for name in list_servers() if name != GENERIC)}",
        cost="a switch or a thinking budget that only this kind of server takes is not used",
    )


async def _check_profile(engine: ProbedEngine) -> Finding:
    """Whether the model's family is known."""
    name, is_given = engine.family.name, engine.connection.profile is not None
    if name == "instruct" and not is_given:
        return unknown(
            f"instruct, the fallback: no family matches {quote(engine.model)}",
            "--profile NAME if its family is known (see docs/engines.md), or a family of your own: --profiles FILE",
            cost="if the model can think, nothing switches that: a sentence in the prompt stands in",
        )
    return yes(f"{name}{' (by --profile)' if is_given else ''}")


_CHECKS: tuple[tuple[str, Check, Mode | None], ...] = (
    (REACHABLE, _check_reachable, None),
    (MODEL, _check_model, None),
    ("server", _check_server, None),
    ("window", _check_window, None),
    ("profile", _check_profile, None),
    (LEAK, checks.check_leak, Mode.SYSTEM1),
    ("System 2 reasons", checks.check_reasoning, Mode.SYSTEM2),
    (BUDGET, check_budget, Mode.SYSTEM2),
    ("schema honoured", checks.check_schema, Mode.SYSTEM1),
    ("logprobs", check_logprobs, Mode.SYSTEM1),  # looks at the reply to the check before it
    ("n", checks.check_choices, None),
    ("seed repeatable", checks.check_seed, None),
    ("cached tokens", checks.check_cache, None),
    # The last three send nothing: they look at all replies so far.
    ("request keys", checks.check_keys, None),
    ("usage", checks.check_usage, None),
    (LAST, checks.check_streaming, None),
)
"""Name of the finding, its check, and the mode whose endpoint it concerns (None: every endpoint), in order."""
