"""Several servers as one engine: who goes where, who waits where, and what happens when one dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.patience import until
from tests.runs.simulated import manifest, problems
from tests.servers import ModelServer, reply_to, serving, stream

from scale_reasoning.engines import Connection, connect, endpoints
from scale_reasoning.engines.limit import Fixed
from scale_reasoning.engines.policy import Retrying
from scale_reasoning.engines.scripted import Reply, Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.engines.spread import FAILURES_UNTIL_DOWN, REST, Server, SharedServers, Spread
from scale_reasoning.errors import EngineError, Overloaded, Rejected, Unreachable
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import create
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.together import together
from scale_reasoning.types import Completion, Delta, Engine, Message, Mode, OnDelta, Problem, Request

NAMES = ("a", "b", "c")


def request(problem: int, *, seed: int = 1, then: str = "Solve it.") -> Request:
    messages = (Message("system", "You are an expert."), Message("user", f"Problem: number {problem}\n\n{then}"))
    return Request(model="m", messages=messages, mode=Mode.SYSTEM1, seed=seed)


def now() -> float:
    return asyncio.get_running_loop().time()


def spread(engines: Mapping[str, Engine], *, places: int = 4) -> Spread:
    return Spread({Server(name, Fixed(places)): engine for name, engine in engines.items()})


def answering(reply: Reply = "ok", *, seconds: float = 1.0) -> Scripted:
    return Scripted([("", reply)], seconds=seconds)


def home(engine: Spread, problem: int) -> str:
    return engine.rank(request(problem))[0].name


class Mortal:
    """A server that can be off; a call that is under way then breaks in the middle."""

    def __init__(self, *, seconds: float = 1.0) -> None:
        self.inner, self.off = answering(seconds=seconds), False
        self.asked: list[float] = []

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        self.asked.append(now())
        if not self.off and on_delta is not None:
            on_delta(Delta(text="I "))
        if not self.off:
            reply = await self.inner.generate(request)
        if self.off:
            raise Unreachable("gone")
        return reply


# Who goes where


def test_all_calls_on_a_problem_go_to_one_server_and_problems_are_shared_out() -> None:
    async def main() -> tuple[dict[str, set[str]], Counter[str]]:
        engines = {name: answering() for name in NAMES}
        spread_ = spread(engines, places=100)
        for n in range(60):
            for then in ("Break it up.", "Rate it.", "Solve it."):
                await spread_.generate(request(n, then=then))
        where: dict[str, set[str]] = {}
        for name, engine in engines.items():
            for asked in engine.requests:
                where.setdefault(asked.messages[1].content.split("\n")[0], set()).add(name)
        return where, Counter(name for names in where.values() for name in names)

    where, shares = run_virtual(main())
    assert {len(names) for names in where.values()} == {1}
    assert min(shares[name] for name in NAMES) > 10


def test_when_a_server_comes_only_the_problems_it_gets_move() -> None:
    few = spread({name: answering() for name in NAMES[:2]})
    more = spread({name: answering() for name in NAMES})
    moved = {n: home(more, n) for n in range(100) if home(more, n) != home(few, n)}
    assert set(moved.values()) == {"c"}
    assert 20 < len(moved) < 50


def test_what_one_server_has_no_place_for_goes_to_another_at_once() -> None:
    async def main() -> tuple[float, list[int]]:
        engines = {name: answering() for name in NAMES}
        spread_ = spread(engines, places=4)
        await together(spread_.generate(request(7, seed=seed)) for seed in range(12))
        return now(), [engine.most_in_flight for engine in engines.values()]

    assert run_virtual(main()) == (1.0, [4, 4, 4])


def test_what_waits_takes_the_first_place_that_comes_free_anywhere() -> None:
    async def main() -> float:
        engines: dict[str, Engine] = {"a": answering(seconds=100), "b": answering(seconds=1)}
        spread_ = spread(engines, places=1)
        slow = next(n for n in range(99) if home(spread_, n) == "a")
        await together(spread_.generate(request(slow, seed=seed)) for seed in range(40))
        return now()

    assert run_virtual(main()) == 100


def test_at_a_full_server_those_at_home_come_first_and_of_them_the_most_urgent() -> None:
    async def main() -> list[str]:
        engines = {"a": answering(), "b": answering(seconds=1000)}
        spread_ = spread(engines, places=1)
        ours, theirs = (next(n for n in range(99) if home(spread_, n) == name) for name in "ab")
        calls = [
            (0, ours, "first"),
            (0, theirs, "far"),
            (9, theirs, "strange"),
            (1, ours, "later"),
            (2, ours, "sooner"),
        ]
        tasks = list[asyncio.Task[Completion]]()
        for urgency, problem, then in calls:
            engine = spread_.with_urgency(lambda urgency=urgency: float(urgency))
            tasks.append(asyncio.create_task(engine.generate(request(problem, then=then))))
            await asyncio.sleep(0)
        await asyncio.wait(tasks)
        return [asked.messages[1].content.split("\n\n")[1] for asked in engines["a"].requests]

    assert run_virtual(main()) == ["first", "sooner", "later", "strange"]


def test_cancelling_while_waiting_everywhere_leaves_every_place_usable() -> None:
    async def main() -> float:
        spread_ = spread({"a": answering(), "b": answering()}, places=1)
        tasks = [asyncio.create_task(spread_.generate(request(n))) for n in range(20)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        began = now()
        await together(spread_.generate(request(n)) for n in range(10))
        return now() - began

    assert run_virtual(main()) == 5


# When one dies


def test_calls_on_a_server_that_dies_are_made_elsewhere_at_once_and_the_listener_hears_it() -> None:
    async def main() -> tuple[float, list[Delta]]:
        dying, other = Mortal(seconds=10), Mortal()
        spread_ = spread({"a": dying, "b": other})
        there = next(n for n in range(99) if home(spread_, n) == "a")
        heard = list[Delta]()
        task = asyncio.create_task(spread_.generate(request(there), heard.append))
        await asyncio.sleep(5)
        dying.off = True
        assert (await task).text == "ok"
        return now(), heard

    seconds, heard = run_virtual(main())
    assert seconds == 11
    assert heard == [Delta(text="I "), Delta(restarted=True), Delta(text="I ")]


def test_a_dead_server_is_left_alone_tried_by_one_request_after_a_rest_and_used_again_when_it_is_back() -> None:
    async def main() -> tuple[list[float], list[float]]:
        dead, other = Mortal(), Mortal()
        dead.off = True
        spread_ = spread({"a": dead, "b": other}, places=50)
        there = next(n for n in range(99) if home(spread_, n) == "a")
        await together(spread_.generate(request(there, seed=seed)) for seed in range(FAILURES_UNTIL_DOWN))
        for _ in range(int(2.5 * REST)):
            await together(spread_.generate(request(there, seed=seed)) for seed in range(5))
        down = list(dead.asked)
        dead.off = False
        for _ in range(int(REST) + 1):
            await together(spread_.generate(request(there, seed=seed)) for seed in range(5))
        return down, dead.asked[len(down) :]

    down, back = run_virtual(main())
    assert len(down) == FAILURES_UNTIL_DOWN + 2
    assert down[FAILURES_UNTIL_DOWN] >= REST
    assert down[FAILURES_UNTIL_DOWN + 1] >= down[FAILURES_UNTIL_DOWN] + REST
    assert back.count(back[0]) == 1
    assert back.count(back[-1]) == 5


def test_a_single_broken_connection_does_not_take_a_server_down() -> None:
    async def main() -> tuple[int, int]:
        flaky, other = Mortal(), Mortal()
        spread_ = spread({"a": flaky, "b": other})
        there = next(n for n in range(99) if home(spread_, n) == "a")
        for seed in range(30):
            flaky.off = seed % 3 == 0
            await spread_.generate(request(there, seed=seed))
        return len(flaky.asked), len(other.asked)

    assert run_virtual(main()) == (30, 10)


@pytest.mark.parametrize("callers", [1, 40])
def test_when_all_are_dead_each_request_fails_in_bounded_time_and_all_is_well_when_one_is_back(callers: int) -> None:
    async def main() -> tuple[float, float]:
        servers = {name: Mortal() for name in NAMES}
        for server in servers.values():
            server.off = True
        engine = Retrying(spread(servers), retries=2)

        async def failing(n: int) -> None:
            with pytest.raises(Unreachable):
                await engine.generate(request(n))

        await together(failing(n) for n in range(callers))
        failed = now()
        servers["b"].off = False
        await together(engine.generate(request(n)) for n in range(callers))
        return failed, now() - failed

    failed, back = run_virtual(main())
    assert failed < 5
    assert back < 1 + callers / 4 + REST


def test_a_server_that_is_too_busy_leaves_the_request_to_one_with_room_and_counts_as_up() -> None:
    async def main() -> tuple[int, str]:
        busy, other = answering(Overloaded("busy", 30)), answering()
        spread_ = spread({"a": busy, "b": other})
        there = next(n for n in range(99) if home(spread_, n) == "a")
        reply = await spread_.generate(request(there))
        for _ in range(2 * FAILURES_UNTIL_DOWN):
            await spread_.generate(request(there))
        return len(busy.requests), reply.text

    assert run_virtual(main()) == (1 + 2 * FAILURES_UNTIL_DOWN, "ok")


@pytest.mark.parametrize("error", [Overloaded("busy", 7), Rejected("no", 400)])
def test_what_no_server_answers_is_raised_as_it_was(error: EngineError) -> None:
    async def main() -> EngineError:
        with pytest.raises(EngineError) as caught:
            await spread({name: answering(error) for name in NAMES}).generate(request(1))
        return caught.value

    raised = run_virtual(main())
    assert type(raised) is type(error)
    assert str(raised) == str(error)


def test_a_strategy_meets_no_failure_while_one_server_of_three_is_up() -> None:
    async def main() -> Any:
        rules: list[tuple[str, Reply]] = [
            ("decomposition", '{"subproblems": ["a?", "b?"]}'),
            ("choice", '{"choice": 1}'),
        ]
        fine = Scripted([*rules, ("difficulty", '{"difficulty": 0.1}'), ("", "\\boxed{1}")], seconds=1)
        dead = {name: answering(Unreachable("gone")) for name in NAMES[:2]}
        models = endpoints(Retrying(spread({**dead, "c": fine}), retries=0), "m")
        return await attempt(Problem(id="p", text="Add 1 and 0."), Scale(), models)

    record = run_virtual(main())
    assert record.failure is None
    assert record.solution.answer == "1"


# Shared servers


def test_whoever_names_the_same_servers_shares_their_slots() -> None:
    shared = SharedServers()
    first, again = (shared.get(("http://a/v1", "http://b/v1"), 8) for _ in range(2))
    assert first is again
    assert shared.get(("http://a/v1",), 8)[0] is not first[0]


# On the wire


def slow(seconds: float) -> Callable[[web.Request, dict[str, Any]], Any]:
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await stream(request, reply_to(body))

    return answer


def homes(servers: list[ModelServer]) -> dict[str, Counter[int]]:
    """How often each server was asked about each problem."""
    found: dict[str, Counter[int]] = {}
    for number, server in enumerate(servers):
        for body in server.bodies:
            said = next(message["content"] for message in body["messages"] if message["role"] == "user")
            found.setdefault(said.split("\n\n")[0], Counter())[number] += 1
    return found


def evaluated(folder: Path, servers: list[ModelServer], *, in_flight: Any = 64, then: Any = None) -> None:
    async def main() -> None:
        first, *more = (server.base_url for server in servers)
        plan = manifest([{"name": "scale", "candidates": 4}])
        wanted = Connection(model="q", base_url=first, more_base_urls=tuple(more), in_flight=in_flight, retries=1)
        with create(folder, plan, {"d": problems(12)}) as store:
            async with connect(wanted) as models:
                work = run(store, {plan.cells[0].model: models})
                await together([work] if then is None else [work, then()])

    asyncio.run(main())


def test_with_room_enough_every_call_of_a_problem_goes_to_its_server(tmp_path: Path) -> None:
    with serving(slow(0.01)) as one, serving(slow(0.01)) as two, serving(slow(0.01)) as three:
        servers = [one, two, three]
        evaluated(tmp_path / "run", servers, in_flight=500)
        found = homes(servers)
    assert len(found) == 12
    assert {len(asked) for asked in found.values()} == {1}
    assert len({next(iter(asked)) for asked in found.values()}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("in_flight", [6, "auto"])
def test_a_server_that_dies_in_the_middle_of_a_run_leaves_nothing_owed(tmp_path: Path, in_flight: Any) -> None:
    with ExitStack() as stack:
        lives = [stack.enter_context(ExitStack()) for _ in range(3)]
        servers = [life.enter_context(serving(slow(0.05))) for life in lives]
        killed, at_death = list[int](), 0

        async def kill() -> None:
            nonlocal at_death
            await asyncio.to_thread(until, lambda: any(len(server.bodies) >= 20 for server in servers))
            killed.append(next(n for n, server in enumerate(servers) if len(server.bodies) >= 20))
            await asyncio.to_thread(lives[killed[0]].close)
            at_death = len(servers[killed[0]].bodies)

        evaluated(tmp_path / "run", servers, in_flight=in_flight, then=kill)
        asked = [len(server.bodies) for server in servers]
    (cell,) = cells_of(tmp_path / "run")
    assert len(cell.outcomes) == cell.planned == 24
    assert not any(outcome.pending or outcome.failure for outcome in cell.outcomes)
    assert 20 <= asked[killed[0]] == at_death < sum(asked) / 3
    calls = 24 * (4 + 1 + 2 * 2)
    assert calls <= sum(asked) <= calls + at_death


def test_a_dead_server_from_the_beginning_is_no_obstacle(tmp_path: Path) -> None:
    with serving() as one, serving() as gone:
        servers = [one, gone]
        gone.base_url = "http://127.0.0.1:9/v1"
        evaluated(tmp_path / "run", servers)
    (cell,) = cells_of(tmp_path / "run")
    assert not any(outcome.pending for outcome in cell.outcomes)
    assert len(cell.outcomes) == 24


def test_system_1_elsewhere_has_servers_of_its_own() -> None:
    async def main(urls: list[str], quick: str) -> Any:
        wanted = Connection(model="QwQ-32B", base_url=urls[0], more_base_urls=tuple(urls[1:]), system1_base_url=quick,
                            system1_model="Qwen/Qwen3-8B")  # fmt: skip
        async with connect(wanted) as models:
            return await together(
                attempt(problem, Scale(candidates=2, route=Threshold(tau=0.1)), models) for problem in problems(6)
            )

    with serving() as one, serving() as two, serving() as quick:
        records = asyncio.run(main([one.base_url, two.base_url], quick.base_url))
        assert all(record.failure is None for record in records)
        assert {body["model"] for body in quick.bodies} == {"Qwen/Qwen3-8B"}
        assert {body["model"] for server in (one, two) for body in server.bodies} == {"QwQ-32B"}
