"""What one request may start, and when: bounded by its strategy, by turns, and never before other clients' calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.patience import until
from tests.web.proxies import MODEL, PROBLEM, both, command, endless, serving

from scale_reasoning.endpoint import Endpoint
from scale_reasoning.engines.limit import Fixed, Slots
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.errors import ConfigError
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.runs.attempt import attempt, problem_of
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Message, Mode, OnDelta, Request
from scale_reasoning.web.proxy.chat import read_chat
from scale_reasoning.web.proxy.gate import Gate, Limits
from scale_reasoning.web.proxy.metered import Meter
from scale_reasoning.web.proxy.names import Name
from scale_reasoning.web.proxy.pace import Pace, Share
from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.server import Settings

ASKED: dict[str, Any] = {"model": "m@scale", "messages": [{"role": "user", "content": PROBLEM}]}


class Waiting:
    """An engine whose calls wait until they are let go; `most` of them were in flight at a time."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.sent: list[str] = []

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        self.sent.append(request.messages[-1].content)
        await self.go.wait()
        return Completion(text="\\boxed{4}")


def meter_over(engine: Any, in_flight: int, share: Share | None = None) -> tuple[Meter, dict[Mode, Endpoint]]:
    meter = Meter(on_usage=lambda *_: None, pace=Pace(in_flight), share=share or Share())
    endpoints = {mode: Endpoint(engine=engine, model="m", profile=ModeProfile()) for mode in Mode}
    return meter, dict(meter.over(endpoints, {}))


def test_daily_use_is_allowed_and_what_multiplies_is_refused_with_the_figure() -> None:
    most = Limits().max_calls
    assert read_chat({**ASKED, "model": "m@vote"}, Name("m", "vote", ("samples=16", "base=scale")), max_calls=most)
    with pytest.raises(Refusal) as refused:
        read_chat(
            {**ASKED, "n": 16}, Name("m", "vote", ("base=scale", "samples=64", "base.candidates=64")), max_calls=most
        )
    calls = 16 * Vote(samples=64, base=Scale(candidates=64)).most_calls()
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "too_many_calls", "n")
    assert f"{calls:,}" in refused.value.message
    assert "--max-calls" in refused.value.message


@pytest.mark.parametrize("options", [("samples=3",), ("candidates=2",), ("base=scale",)])
def test_every_strategy_is_held_to_the_bound(options: tuple[str, ...]) -> None:
    strategy = "scale" if options == ("candidates=2",) else "vote"
    with pytest.raises(Refusal, match="too_many_calls"):
        read_chat(ASKED, Name("m", strategy, options), max_calls=2)


@pytest.mark.slow
def test_the_flag_of_the_command_is_the_bound() -> None:
    with serving() as server, command("--base-url", server.base_url, "--model", MODEL, "--max-calls", "10") as proxy:
        refused = proxy.ask(f"{MODEL}@vote:samples=6")
        assert (refused.status, refused.json["error"]["code"]) == (400, "too_many_calls")
        assert proxy.ask(f"{MODEL}@vote:samples=5").status == 200
        assert len(server.bodies) == 5


def test_a_request_starts_no_more_than_the_server_is_sent_at_a_time() -> None:
    async def main() -> tuple[int, int, int]:
        engine, strategy = Waiting(), Vote(samples=64, base=Scale(candidates=64))
        meter, endpoints = meter_over(Retrying(Limited(engine, in_flight=8)), 8)
        attempts = (
            attempt(problem_of(PROBLEM), strategy, endpoints, sample=n, turn=meter.pace.turn) for n in range(16)
        )
        solving = asyncio.create_task(together(attempts, turn=meter.pace.turn))
        for _ in range(200):
            await asyncio.sleep(0)
        made, sent, pending = len(asyncio.all_tasks()), len(engine.sent), meter.pace.pending
        solving.cancel()
        await asyncio.wait((solving,))
        return made, sent, pending

    made, sent, pending = asyncio.run(main())
    assert sent == 8
    assert 8 <= pending <= 24
    assert made <= 40, "of 16 x 64 chains with 64 candidates each"


@pytest.mark.parametrize("in_flight", [1, 2, 5, 1000])
def test_the_calls_of_a_strategy_do_not_depend_on_how_many_may_start(in_flight: int) -> None:
    async def main() -> list[tuple[str, int]]:
        engine = Waiting()
        engine.go.set()
        meter, endpoints = meter_over(Limited(engine, in_flight=in_flight), in_flight)
        strategy = Vote(samples=5, base=Scale(candidates=3))
        record = await attempt(problem_of(PROBLEM), strategy, endpoints, seed=3, turn=meter.pace.turn)
        assert meter.pace.pending == 0
        return [(call.path, call.seed) for call in record.calls]

    async def plain() -> list[tuple[str, int]]:
        engine = Waiting()
        engine.go.set()
        endpoints = {mode: Endpoint(engine=engine, model="m", profile=ModeProfile()) for mode in Mode}
        strategy = Vote(samples=5, base=Scale(candidates=3))
        return [(c.path, c.seed) for c in (await attempt(problem_of(PROBLEM), strategy, endpoints, seed=3)).calls]

    assert asyncio.run(main()) == asyncio.run(plain())


def test_a_turn_that_comes_to_one_who_was_cancelled_is_passed_on() -> None:
    async def main() -> None:
        pace = Pace(1)
        pace.begin()
        first, second = asyncio.create_task(pace.turn()), asyncio.create_task(pace.turn())
        await asyncio.sleep(0.01)
        pace.begin()
        pace.end()
        first.cancel()
        await asyncio.wait_for(second, 1)
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_chains_without_a_call_do_not_keep_others_waiting() -> None:
    async def main() -> None:
        pace = Pace(1)

        async def idle() -> None:
            await asyncio.sleep(0)

        async def busy() -> None:
            pace.begin()
            await asyncio.sleep(0.001)
            pace.end()

        groups = ((busy() if n % 2 else idle() for n in range(20)) for _ in range(4))
        await asyncio.wait_for(together(together(group, turn=pace.turn) for group in groups), 5)

    asyncio.run(main())


def test_the_first_failure_is_raised_as_itself_while_others_wait_for_their_turn() -> None:
    async def main() -> None:
        pace = Pace(1)

        async def fails() -> None:
            pace.begin()
            await asyncio.sleep(0.01)
            raise ConfigError("first")

        async def never() -> None:
            raise AssertionError("it had no turn")

        def made() -> Iterator[Any]:
            yield fails()
            yield never()
            raise AssertionError("no more are made than have a turn")

        with pytest.raises(ConfigError, match="first"):
            await asyncio.wait_for(together(made(), turn=pace.turn), 1)

    asyncio.run(main())


def test_a_clients_first_call_goes_before_another_clients_many() -> None:
    async def main() -> list[str]:
        engine = Waiting()
        limited = Limited(engine, slots=Slots(Fixed(1)))
        _, many = meter_over(limited, 100)
        _, one = meter_over(limited, 100)

        def ask(endpoints: dict[Mode, Endpoint], text: str) -> asyncio.Task[Any]:
            request = Request(model="m", messages=(Message("user", text),), mode=Mode.SYSTEM2, seed=0)
            return asyncio.create_task(endpoints[Mode.SYSTEM2].engine.generate(request))

        tasks = [ask(many, "many") for _ in range(20)]
        await asyncio.sleep(0)
        tasks.append(ask(one, "one"))
        await asyncio.sleep(0)
        engine.go.set()
        await asyncio.wait(tasks)
        return engine.sent

    assert asyncio.run(main()).index("one") <= 2


def test_one_of_several_keys_never_takes_the_last_places_at_the_model_server() -> None:
    with both(endless, in_flight=4, keys=("a", "b")) as (proxy, server), contextlib.ExitStack() as begun:
        for key, model, sent in (("a", f"{MODEL}@vote", 3), ("a", MODEL, 3), ("b", MODEL, 4)):
            connection = begun.enter_context(contextlib.closing(proxy.connection()))
            asked = json.dumps({**ASKED, "model": model})
            headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
            connection.request("POST", "/v1/chat/completions", asked, headers)
            until(lambda sent=sent: server.open == sent)
            time.sleep(0.1)
            assert server.open == sent


def test_one_of_several_keys_never_takes_the_last_places() -> None:
    gate, share, other = Gate(("a", "b"), slots=64, in_flight=64), Share(), Share()
    taken = [gate.slot(share) for _ in range(48)]
    for place in taken:
        place.__enter__()
    with pytest.raises(Refusal) as refused:
        gate.slot(share).__enter__()
    assert refused.value.status == 429
    assert share.requests == 48
    with gate.slot(other):
        assert other.requests == 1
    alone, only = Gate(("a",), slots=4, in_flight=4), Share()
    held = [alone.slot(only) for _ in range(4)]
    for place in held:
        place.__enter__()
    assert only.requests == 4


def test_limits_of_a_server_are_checked() -> None:
    for name in ("max_calls", "max_connections"):
        with pytest.raises(ConfigError, match=name):
            Settings(limits=Limits(**{name: 0}))
