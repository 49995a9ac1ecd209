"""Ask an endpoint, in a few small calls, what it can do: what is sent, in which order, and when to stop.

Every call goes out as a strategy's would, without policies: a failure is one finding's, never retried. What an answer
proves is decided in engines.verdicts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TypeAlias, cast

from scale_reasoning.engines import listing, name_model, verdicts
from scale_reasoning.engines.adapting import Adaptable, Adaptation
from scale_reasoning.engines.connection import Connection, derive_system1
from scale_reasoning.engines.place import Place, body_of, open_place
from scale_reasoning.engines.refusals import one_line
from scale_reasoning.engines.table import choose_engine
from scale_reasoning.engines.verdicts import Finding, no, unknown, yes
from scale_reasoning.errors import EngineError, Rejected, Unreachable
from scale_reasoning.replies import choice_schema
from scale_reasoning.types import JSON, Mode

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
"""The shared beginning of two prompts, and the tokens of one sentence of it. Hosted caches begin at 1,024 tokens; a
tenth of a small window is enough, for whoever serves one reads slowly."""

Probe: TypeAlias = Callable[[Place], Awaitable[Finding]]


async def probe(connection: Connection, say: Callable[[str], None] | None = None) -> list[Finding]:
    """What the endpoint of each mode can do; where both are one, each thing is found once.

    Sends at most 12 requests to an endpoint, one after the other, and repeats those in which the server refuses a key;
    `say` gets the name of each finding before it is looked for. An endpoint that cannot be used ends
    with `reachable`, or with `model` where that is why; one that falls silent, where it did. Raises ConfigError for
    what cannot be opened; an EngineError becomes a finding.
    """
    findings: list[Finding] = []
    connection = await name_model(connection)
    async with AsyncExitStack() as stack:
        second = derive_system1(connection)
        if second is None:
            places = {"": await open_place(connection, tuple(Mode), stack)}
        else:
            places = {
                " (System 2)": await open_place(connection, (Mode.SYSTEM2,), stack),
                " (System 1)": await open_place(second, (Mode.SYSTEM1,), stack),
            }
        for label, place in places.items():
            findings += await _examined(place, label, say or (lambda _: None))
    secrets = (connection.api_key,) if connection.api_key else ()
    return [
        replace(f, found=one_line(f.found, secrets), fix=one_line(f.fix, secrets))  # both may hold a server's words
        for f in findings
    ]


async def _examined(place: Place, label: str, say: Callable[[str], None]) -> list[Finding]:
    findings: list[Finding] = []
    for name, ask, mode in _PROBES:
        concerned = mode in place.modes if mode else bool(place.endpoints)
        if not concerned:
            continue
        say(name)
        silent = False
        try:
            finding = await ask(place)
        except EngineError as error:
            finding, silent = unknown(str(error)), isinstance(error, Unreachable)
        findings.append(replace(finding, name=name if mode else name + label))
        refused = name in (REACHABLE, MODEL) and finding.verdict == "no"
        if silent or refused:
            break
    return findings


async def _reachable(place: Place) -> Finding:
    told = "no list of models"
    try:
        place.names = listing.listed(await place.fetch("/models"))
        told = "models listed" if place.names is not None else told
    except Unreachable as error:
        return no(str(error), "nothing else can be asked", "is it up, and is this its address? --base-url")
    except EngineError:
        pass  # many servers have no such route; a chat tells more
    try:
        first = await place.ask(PLANETS, SOME if place.cheapest is Mode.SYSTEM1 else MANY)
    except Rejected as refusal:
        place.refusal = refusal
        if listing.model(place.opened.model, place.names).verdict == "no":
            return yes(told)
        return no(
            f"{told}; a chat is refused: {refusal}",
            "no strategy can run",
            verdicts.refused_first(refusal, place.endpoint.profile),
        )
    except EngineError as error:
        return no(f"{told}; a chat fails: {error}", "no strategy can run", "see the server's log; --base-url")
    return yes(f"{told}; a reply began after {first.silence:.2f} s and took {first.seconds:.2f} s")


async def _model(place: Place) -> Finding:
    if choose_engine(place.connection) != "openai":
        return yes(f"{place.opened.model}, run here")
    finding = listing.model(place.opened.model, place.names)
    if finding.verdict == "no" and place.refusal is None:
        return replace(finding, verdict="unknown", found=f"it answers, yet {finding.found}")
    return finding


async def _window(place: Place) -> Finding:
    names = place.names or {}
    entry = names.get(place.opened.model) or (next(iter(names.values())) if len(names) == 1 else None)
    # --window is System 2's where System 1 has an endpoint of its own.
    flag = "--window {}" if Mode.SYSTEM2 in place.modes else "--profiles FILE, a family of your own with window = {}"
    return listing.window(place.endpoint.window, entry, own=place.opened.window, flag=flag)


async def _profile(place: Place) -> Finding:
    return verdicts.profile(place.family, place.opened.model, named=place.connection.profile is not None)


async def _schema(place: Place) -> Finding:
    if Mode.SYSTEM1 not in place.endpoints:
        return unknown("no System 1, whose calls use it")
    asked = choice_schema(of=9)
    request = place.request(SEA, 4 * SOME, schema=asked)
    reply = (await place.send(request)).completion
    if verdicts.schema(reply.text, "choice"):
        return yes(f"a question with no number in its answer got {reply.text.strip()}")
    refused = next((each for each in _adaptations(place) if each.key == "response_format"), None)
    if refused is not None:
        return no(
            f"refused: {refused.words}",
            verdicts.UNSTRUCTURED,
            "a server or a model with response_format json_schema, if that matters",
        )
    if not reply.text.strip():
        return unknown("the reply was empty")
    return no(
        f"accepted but ignored: {reply.text.strip()}",
        verdicts.UNSTRUCTURED,
        "vLLM, SGLang: a version with structured outputs, not disabled; a proxy may drop response_format",
    )


async def _leak(place: Place) -> Finding:
    if Mode.SYSTEM1 not in place.endpoints:
        return _lacking(place, "no System 1: it always thinks", "no easy step can be made cheap: SCALE does not run")
    replies = [(await place.ask(each, SOME)).completion for each in SUMS]
    return verdicts.leak(replies, place.endpoints[Mode.SYSTEM1].profile)


async def _reasons(place: Place) -> Finding:
    if Mode.SYSTEM2 not in place.endpoints:
        return _lacking(place, "no System 2: it never thinks", verdicts.THOUGHTLESS)
    spoken = place.endpoints[Mode.SYSTEM2].profile
    try:
        reply = await place.ask(PUZZLE, MANY, mode=Mode.SYSTEM2)
    except Rejected as refusal:
        return no(f"refused: {refusal}", "no hard step can be solved", verdicts.switch_on(spoken))
    return verdicts.reasons(reply.completion, spoken)


def _lacking(place: Place, found: str, cost: str) -> Finding:
    return no(f"{place.family.name} has {found}", cost, place.family.pair_hint)


async def _choices(place: Place) -> Finding:
    if not place.fetches:
        return unknown("the engine takes no raw request")
    try:
        reply = await place.fetch("/chat/completions", body_of(place.request(WORDS, FEW), n=2))
    except Rejected as refusal:
        return verdicts.choices(0, str(refusal))
    choices = listing.at(reply, "choices")
    return verdicts.choices(len(cast("list[JSON]", choices)) if isinstance(choices, list) else 0)


async def _seed(place: Place) -> Finding:
    request = place.request(WORDS, SOME // 2)
    if request.sampling.temperature is not None:
        request = replace(request, sampling=replace(request.sampling, temperature=1.0))
    replies = [(await place.send(replace(request, seed=seed))).completion for seed in (1, 1, 2)]
    return verdicts.seed(*(reply.reasoning + reply.text for reply in replies))


async def _cached(place: Place) -> Finding:
    window = place.endpoint.window
    tokens = PREFIX_TOKENS if window is None else min(PREFIX_TOKENS, window // 10)
    prefix = PREFIX * (tokens // PREFIX_WORDS)
    await place.ask(prefix + SUMS[0], FEW)
    return verdicts.cached((await place.ask(prefix + SUMS[1], FEW)).completion.usage)


async def _keys(place: Place) -> Finding:
    return verdicts.keys(_adaptations(place))


def _adaptations(place: Place) -> Sequence[Adaptation]:
    engine = place.opened.engine
    return engine.adapting.found.get(place.opened.model, ()) if isinstance(engine, Adaptable) else ()


async def _usage(place: Place) -> Finding:
    return verdicts.usage([heard.completion for heard in place.heard], reasoning_is_apart=place.reasoning_is_apart)


async def _streaming(place: Place) -> Finding:
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
    ("request keys", _keys, None),
    ("usage", _usage, None),
    ("streaming", _streaming, None),
)
"""What is asked, in order, and whose it is; None is any endpoint's."""
