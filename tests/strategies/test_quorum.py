"""A quorum of candidates: who is waited for, what is cancelled, what is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.patience import TOO_LONG
from tests.runs.simulated import again, content, fresh, manifest
from tests.servers import reply_to, serving, stream

from scale_reasoning import Completion, Mode, Problem, Record, Request, Scale, attempt, endpoints, run_virtual
from scale_reasoning.engines import Connection, connect
from scale_reasoning.engines.scripted import Reply, Scripted
from scale_reasoning.engines.sim import Sim
from scale_reasoning.errors import ConfigError, Unreachable
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.runs.attempt import solve
from scale_reasoning.types import OnDelta

PROBLEM = Problem(id="p", text="Let x be 3. Find 2x + 1.")


class Uneven:
    """Answers the n-th decomposition asked for after n seconds (or as `seconds` says), all else at once."""

    def __init__(self, draft: Reply | None = None, *, seconds: Callable[[int], float] = float) -> None:
        drafted = draft or (lambda request: json.dumps({"subproblems": [f"What is x? ({request.seed})"]}))
        rules: list[tuple[str, Reply]] = [("decomposition", drafted), ("choice", '{"choice": 1}')]
        self.engine = Scripted([*rules, ("difficulty", '{"difficulty": 0.1}'), ("", "It is \\boxed{7}.")])
        self.seconds, self.asked, self.cancelled = seconds, 0, 0

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        if request.schema is None or request.schema.name != "decomposition":
            return await self.engine.generate(request, on_delta)
        self.asked += 1
        try:
            await asyncio.sleep(self.seconds(self.asked))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await self.engine.generate(request, on_delta)


def run(engine: Uneven, **more: Any) -> Record:
    return run_virtual(attempt(PROBLEM, Scale(candidates=8, quorum=5), endpoints(engine, "model"), **more))


def candidates(record: Record) -> int:
    assert record.solution is not None
    return len(record.solution.candidates)


def test_it_goes_on_when_the_quorum_is_in_and_cancels_the_rest() -> None:
    engine = Uneven()
    record = run(engine)
    assert record.solution is not None
    assert (candidates(record), engine.cancelled, record.seconds) == (5, 3, 5.0)
    assert record.solution.notes == ("3 of 8 decompositions were cancelled: a quorum was in",)


def test_without_a_quorum_all_are_waited_for() -> None:
    engine = Uneven()
    record = run_virtual(attempt(PROBLEM, Scale(candidates=8), endpoints(engine, "model")))
    assert (candidates(record), engine.cancelled, record.seconds) == (8, 0, 8.0)


def test_what_was_cancelled_is_counted_and_its_tokens_are_unknown_not_zero() -> None:
    record = run(Uneven())
    cancelled = [call for call in record.calls if call.finish_reason == "cancelled"]
    assert [call.path for call in cancelled] == ["decompose/6", "decompose/7", "decompose/8"]
    assert {call.usage.completion_tokens for call in cancelled} == {None}
    assert record.usage.by_stage["decompose"].completion_tokens is None
    assert record.usage.by_mode[Mode.SYSTEM1].completion_tokens is None
    assert record.usage.total.completion_tokens is None
    assert record.usage.by_stage["select"].completion_tokens is not None


def test_a_candidate_that_cannot_be_read_does_not_count_towards_the_quorum() -> None:
    drafts = iter(["no", "no", *(json.dumps({"subproblems": [f"What is {name}?"]}) for name in "abcdef")])
    engine = Uneven(lambda _: next(drafts))
    record = run(engine)
    assert record.solution is not None
    assert (candidates(record), record.seconds) == (5, 7.0)
    assert "2 of 7 decompositions could not be read and were dropped" in record.solution.notes


def test_a_quorum_that_is_never_in_makes_do_with_what_there_is() -> None:
    drafts = iter([*["no"] * 6, *(json.dumps({"subproblems": [f"What is {name}?"]}) for name in "ab")])
    record = run(Uneven(lambda _: next(drafts)))
    assert (candidates(record), record.seconds) == (2, 8.0)


def test_all_that_come_at_once_are_in() -> None:
    engine = Uneven(seconds=lambda n: 1.0 if n <= 7 else 9.0)
    assert candidates(run(engine)) == 7
    assert engine.cancelled == 1


def test_a_failure_before_the_quorum_fails_the_attempt_and_one_behind_it_does_not() -> None:
    def failing(at: int) -> Record:
        drafts = (Unreachable("gone") if n == at else json.dumps({"subproblems": [f"What is {n}?"]}) for n in range(9))

        def draft(_: Request) -> str:
            drafted = next(drafts)
            if isinstance(drafted, Exception):
                raise drafted
            return drafted

        return run(Uneven(draft))

    early, late = failing(2), failing(6)
    assert early.failure is not None
    assert early.failure.kind == "unreachable"
    assert late.failure is None


def test_cancelling_the_attempt_cancels_all_of_its_calls() -> None:
    async def main() -> int:
        engine = Uneven()
        task = asyncio.create_task(attempt(PROBLEM, Scale(candidates=8, quorum=5), endpoints(engine, "model")))
        await asyncio.sleep(2.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return engine.cancelled

    assert run_virtual(main()) == 6


def test_over_its_journal_an_attempt_sees_the_same_candidates_and_pays_for_no_call_again() -> None:
    order = [8, 3, 5, 1, 7, 2, 6, 4]
    journal = MemoryJournal()
    first = run(Uneven(seconds=lambda n: float(order[n - 1])), journal=journal)
    paid = dict(journal.completions)
    second = run(Uneven(seconds=lambda n: 100.0 - n), journal=journal)
    assert first.solution == second.solution
    assert first.calls == second.calls
    assert journal.completions == paid


def test_a_run_cut_short_in_its_candidates_waits_only_for_those_it_lacks() -> None:
    journal, engine = MemoryJournal(), Uneven()

    async def cut() -> None:
        task = asyncio.create_task(attempt(PROBLEM, Scale(candidates=8, quorum=5), endpoints(engine, "m"),
                                           journal=journal))  # fmt: skip
        await asyncio.sleep(3.5)
        task.cancel()
        await asyncio.wait([task])

    run_virtual(cut())
    assert len(journal.completions) == 3
    rest = Uneven()
    record = run_virtual(attempt(PROBLEM, Scale(candidates=8, quorum=5), endpoints(rest, "m"), journal=journal))
    assert (candidates(record), record.seconds, rest.asked) == (5, 2.0, 5)


class Straggling(Sim):
    """A simulated server whose decompositions come one after the other."""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        if request.schema is not None and request.schema.name == "decomposition":
            await asyncio.sleep(request.seed % 1000)
        return await super().generate(request, on_delta)


def test_over_a_runs_store_too_the_same_candidates_are_in_and_no_call_is_paid_for_again(tmp_path: Path) -> None:
    fresh(tmp_path / "run", manifest([{"name": "scale", "candidates": 8, "quorum": 5}]), 4, Straggling())
    before = content(tmp_path / "run")
    assert b"were cancelled" in before["attempts"][0][-1]
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as db, db:
        db.execute("DELETE FROM attempts")
    again(tmp_path / "run", Straggling())
    assert content(tmp_path / "run") == before


def test_a_server_is_told_to_stop_what_is_cancelled() -> None:
    seen = 0

    async def stragglers(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal seen
        if body.get("response_format", {}).get("json_schema", {}).get("name") == "decomposition":
            seen += 1
            if seen > 2:
                await asyncio.sleep(30)
        return await stream(request, reply_to(body))

    async def main(base_url: str) -> Record:
        async with connect(Connection(model="Qwen/Qwen3-32B", base_url=base_url)) as models:
            return await solve(PROBLEM, Scale(candidates=4, quorum=2), endpoints=models)

    with serving(stragglers) as server:
        started = time.monotonic()
        record = asyncio.run(main(server.base_url))
        deadline = time.monotonic() + TOO_LONG
        while server.open and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.open == 0
    assert time.monotonic() - started < TOO_LONG
    assert record.solution is not None
    assert record.solution.answer == "12"
    assert len(record.solution.candidates) == 2


@pytest.mark.parametrize(("quorum", "told"), [(0, "at least 1"), (9, "at most candidates = 8")])
def test_a_quorum_that_cannot_be_is_refused(quorum: int, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Scale(candidates=8, quorum=quorum)
