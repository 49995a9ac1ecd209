"""Retries and limits on a virtual clock: what is tried again, when, and who waits for whom."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from itertools import pairwise

import pytest

from scale_reasoning.engines.policy import FIRST_WAIT, LONGEST_WAIT, Limited, Listener, Retrying
from scale_reasoning.engines.scripted import Reply, Scripted
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.errors import ContextOverflow, EngineError, Malformed, Overloaded, Rejected, Unreachable
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Delta, Engine, Message, Mode, OnDelta, Request

PASSING: list[Callable[[], EngineError]] = [
    lambda: Unreachable("gone"),
    lambda: Overloaded("busy"),
    lambda: Malformed("HOST ended the reply before it was complete"),
]
LASTING: list[Callable[[], EngineError]] = [lambda: Rejected("no", 400), lambda: ContextOverflow("long", 5000, 4096)]


def request(said: str = "Hello.", *, seed: int = 1) -> Request:
    return Request(model="m", messages=(Message("user", said),), mode=Mode.SYSTEM1, seed=seed)


def now() -> float:
    return asyncio.get_running_loop().time()


class Timed:
    """An engine that notes when each request comes, and tells half a reply before it hands on the scripted one."""

    def __init__(self, engine: Engine, *, pieces: tuple[str, ...] = ()) -> None:
        self.engine, self.pieces = engine, pieces
        self.times: list[float] = []

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        self.times.append(now())
        for piece in self.pieces:
            if on_delta is not None:
                on_delta(Delta(text=piece))
        return await self.engine.generate(request, on_delta)


def failing(times: int, error: Callable[[], EngineError], reply: str = "Hi there.") -> Reply:
    """A reply that comes after so many failures."""
    left = [error() for _ in range(times)]

    def answer(_: Request) -> str:
        if left:
            raise left.pop()
        return reply

    return answer


def waits(reply: Reply, *, retries: int = 4) -> tuple[list[float], Completion | EngineError]:
    """Seconds between the tries, and what came of them."""

    async def run() -> tuple[list[float], Completion | EngineError]:
        timed = Timed(Scripted([("", reply)]))
        try:
            outcome: Completion | EngineError = await Retrying(timed, retries=retries).generate(request())
        except EngineError as error:
            outcome = error
        return [b - a for a, b in pairwise(timed.times)], outcome

    return run_virtual(run())


@pytest.mark.parametrize("error", PASSING)
def test_what_may_go_better_is_tried_again(error: Callable[[], EngineError]) -> None:
    between, outcome = waits(failing(3, error))
    assert isinstance(outcome, Completion)
    assert len(between) == 3


@pytest.mark.parametrize("error", LASTING)
def test_what_will_not_go_better_is_tried_once(error: Callable[[], EngineError]) -> None:
    between, outcome = waits(failing(1, error))
    assert type(outcome) is type(error())
    assert between == []


def test_a_reply_that_is_malformed_twice_in_the_same_way_is_given_up() -> None:
    between, outcome = waits(failing(3, lambda: Malformed("HTML")))
    assert isinstance(outcome, Malformed)
    assert len(between) == 1
    assert outcome.__notes__ == ["given up: malformed twice in the same way"]


def test_replies_that_are_malformed_in_different_ways_are_tried_again() -> None:
    messages = iter(["HTML", "no choices", "HTML", "half a chunk"])
    _, outcome = waits(failing(4, lambda: Malformed(next(messages))))
    assert isinstance(outcome, Completion)


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_tries_are_bounded_and_the_last_failure_says_how_many(retries: int) -> None:
    between, outcome = waits(failing(99, lambda: Overloaded("busy")), retries=retries)
    assert isinstance(outcome, Overloaded)
    assert len(between) == retries
    notes = [f"given up after {retries + 1} tries"] if retries else []
    assert getattr(outcome, "__notes__", []) == notes


def test_waits_double_up_to_the_longest_each_a_half_longer_at_most() -> None:
    between, _ = waits(failing(12, lambda: Unreachable("gone")), retries=12)
    for tried, seconds in enumerate(between):
        least = min(FIRST_WAIT * 2**tried, LONGEST_WAIT)
        assert least <= seconds <= 1.5 * least
    assert len({seconds / FIRST_WAIT for seconds in between}) == len(between)


def test_clients_that_failed_together_do_not_come_back_together() -> None:
    seconds = {round(waits(failing(1, lambda: Unreachable("gone")))[0][0], 6) for _ in range(20)}
    assert len(seconds) > 15


@pytest.mark.parametrize("asked", [0.5, 7, LONGEST_WAIT])
def test_retry_after_is_honoured(asked: float) -> None:
    between, outcome = waits(failing(2, lambda: Overloaded("busy", asked)))
    assert isinstance(outcome, Completion)
    assert between == pytest.approx([asked, asked])


def test_a_server_that_says_at_once_is_not_hammered() -> None:
    between, _ = waits(failing(2, lambda: Overloaded("busy", 0.0)))
    assert min(between) > 0


def test_a_server_that_asks_for_more_than_the_longest_wait_is_given_up() -> None:
    between, outcome = waits(failing(1, lambda: Overloaded("busy", LONGEST_WAIT + 1)))
    assert isinstance(outcome, Overloaded)
    assert between == []


def test_a_listener_that_heard_a_broken_reply_is_told_that_it_begins_anew() -> None:
    async def run() -> list[Delta]:
        deltas = list[Delta]()
        timed = Timed(Scripted([("", failing(2, lambda: Unreachable("gone")))]), pieces=("Hi ",))
        await Retrying(timed).generate(request(), deltas.append)
        return deltas

    again = Delta(restarted=True)
    told = [
        Delta(text="Hi "),
        again,
        Delta(text="Hi "),
        again,
        Delta(text="Hi "),
        Delta(text="Hi "),
        Delta(text="there."),
    ]
    assert run_virtual(run()) == told


def test_a_listener_that_heard_nothing_is_told_nothing() -> None:
    async def run() -> list[Delta]:
        deltas = list[Delta]()
        engine = Scripted([("", failing(2, lambda: Unreachable("gone")))])
        await Retrying(engine).generate(request(), deltas.append)
        return deltas

    assert run_virtual(run()) == [Delta(text="Hi "), Delta(text="there.")]


def test_a_limit_is_held_and_used_in_full() -> None:
    async def run() -> tuple[Scripted, float]:
        engine = Scripted([("", "ok")], seconds=1.0)
        limited = Limited(engine, in_flight=8)
        await together(limited.generate(request()) for _ in range(80))
        return engine, now()

    engine, seconds = run_virtual(run())
    assert engine.most_in_flight == 8
    assert seconds == pytest.approx(10)


def test_a_limit_lets_through_who_came_first() -> None:
    async def run() -> list[str]:
        engine = Scripted([("", "ok")], seconds=1.0)
        limited = Limited(engine, in_flight=3)
        await together(limited.generate(request(str(n))) for n in range(20))
        return [asked.messages[0].content for asked in engine.requests]

    assert run_virtual(run()) == [str(n) for n in range(20)]


def test_failure_and_cancelling_give_a_place_back() -> None:
    async def run() -> float:
        limited = Limited(Scripted([("bad", Rejected("no", 400)), ("", "ok")], seconds=100), in_flight=1)
        with pytest.raises(Rejected):
            await limited.generate(request("bad"))
        holds, waiting = (asyncio.create_task(limited.generate(request())) for _ in range(2))
        await asyncio.sleep(1)
        waiting.cancel()
        holds.cancel()
        await asyncio.wait([holds, waiting])
        start = now()
        await limited.generate(request())
        return now() - start

    assert run_virtual(run()) == pytest.approx(100)


def test_waiting_before_a_retry_holds_no_place() -> None:
    async def run() -> tuple[float, float]:
        busy = failing(1, lambda: Overloaded("busy", 50))
        engine = Retrying(Limited(Scripted([("slow", busy), ("", "ok")], seconds=1.0), in_flight=1))

        async def answered(said: str) -> float:
            await engine.generate(request(said))
            return now()

        slow, quick = await together([answered("slow"), answered("quick")])
        return slow, quick

    assert run_virtual(run()) == (pytest.approx(52), pytest.approx(2))


def test_a_server_that_fails_one_in_five_is_used_without_loss_and_never_above_the_limit() -> None:
    async def run() -> Sim:
        sim = Sim(Speeds(slots=64, failures=0.2))
        engine = Retrying(Limited(sim, in_flight=16), retries=8)
        replies = await together(engine.generate(request(seed=seed)) for seed in range(200))
        assert all(reply.text for reply in replies)
        return sim

    sim = run_virtual(run())
    assert sim.most_in_flight == 16
    assert 200 < sim.requests < 300


def test_a_call_that_was_heard_leaves_nothing_for_the_garbage_collector() -> None:
    listener = Listener(lambda _: None)
    assert listener.on_delta is not None
    listener.on_delta(Delta(text="Hello"))
    left = weakref.ref(listener)
    del listener
    assert left() is None
