"""Runs with a cap: what is sent, what is counted, what is left for a resume."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.runs.simulated import MODEL, Sim, content, fresh, manifest, problems

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.policy import Gate, Gated, Limited, Retrying
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.prices import Price, Prices, make_uniform
from scale_reasoning.runs.cap import Cap, CappedJournal, CostCap, TokenCap
from scale_reasoning.runs.merge import start_from
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import Store, create, reading, resume
from scale_reasoning.types import Completion, Engine, OnDelta, Request, Usage

SCALE = {"name": "scale", "candidates": 2}
PLAN = manifest([SCALE])


def spend(store: Store, engine: Engine, *caps: Cap, in_flight: int = 4) -> tuple[CappedJournal, list[str]]:
    said: list[str] = []
    cap = CappedJournal(store, caps, say=said.append)
    models = {MODEL: endpoints(Retrying(Limited(Gated(engine, Gate(cap.admit)), in_flight=in_flight)), "sim")}
    run_virtual(run(store, models, attempts_in_flight=64, cap=cap))
    return cap, said


def begin(folder: Path, engine: Engine, *caps: Cap, in_flight: int = 4) -> tuple[CappedJournal, list[str]]:
    with create(folder, PLAN, {"d": problems(6)}) as store:
        return spend(store, engine, *caps, in_flight=in_flight)


def go_on(folder: Path, engine: Engine, *caps: Cap) -> tuple[CappedJournal, list[str]]:
    with resume(folder) as store:
        return spend(store, engine, *caps)


def look(folder: Path) -> tuple[int, int, int]:
    """Calls and tokens in the journal, and attempts that are pending."""
    with reading(folder) as store:
        paid = store.paid()
        return paid.calls, paid.tokens, store.planned - len(store.done())


def test_a_run_stops_at_its_cap_and_resumes_with_more_to_the_run_that_had_none(tmp_path: Path) -> None:
    whole, engine = Sim(), Sim()
    fresh(tmp_path / "whole", PLAN, 6, whole)
    _, all_tokens, _ = look(tmp_path / "whole")
    cap, said = begin(tmp_path / "run", engine, TokenCap(most=all_tokens // 4))
    calls, tokens, pending = look(tmp_path / "run")
    assert said == []
    assert cap.reached
    assert calls == engine.requests
    assert all_tokens // 4 <= tokens < all_tokens
    assert pending > 0
    go_on(tmp_path / "run", engine, TokenCap(most=all_tokens // 4))
    assert engine.requests == calls
    go_on(tmp_path / "run", engine, TokenCap(most=10 * all_tokens))
    assert engine.requests == whole.requests
    assert content(tmp_path / "run") == content(tmp_path / "whole")


@pytest.mark.parametrize("in_flight", [1, 3])
def test_beyond_the_cap_a_run_pays_for_the_calls_in_flight_at_most(tmp_path: Path, in_flight: int) -> None:
    begin(tmp_path / "run", Sim(), TokenCap(most=20_000), in_flight=in_flight)
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as db:
        tokens = [count for (count,) in db.execute("SELECT tokens FROM completions ORDER BY rowid")]
    assert sum(tokens) >= 20_000
    assert sum(tokens[:-in_flight]) < 20_000


def test_a_run_that_ends_at_its_cap_has_nothing_pending(tmp_path: Path) -> None:
    fresh(tmp_path / "whole", PLAN, 6, Sim())
    _, all_tokens, _ = look(tmp_path / "whole")
    cap, _ = begin(tmp_path / "run", Sim(), TokenCap(most=all_tokens))
    assert cap.reached
    assert look(tmp_path / "run")[2] == 0


@pytest.mark.parametrize("cap", [1, 1000, 5000, 9000, 20_000])
def test_no_call_that_is_out_is_cancelled_when_the_cap_is_reached(tmp_path: Path, cap: int) -> None:
    engine = Sim()
    plan = manifest([{"name": "scale", "candidates": 8}, {"name": "vote", "samples": 4}])
    with create(tmp_path / "run", plan, {"d": problems(6)}) as store:
        spend(store, engine, TokenCap(most=cap), in_flight=7)
    assert look(tmp_path / "run")[0] == engine.requests
    assert engine.in_flight == 0


def priced(completion: float, *, cached: float | None = None) -> Prices:
    return replace(make_uniform(Price(prompt=0, cached=cached, completion=completion), "prices"), currency="USD")


def test_a_cap_on_money_counts_what_earlier_processes_paid(tmp_path: Path) -> None:
    engine = Sim()
    begin(tmp_path / "run", engine, TokenCap(most=20_000))
    calls, tokens, _ = look(tmp_path / "run")
    cap, _ = go_on(tmp_path / "run", engine, CostCap(most=tokens / 1e6, prices=priced(1.0)))
    assert engine.requests == calls
    assert "USD" in cap.describe()
    go_on(tmp_path / "run", engine, CostCap(most=1.5 * tokens / 1e6, prices=priced(1.0)))
    assert look(tmp_path / "run")[1] >= 1.5 * tokens


class Uncached:
    """A server that does not report which prompt tokens were cached."""

    def __init__(self) -> None:
        self.engine = Sim()

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        completion = await self.engine.generate(request, on_delta)
        return replace(completion, usage=replace(completion.usage, cached_tokens=None))


def test_a_cap_on_money_holds_where_the_server_does_not_report_cached_tokens(tmp_path: Path) -> None:
    cap, said = begin(tmp_path / "run", Uncached(), CostCap(most=0.02, prices=priced(1.0, cached=0.0)))
    assert said == []
    assert cap.reached
    assert look(tmp_path / "run")[2] > 0


def test_a_resume_is_proposed_with_twice_what_was_paid_in_place_of_each_cap_that_is_reached(tmp_path: Path) -> None:
    cap, _ = begin(tmp_path / "run", Sim(), TokenCap(most=1), CostCap(most=5, prices=priced(1.0)))
    assert cap.raise_caps() == (2 * look(tmp_path / "run")[1], 5)


class Silent:
    """A server that reports no usage."""

    def __init__(self) -> None:
        self.engine = Sim()

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return replace(await self.engine.generate(request, on_delta), usage=Usage())


def test_calls_without_a_number_are_said_once_and_never_estimated(tmp_path: Path) -> None:
    cap, said = begin(tmp_path / "run", Silent(), TokenCap(most=1))
    assert not cap.reached
    assert look(tmp_path / "run")[2] == 0
    (line,) = said
    assert "1 new tokens cannot be kept" in line


def test_calls_that_were_taken_from_another_run_do_not_count(tmp_path: Path) -> None:
    engine = Sim()
    fresh(tmp_path / "old", manifest([{"name": "cot"}]), 6, engine)
    taken = look(tmp_path / "old")[1]
    plan = manifest([{"name": "cot"}, SCALE])
    start_from([tmp_path / "old"], tmp_path / "new", plan, {"d": problems(6)})
    before = engine.requests
    cap, _ = go_on(tmp_path / "new", engine, TokenCap(most=20_000))
    assert cap.reached
    assert look(tmp_path / "new")[1] - taken >= 20_000
    calls = engine.requests
    assert calls > before
    go_on(tmp_path / "new", engine, TokenCap(most=20_000))
    assert engine.requests == calls


def test_attempts_that_the_cap_ended_do_not_look_like_a_server_that_is_gone(tmp_path: Path) -> None:
    with create(tmp_path / "run", manifest([SCALE], samples=8), {"d": problems(40)}) as store:
        spend(store, Sim(), TokenCap(most=1000), in_flight=64)
        failures = {record.failure.kind for record in store.records(0) if record.failure is not None}
    assert failures == {"capped"}
