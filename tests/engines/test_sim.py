from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.patience import ends_in_time

from scale_reasoning.engines.policy import Retrying
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.errors import Overloaded
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Delta, Message, Mode, Request, Schema

STEADY = Speeds(slots=4, prefill_tokens_per_second=100, decode_tokens_per_second=10, spread=0.0)


def request(
    *, seed: int = 1, mode: Mode = Mode.SYSTEM1, form: str | None = None, max_tokens: int | None = None
) -> Request:
    schema = None if form is None else Schema(name=form, body={})
    text = (Message("user", "x" * 400),)
    return Request(model="sim", messages=text, mode=mode, seed=seed, schema=schema, max_tokens=max_tokens)


def asked(sim: Sim, *requests: Request) -> tuple[list[Completion], float]:
    """The replies to requests made at once, and the virtual seconds they took together."""

    async def run() -> tuple[list[Completion], float]:
        replies = await together(sim.generate(each) for each in requests)
        return replies, asyncio.get_running_loop().time()

    return run_virtual(run())


def test_one_seed_has_one_reply_whatever_runs_beside_it() -> None:
    alone = [asked(Sim(), request(seed=seed, mode=Mode.SYSTEM2))[0][0] for seed in range(20)]
    beside, _ = asked(Sim(), *(request(seed=seed, mode=Mode.SYSTEM2) for seed in reversed(range(20))))
    assert alone == beside[::-1]
    assert len({reply.usage.completion_tokens for reply in alone}) > 10


def test_a_reply_takes_as_long_as_its_tokens_do() -> None:
    (reply,), seconds = asked(Sim(STEADY), request())
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (100, pytest.approx(300, abs=1))
    assert seconds == pytest.approx(1 + (reply.usage.completion_tokens or 0) / 10)


def test_hours_pass_in_no_time() -> None:
    with ends_in_time():
        _, seconds = asked(Sim(STEADY), *(request(seed=seed, mode=Mode.SYSTEM2) for seed in range(100)))
        assert seconds > 3600


def test_slots_are_held_and_used_in_full() -> None:
    sim = Sim(STEADY)
    _, together_seconds = asked(sim, *(request(seed=seed) for seed in range(40)))
    _, alone = asked(Sim(STEADY), request())
    assert sim.most_in_flight == 4
    assert sim.in_flight == 0
    assert together_seconds == pytest.approx(10 * alone)
    assert sim.busy_seconds == pytest.approx(40 * alone)


def test_cancelling_frees_a_slot() -> None:
    async def run() -> Sim:
        sim = Sim(replace(STEADY, slots=1))
        long = asyncio.create_task(sim.generate(request(mode=Mode.SYSTEM2)))
        await asyncio.sleep(1)
        long.cancel()
        await asyncio.wait([long])
        await sim.generate(request())
        return sim

    sim = run_virtual(run())
    assert sim.most_in_flight == 1
    assert sim.in_flight == 0


def test_system_2_thinks_and_takes_longer() -> None:
    (fast, slow), _ = asked(Sim(STEADY), request(), request(mode=Mode.SYSTEM2))
    assert fast.reasoning == ""
    assert slow.reasoning
    assert (slow.usage.completion_tokens or 0) > (fast.usage.completion_tokens or 0)
    assert 0 < (slow.usage.reasoning_tokens or 0) < (slow.usage.completion_tokens or 0)


def test_a_token_limit_cuts_a_reply_off() -> None:
    (reply,), _ = asked(Sim(STEADY), request(max_tokens=10))
    assert reply.cut_off
    assert reply.usage.completion_tokens == 10


@pytest.mark.parametrize("form", ["decomposition", "choice", "difficulty", None])
def test_a_listener_hears_the_reply(form: str | None) -> None:
    async def run() -> tuple[Completion, list[Delta]]:
        deltas = list[Delta]()
        return await Sim().generate(request(form=form), deltas.append), deltas

    reply, deltas = run_virtual(run())
    assert "".join(delta.text for delta in deltas) == reply.text != ""


def test_the_given_share_fails_and_passes_when_tried_again() -> None:
    async def run() -> tuple[int, list[Completion]]:
        sim = Sim(Speeds(failures=0.3))
        failures = 0
        for seed in range(200):
            try:
                await sim.generate(request(seed=seed))
            except Overloaded:
                failures += 1
        engine = Retrying(sim, retries=20)
        return failures, await together(engine.generate(request(seed=seed)) for seed in range(200))

    failures, replies = run_virtual(run())
    assert 40 < failures < 80
    assert len(replies) == 200


def test_two_runs_are_alike() -> None:
    def run() -> tuple[list[Completion], float]:
        return asked(Sim(Speeds(slots=3)), *(request(seed=seed) for seed in range(30)))

    assert run() == run()


def test_a_deadlock_is_raised_and_not_waited_for() -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(5))
            await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        run_virtual(run())
