"""An adaptive limit on simulated servers: it finds what they take, follows when that changes, keeps its bounds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from tests.speed import mark_slow

from scale_reasoning.engines.limit import CEILING, FIRST, Adaptive, Fixed, Limit, Slots, limit_of
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.errors import Overloaded
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Message, Mode, OnDelta, Request, Usage

SECONDS = 1500


def request(seed: int) -> Request:
    return Request(model="sim", messages=(Message("user", f"{seed}"),), mode=Mode.SYSTEM1, seed=seed)


def served(limit: Limit, speeds: Speeds, *, halved: bool = False) -> tuple[float, Sim, list[int]]:
    """Tokens a second over the last half of the time, and the limit whenever a reply came in it."""

    async def run() -> tuple[float, Sim, list[int]]:
        sim, loop, seeds = Sim(speeds), asyncio.get_running_loop(), count()
        engine = Retrying(Limited(sim, slots=Slots(limit)), retries=8)
        tokens, limits = 0, list[int]()

        async def caller() -> None:
            nonlocal tokens
            while loop.time() < SECONDS:
                reply = await engine.generate(request(next(seeds)))
                if SECONDS / 2 <= loop.time() < SECONDS:
                    tokens += reply.usage.completion_tokens or 0
                    limits.append(limit.most)

        async def halving() -> None:
            await asyncio.sleep(SECONDS / 3)
            if halved:
                sim.resize(speeds.slots // 2)

        await together([halving(), *(caller() for _ in range(6 * speeds.slots))])
        return tokens / (SECONDS / 2), sim, limits

    return run_virtual(run())


class Uncounted(Scripted):
    """A server that tells no usage."""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return replace(await super().generate(request, on_delta), usage=Usage())


SERVERS: dict[str, dict[str, Any]] = {"queues": {}, "refuses": {"queue": 0}, "slows": {"slowdown": 0.03}}


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("slots", [8, *mark_slow(40)])
def test_it_reaches_nine_tenths_of_the_best_fixed_limit_without_being_told_the_slots(kind: str, slots: int) -> None:
    speeds = Speeds(slots=slots, spread=0.6, **SERVERS[kind])
    best, _, _ = served(Fixed(slots), speeds)
    found, _, limits = served(Adaptive(), speeds)
    assert found > 0.9 * best
    assert max(limits) < 4 * slots


@pytest.mark.parametrize("kind", ["queues", *mark_slow("refuses", "slows")])
def test_it_recovers_when_the_server_halves_its_slots(kind: str) -> None:
    speeds = Speeds(slots=40, spread=0.6, **SERVERS[kind])
    best, _, _ = served(Fixed(20), speeds, halved=True)
    found, _, limits = served(Adaptive(), speeds, halved=True)
    assert found > 0.9 * best
    assert max(limits) < 80


def test_refusals_of_one_moment_end_at_what_the_server_took() -> None:
    limit = Adaptive()
    for beside in range(FIRST - 1, 5, -1):
        limit.record_refusal(others=beside)
    assert limit.most == 6


def test_a_server_that_refuses_is_not_hammered_and_no_call_is_given_up() -> None:
    _, sim, _ = served(Adaptive(), Speeds(slots=16, spread=0.6, queue=0))
    assert sim.most_in_flight == 16
    assert sim.requests - sum(tries > 0 for tries in sim.tries.values()) < 0.3 * sim.requests


def test_it_never_falls_below_one() -> None:
    limit = Adaptive()
    for _ in range(100):
        limit.record_refusal(others=0)
    assert limit.most == 1


def test_it_never_grows_above_its_ceiling() -> None:
    limit, now = Adaptive(), 0.0
    for _ in range(100_000):
        now += 1 / limit.most
        limit.record_reply(began=now, ended=now + 1, work=50)
    assert limit.most == CEILING


def test_it_grows_only_where_requests_wait() -> None:
    async def run() -> int:
        limit = Adaptive()
        limited = Limited(Scripted([("", "ok")], seconds=1.0), slots=Slots(limit))
        for _ in range(20):
            await together(limited.generate(request(n)) for n in range(FIRST))
        return limit.most

    assert run_virtual(run()) == FIRST


def test_replies_begun_under_another_limit_do_not_count() -> None:
    limit = Adaptive()
    for _ in range(100):
        limit.record_reply(began=0, ended=1, work=50)
    assert limit.most == 2 * FIRST


def test_the_same_replies_give_the_same_limits() -> None:
    speeds = Speeds(slots=20, spread=0.8)
    assert served(Adaptive(), speeds)[2] == served(Adaptive(), speeds)[2]


def test_urgency_decides_who_waits_also_while_the_limit_moves() -> None:
    async def run() -> list[str]:
        engine = Scripted([("", "ok")], seconds=1.0)
        limited = Limited(engine, slots=Slots(Adaptive()))
        calls = [limited.with_urgency(lambda n=n: float(n)).generate(request(n)) for n in range(200)]
        await together(calls)
        return [asked.messages[0].content for asked in engine.requests]

    asked = run_virtual(run())
    assert asked[FIRST:] == [str(n) for n in range(199, FIRST - 1, -1)]


def test_a_limit_that_shrinks_lets_nobody_in_until_enough_have_left() -> None:
    async def run() -> int:
        limit = Adaptive()
        engine = Scripted([("", "ok")], seconds=1.0)
        limited = Limited(engine, slots=Slots(limit))
        tasks = [asyncio.create_task(limited.generate(request(n))) for n in range(40)]
        await asyncio.sleep(0.5)
        limit.record_refusal(others=3)
        await asyncio.sleep(1)
        in_flight = engine.in_flight
        await asyncio.wait(tasks)
        return in_flight

    assert run_virtual(run()) == 3


def test_a_server_that_counts_no_tokens_is_measured_by_its_text() -> None:
    async def run() -> int:
        limit = Adaptive()
        engine = Uncounted([("", "x" * 400)], seconds=1.0)
        limited = Limited(engine, slots=Slots(limit))
        await together(limited.generate(request(n)) for n in range(100))
        return limit.most

    assert run_virtual(run()) > FIRST


def test_shared_slots_are_one_limit_for_all_who_share_them() -> None:
    async def run() -> int:
        engine = Scripted([("", "ok")], seconds=1.0)
        slots = Slots(limit_of(5))
        first, second = (Limited(engine, slots=slots) for _ in range(2))
        await together(limited.generate(request(n)) for n, limited in enumerate([first, second] * 20))
        return engine.most_in_flight

    assert run_virtual(run()) == 5


def test_a_refusal_is_raised_as_it_came() -> None:
    async def run() -> Overloaded:
        with pytest.raises(Overloaded) as caught:
            await Limited(Scripted([("", Overloaded("busy", 3))]), slots=Slots(Adaptive())).generate(request(1))
        return caught.value

    assert run_virtual(run()).retry_after == 3


class Asked(asyncio.Future[Slots | None]):
    """A turn that counts how often turns are asked whether they are over."""

    times = 0

    def done(self) -> bool:
        Asked.times += 1
        return super().done()


def test_a_long_queue_costs_no_more_a_request_than_a_short_one() -> None:
    async def run() -> None:
        slots, Asked.times = Slots(Fixed(1)), 0
        for ticket in range(2000):
            slots.join(Asked(), urgency=0.0, ticket=ticket, is_preferred=True)
        assert Asked.times < 4 * 2000

    asyncio.run(run())
