"""Answers a chat request with a strategy: one attempt per choice, as one response or as a stream.

Decides when the first byte is sent and what ends a stream. Does not know methods (strategies) or limits (gate).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import msgspec
from aiohttp import web

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.errors import ConfigError
from scale_reasoning.events import Event
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.together import together
from scale_reasoning.types import JSON, NO_USAGE, Failure, Record, Solution, Usage
from scale_reasoning.web.proxy.budget import keep_within
from scale_reasoning.web.proxy.chat import Chat, Shown
from scale_reasoning.web.proxy.kept import Kept
from scale_reasoning.web.proxy.metered import Meter, OnUsage
from scale_reasoning.web.proxy.narrate import Narrator, Piece, Stops, finish_reason
from scale_reasoning.web.proxy.pace import Pace, Share
from scale_reasoning.web.proxy.refusals import OverBudget, Refusal, refusal_for
from scale_reasoning.web.proxy.whole import WholeNarrator
from scale_reasoning.web.proxy.wire import DONE, EVENTS, KEEP_ALIVE, Choice, Stream, Wire

METER = web.RequestKey("meter", Meter)
"""The tokens of a request's calls so far."""

STOPPED = "x-scale-stopped"
"""The header of a response whose work was ended before it was done, with the reason's code."""

NARRATORS: Mapping[Shown, type[Narrator]] = {"last": Narrator, "all": WholeNarrator}
"""By what the content is."""

NO_SOLUTION = Failure(kind="unfinished", blame="model", message="the strategy ended without a solution")


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """Runs strategies for requests.

    token_budget: the server's limit of new tokens per request, None for no limit. in_flight: calls at the model server
    at a time; no request starts more than that concurrently. keep_alive: seconds between comments in a waiting stream.
    """

    endpoints: Endpoints
    token_budget: int | None
    in_flight: int
    keep_alive: float
    on_usage: OnUsage

    async def answer(self, chat: Chat, request: web.Request, share: Share) -> web.StreamResponse:
        """Answers the request; a stream has been sent on return. Raises Refusal, possibly after the first byte."""
        bounds = [bound for bound in (self.token_budget, chat.token_budget) if bound is not None]
        budget = min(bounds, default=None)
        if budget is not None:
            chat = replace(chat, strategy=keep_within(chat.strategy, max(1, budget // chat.choices)))
        meter = Meter(budget=budget, on_usage=self.on_usage, pace=Pace(self.in_flight), share=share)
        request[METER] = meter
        return await (self._stream(chat, meter, request) if chat.stream else self._whole(chat, meter))

    async def _whole(self, chat: Chat, meter: Meter) -> web.Response:
        narrators = [NARRATORS[chat.shown](lambda _: None) for _ in range(chat.choices)]
        records = await self._solve(chat, meter, narrators)
        choices = [_choice(record, told, chat.stops) for record, told in zip(records, narrators, strict=True)]
        content = Wire(model=chat.model).completion(choices, _usage(records), _scale(chat, records))
        stopped = {STOPPED: OverBudget.kind} if any(map(_is_stopped, records)) else {}
        return web.Response(body=content, headers={"content-type": "application/json", **_seed_header(chat), **stopped})

    async def _stream(self, chat: Chat, meter: Meter, request: web.Request) -> web.StreamResponse:
        wire, outbox, opened = Wire(model=chat.model), _Outbox(), set[int]()
        stream = Stream(request, {**EVENTS, **_seed_header(chat)})
        shown = NARRATORS[chat.shown]
        narrators = [shown(partial(outbox.put, index), chat.stops) for index in range(chat.choices)]
        solving = asyncio.create_task(self._solve(chat, meter, narrators))
        solving.add_done_callback(lambda _: outbox.wake())
        try:
            while True:
                await outbox.wait(self.keep_alive)
                if solving.done():
                    break
                await stream.write(_events(wire, outbox.take(), opened) or KEEP_ALIVE)
            records = solving.result()
        finally:
            solving.cancel()
            await asyncio.wait((solving,))
        await stream.write(_events(wire, outbox.take(), opened) + _closing_events(chat, wire, records, opened))
        return stream.response

    async def _solve(self, chat: Chat, meter: Meter, narrators: Sequence[Narrator]) -> list[Record]:
        endpoints = meter.over(self.endpoints, chat.sampling)

        async def one(sample: int, narrator: Narrator) -> Record:
            kept = Kept()

            def hear(event: Event) -> None:
                kept.hear(event)
                narrator.hear(event)

            record = await attempt(chat.problem, chat.strategy, endpoints, sample=sample, seed=chat.seed,
                                   listener=hear, turn=meter.pace.turn)  # fmt: skip
            if _is_stopped(record) and (solution := kept.solution()) is not None:
                record = replace(record, solution=solution)
                narrator.end_early(record)
                return record
            if record.solution is None:
                raise refusal_for(record.failure or NO_SOLUTION, meter.errors)
            narrator.end(record)
            return record

        try:
            attempts = (one(sample, narrator) for sample, narrator in enumerate(narrators))
            return await together(attempts, turn=meter.pace.turn)
        except ConfigError as error:
            raise Refusal(400, "config", str(error), "model") from None


class _Outbox:
    """Pieces to be sent. Those that gather while a client is slow are sent as one, so they cannot fill the memory."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, Piece]] = []
        self._woken = asyncio.Event()

    def put(self, index: int, piece: Piece) -> None:
        """Adds a piece of one choice."""
        self._pieces.append((index, piece))
        self._woken.set()

    def wake(self) -> None:
        """Ends `wait`."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Waits for a piece, at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    def take(self) -> list[tuple[int, Piece]]:
        """All pieces; consecutive pieces of one kind are joined."""
        self._woken.clear()
        waiting, self._pieces = self._pieces, []
        return [
            (index, Piece(content="".join(p.content for p in run), reasoning="".join(p.reasoning for p in run)))
            for (index, _), group in groupby(waiting, key=lambda item: (item[0], bool(item[1].content)))
            if (run := [piece for _, piece in group])
        ]


def _events(wire: Wire, pieces: Iterable[tuple[int, Piece]], opened: set[int]) -> bytes:
    events: list[bytes] = []
    for index, piece in pieces:
        if index not in opened:
            opened.add(index)
            events.append(wire.opening(index))
        events.append(wire.piece(index, content=piece.content, reasoning=piece.reasoning))
    return b"".join(events)


def _closing_events(chat: Chat, wire: Wire, records: Sequence[Record], opened: set[int]) -> bytes:
    events = [wire.opening(index) for index in range(len(records)) if index not in opened]
    events += [wire.closing(index, _finish_reason(record)) for index, record in enumerate(records)]
    if chat.include_usage or chat.record:
        events.append(wire.last(_usage(records) if chat.include_usage else None, _scale(chat, records)))
    return b"".join((*events, DONE))


def _choice(record: Record, narrator: Narrator, stops: Sequence[str]) -> Choice:
    cut = Stops(stops)
    content = cut.feed(narrator.text(record)) + cut.end()
    return Choice(content=content, reasoning=narrator.reasoning, finish_reason=_finish_reason(record))


def _is_stopped(record: Record) -> bool:
    """Whether the token budget ended the attempt."""
    return record.failure is not None and record.failure.kind == OverBudget.kind


def _finish_reason(record: Record) -> str:
    return "length" if _is_stopped(record) else finish_reason(record.solution or Solution(answer=None))


def _usage(records: Sequence[Record]) -> Usage:
    return sum((record.usage.total for record in records), NO_USAGE)


def _scale(chat: Chat, records: Sequence[Record]) -> JSON:
    """The record, and the seed that reproduces it."""
    return {**msgspec.to_builtins(records[0]), "seed": chat.seed} if chat.record else None


def _seed_header(chat: Chat) -> dict[str, str]:
    return {"x-scale-seed": str(chat.seed)}
