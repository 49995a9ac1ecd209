"""Ask an endpoint, in a few small calls, what it can do: what is sent, in which order, and when to stop.

Every call goes out as a strategy's would, without policies: a failure is one finding's, never retried. What an answer
proves is decided in engines.verdicts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, TypeAlias, cast, runtime_checkable

from scale_reasoning.engines import (
    EMBEDDED,
    Connection,
    Opened,
    _system1,  # pyright: ignore[reportPrivateUsage]
    engine_of,
    mode_endpoints,
    open_engine,
    verdicts,
)
from scale_reasoning.engines.refusals import one_line
from scale_reasoning.engines.verdicts import Finding, Heard, no, unknown, yes
from scale_reasoning.errors import EngineError, Rejected, Unreachable
from scale_reasoning.lm import Endpoints, request_for
from scale_reasoning.profiles import Profile, profile_for
from scale_reasoning.replies import CHOICE
from scale_reasoning.types import JSON, Delta, Message, Mode, Request, Schema

__all__ = ["LEAK", "MODEL", "REACHABLE", "Finding", "probe"]

REACHABLE = "reachable"
LEAK = "System 1 leaks no reasoning"
MODEL = "model"

FEW, SOME, MANY = 8, 64, 512
"""New tokens of a call. The many are for a thought."""

PLANETS = "Name the planets of the solar system."
WORDS = "Write ten random words."
SEA = "Describe the sea in one short sentence."
SUMS = ("What is 17 + 25?", "A box holds 6 eggs. How many eggs are in 7 boxes?")
PUZZLE = "How many whole numbers from 1 to 100 can be divided by neither 2 nor 3?"
PREFIX = "The sea is wide, and the sky above it is high. "
PREFIX_TOKENS, PREFIX_WORDS = 1200, 12
"""The shared beginning of two prompts (hosted caches start at 1,024 tokens), and the tokens of one sentence of it."""


@runtime_checkable
class Fetching(Protocol):
    """An engine that takes raw requests."""

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """The JSON at a path: GET, or POST when there is a body."""
        ...


@dataclass(slots=True, kw_only=True)
class _Place:
    """One open engine, the modes it is to serve, and everything heard from it. `label` tells it from another."""

    connection: Connection
    opened: Opened
    family: Profile
    modes: tuple[Mode, ...]
    endpoints: Endpoints
    label: str = ""
    flag: str = "--window {}"
    listing: Mapping[str, JSON] | None = None
    refusal: Rejected | None = None
    heard: list[Heard] = field(default_factory=list[Heard])

    @property
    def cheapest(self) -> Mode:
        return Mode.SYSTEM1 if Mode.SYSTEM1 in self.endpoints else Mode.SYSTEM2


Probe: TypeAlias = Callable[[_Place], Awaitable[Finding]]


async def probe(connection: Connection, say: Callable[[str], None] | None = None) -> list[Finding]:
    """What the endpoint of each mode can do; where both are one, each thing is found once.

    Sends at most 12 requests to an endpoint, three of which an engine may repeat without a key that was refused, one
    after the other; `say` gets a name before each. An endpoint that does not answer has one finding, `reachable`, and
    no more than `model` beside it. Raises ConfigError for what cannot be opened; an EngineError becomes a finding.
    """
    findings: list[Finding] = []
    async with AsyncExitStack() as stack:
        second = _system1(connection)
        if second is None:
            places = [await _place(connection, tuple(Mode), stack)]
        else:
            own = "a family of your own with window = {} (--profiles FILE)"
            places = [
                replace(await _place(connection, (Mode.SYSTEM2,), stack), label=" (System 2's)"),
                replace(await _place(second, (Mode.SYSTEM1,), stack), label=" (System 1's)", flag=own),
            ]
        for place in places:
            findings += await _examined(place, say or (lambda _: None))
    secrets = (connection.api_key,) if connection.api_key else ()
    return [replace(finding, found=one_line(finding.found, secrets)) for finding in findings]


async def _place(connection: Connection, modes: tuple[Mode, ...], stack: AsyncExitStack) -> _Place:
    opened = await open_engine(connection, stack)
    endpoints = {mode: e for wanted in modes for mode, e in mode_endpoints(connection, opened, wanted).items()}
    family = profile_for(connection.model or EMBEDDED, name=connection.profile, file=connection.profiles)
    return _Place(connection=connection, opened=opened, family=family, modes=modes, endpoints=endpoints)


async def _examined(place: _Place, say: Callable[[str], None]) -> list[Finding]:
    findings: list[Finding] = []
    for name, ask, mode in _PROBES:
        if mode not in place.modes if mode else not place.endpoints:
            continue
        say(name)
        silent = False
        try:
            finding = await ask(place)
        except EngineError as error:
            finding, silent = unknown(str(error)), isinstance(error, Unreachable)
        findings.append(replace(finding, name=name if mode else name + place.label))
        refused = name in (REACHABLE, MODEL) and finding.verdict == "no"
        if silent or refused:
            break
    return findings


async def _reachable(place: _Place) -> Finding:
    started = _now()
    told = "no list of models"
    try:
        place.listing = verdicts.listed(await _fetch(place, "/models"))
        told = f"models listed in {1000 * (_now() - started):.0f} ms" if place.listing is not None else told
    except Unreachable as error:
        return no(str(error), "nothing else can be asked", "is it up, and is this its address? --base-url")
    except EngineError:
        pass  # many servers have no such route; a chat tells more
    try:
        first = await _ask(place, PLANETS, SOME if place.cheapest is Mode.SYSTEM1 else MANY)
    except Rejected as refusal:
        place.refusal = refusal
        if place.listing and place.opened.model not in place.listing:
            return yes(told)
        return no(f"{told}; a chat is refused: {refusal}", "no strategy can run", _mend(place, refusal))
    except EngineError as error:
        return no(f"{told}; a chat fails: {error}", "no strategy can run", "see the server's log; --base-url")
    return yes(f"{told}, a reply in {first.seconds:.2g} s")


def _mend(place: _Place, refusal: Rejected) -> str:
    """What the user can do about a first chat that was refused."""
    switch = ", ".join(place.endpoints[place.cheapest].profile.extras)
    if refusal.status in (400, 422) and switch:
        return f"if {switch} is what it refuses, the family is not the server's: --profile NAME"
    return "--base-url (ends in /v1?), --model and --api-key-env must be the server's"


async def _model(place: _Place) -> Finding:
    if engine_of(place.connection) == "llama":
        return yes(f"{place.opened.model}, run here")
    finding = verdicts.model(place.opened.model, place.listing)
    if finding.verdict == "no" and place.refusal is None:
        return replace(finding, verdict="unknown", found=f"it answers, yet {finding.found}")
    return finding


async def _window(place: _Place) -> Finding:
    listing = place.listing or {}
    entry = listing.get(place.opened.model) or (next(iter(listing.values())) if len(listing) == 1 else None)
    return verdicts.window(place.endpoints[place.cheapest], entry, own=place.opened.window, flag=place.flag)


async def _profile(place: _Place) -> Finding:
    return verdicts.profile(place.family, place.opened.model, named=place.connection.profile is not None)


async def _schema(place: _Place) -> Finding:
    if Mode.SYSTEM1 not in place.endpoints:
        return unknown("no System 1, whose calls use it")
    request = _request(place, SEA, 4 * SOME, schema=CHOICE)
    reply = (await _send(place, request)).completion
    if verdicts.schema(reply.text, "choice"):
        return yes(f"a question with no number in its answer got {reply.text.strip()}")
    cost = "plain text with repair is used: now and then a call more, or a candidate lost"
    try:
        # The engine leaves out what a server refuses, so only a raw request tells a refusal from disregard.
        form = {"name": CHOICE.name, "strict": True, "schema": CHOICE.body}
        await _fetch(
            place, "/chat/completions", _body(request, response_format={"type": "json_schema", "json_schema": form})
        )
    except Rejected as refusal:
        return no(f"refused: {refusal}", cost, "a server or a model with response_format json_schema, if that matters")
    if not reply.text.strip():
        return unknown("the reply was empty")
    return no(
        f"accepted but ignored: {reply.text.strip()}",
        cost,
        "vLLM, SGLang: a version with structured outputs, not disabled; a proxy may drop response_format",
    )


async def _leak(place: _Place) -> Finding:
    if Mode.SYSTEM1 not in place.endpoints:
        return _lacking(place, "no System 1: it always thinks", "no easy step can be made cheap: SCALE does not run")
    replies = [(await _ask(place, each, SOME)).completion for each in SUMS]
    return verdicts.leak(replies, place.endpoints[Mode.SYSTEM1].profile)


async def _reasons(place: _Place) -> Finding:
    if Mode.SYSTEM2 not in place.endpoints:
        return _lacking(place, "no System 2: it never thinks", verdicts.THOUGHTLESS)
    spoken = place.endpoints[Mode.SYSTEM2].profile
    try:
        reply = await _ask(place, PUZZLE, MANY, mode=Mode.SYSTEM2)
    except Rejected as refusal:
        return no(f"refused: {refusal}", "no hard step can be solved", verdicts.switch_on(spoken))
    return verdicts.reasons(reply.completion, spoken)


def _lacking(place: _Place, found: str, cost: str) -> Finding:
    return no(f"{place.family.name} has {found}", cost, place.family.pair_hint)


async def _choices(place: _Place) -> Finding:
    cost, fix = "nothing: SCALE sends separate requests, each with a seed of its own", "nothing to do"
    if not isinstance(place.opened.engine, Fetching):
        return unknown("the engine takes no raw request", cost)
    try:
        reply = await _fetch(place, "/chat/completions", _body(_request(place, WORDS, FEW), n=2))
    except Rejected as refusal:
        return no(f"refused: {refusal}", cost, fix)
    choices = verdicts.at(reply, "choices")
    count = len(cast("list[JSON]", choices)) if isinstance(choices, list) else 0
    return yes("two choices in one reply") if count == 2 else no(f"{count} for n = 2", cost, fix)


async def _seed(place: _Place) -> Finding:
    request = _request(place, WORDS, SOME // 2)
    if request.sampling.temperature is not None:
        request = replace(request, sampling=replace(request.sampling, temperature=1.0))
    replies = [(await _send(place, replace(request, seed=seed))).completion for seed in (1, 1, 2)]
    return verdicts.seed(*(reply.reasoning + reply.text for reply in replies))


async def _cached(place: _Place) -> Finding:
    window = place.endpoints[place.cheapest].window or 4 * PREFIX_TOKENS
    prefix = PREFIX * (min(PREFIX_TOKENS, window // 3) // PREFIX_WORDS)
    await _ask(place, prefix + SUMS[0], FEW)
    return verdicts.cached((await _ask(place, prefix + SUMS[1], FEW)).completion.usage)


async def _usage(place: _Place) -> Finding:
    return verdicts.usage([heard.completion for heard in place.heard])


async def _streaming(place: _Place) -> Finding:
    return verdicts.streaming(place.heard)


_PROBES: tuple[tuple[str, Probe, Mode | None], ...] = (
    (REACHABLE, _reachable, None),
    (MODEL, _model, None),
    ("window", _window, None),
    ("profile", _profile, None),
    (LEAK, _leak, Mode.SYSTEM1),
    ("System 2 reasons", _reasons, Mode.SYSTEM2),
    ("schema honoured", _schema, Mode.SYSTEM1),
    ("n", _choices, None),
    ("seed repeatable", _seed, None),
    ("cached tokens", _cached, None),
    # Judged last, from everything heard.
    ("usage", _usage, None),
    ("streaming", _streaming, None),
)
"""What is asked, in order, and whose it is; None is any endpoint's."""


async def _ask(place: _Place, text: str, limit: int, *, mode: Mode | None = None) -> Heard:
    return await _send(place, _request(place, text, limit, mode=mode))


def _request(
    place: _Place, text: str, limit: int, *, mode: Mode | None = None, schema: Schema | None = None
) -> Request:
    mode = mode or place.cheapest
    endpoint = place.endpoints[mode]
    # A thought with a budget needs a limit above it (Anthropic).
    limit += verdicts.at(endpoint.profile.extras, "thinking", "budget_tokens") or 0
    return request_for(endpoint, (Message("user", text),), mode, 1, limit, schema)


async def _send(place: _Place, request: Request) -> Heard:
    pieces: list[Delta] = []
    started = _now()
    completion = await place.opened.engine.generate(request, pieces.append)
    heard = Heard(completion=completion, pieces=len(pieces), seconds=_now() - started)
    place.heard.append(heard)
    return heard


async def _fetch(place: _Place, path: str, body: JSON = None) -> JSON:
    """The JSON at a path, None from an engine that takes no raw requests."""
    engine = place.opened.engine
    return await engine.fetch(path, body) if isinstance(engine, Fetching) else None


def _body(request: Request, **more: JSON) -> JSON:
    """A request as one whole reply is asked for by hand."""
    sampling = {key: value for key, value in asdict(request.sampling).items() if value is not None}
    known = {"model": request.model, "messages": request.messages, "seed": request.seed, **sampling, **request.extras}
    return {**known, request.limit_key: request.max_tokens, **more}


def _now() -> float:
    return asyncio.get_running_loop().time()
