"""Whole runs: durable, resumable, paid for once, never blurring what the world did with what the model did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.runs.simulated import (
    Broken,
    Fuse,
    Sim,
    Speeds,
    again,
    content,
    fresh,
    go,
    manifest,
    problems,
)

from scale_reasoning.engines import DEFAULT_MODEL, endpoints
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ConfigError, StoreError, Unreachable
from scale_reasoning.lm import LM
from scale_reasoning.runs.cells import cells_of, model_of
from scale_reasoning.runs.export import to_jsonl
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest, name_unnamed
from scale_reasoning.runs.prepare import prepare
from scale_reasoning.runs.regrade import RegradeCounts, regrade
from scale_reasoning.runs.store import create, reading, resume
from scale_reasoning.types import Attempt, Completion, Message, Mode, OnDelta, Problem, Request, Solution, Token

SCALE = {"name": "scale", "candidates": 2}


def test_two_runs_with_one_seed_have_equal_databases(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fresh(tmp_path / name, manifest([SCALE, {"name": "cot"}]), 5, Sim())
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_concurrency_changes_nothing_that_is_stored_but_times(tmp_path: Path) -> None:
    fresh(tmp_path / "wide", manifest([SCALE]), 5, Sim())
    fresh(tmp_path / "narrow", manifest([SCALE]), 5, Sim(), in_flight=1, attempts=1)
    assert content(tmp_path / "wide") == content(tmp_path / "narrow")


def test_a_run_killed_at_every_7th_call_and_resumed_is_the_run_that_was_not(tmp_path: Path) -> None:
    whole = Sim()
    fresh(tmp_path / "whole", manifest([SCALE]), 4, whole)
    engine = Sim()
    with contextlib.suppress(Broken):
        fresh(tmp_path / "cut", manifest([SCALE]), 4, Fuse(engine, 7))
    for _ in range(200):
        try:
            again(tmp_path / "cut", Fuse(engine, 7))
            break
        except Broken:
            continue
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_resuming_a_finished_run_makes_no_call(tmp_path: Path) -> None:
    fresh(tmp_path / "run", manifest([SCALE]), 3, Sim())
    engine = Sim()
    again(tmp_path / "run", engine)
    assert engine.requests == 0


class Scoring:
    """A strategy's one call, with log-probabilities."""

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        reply = await lm.chat((Message("user", problem.text),), mode=Mode.SYSTEM1, logprobs=2)
        self.reply = reply
        return Solution(answer=None)

    def most_calls(self) -> int:
        return 1


def test_log_probabilities_are_stored_with_a_completion(tmp_path: Path) -> None:
    tiny = Token(text="4", logprob=-1.5e-07, top=(("4", -1.5e-07), ("1e99, -1e99", -15.75)))
    script, strategy = Scripted([("", Completion(text="4", logprobs=(tiny,) * 3))]), Scoring()

    def ask() -> Completion:
        with resume(tmp_path / "run") as store:
            lm = LM(endpoints(script, "sim"), attempt=Attempt(problem_id="p"), journal=store)
            run_virtual(strategy.solve(problems(1)[0], lm))
        return strategy.reply

    fresh(tmp_path / "run", manifest([{"name": "cot"}], samples=1), 1, Sim())
    assert replace(ask(), seconds=None).logprobs == (tiny,) * 3
    assert ask().logprobs == (tiny,) * 3
    assert len(script.requests) == 1


def test_a_completion_that_was_stored_before_there_were_log_probabilities_is_read(tmp_path: Path) -> None:
    fresh(tmp_path / "run", manifest([SCALE]), 2, Sim())
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.sqlite")) as db, db:
        for column in ("completion", "request"):
            query = f"UPDATE completions SET {column} = CAST(json_remove(CAST({column} AS TEXT), '$.logprobs') AS BLOB)"
            assert db.execute(query).rowcount > 0
        db.execute("UPDATE attempts SET owed = 1")
    engine = Sim()
    again(tmp_path / "run", engine)
    assert engine.requests == 0


def test_a_tau_sweep_pays_shared_calls_once(tmp_path: Path) -> None:
    taus = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    together, apart = Sim(), Sim()
    fresh(tmp_path / "sweep", manifest([{**SCALE, "tau": tau, "candidates": 8} for tau in taus]), 6, together)
    for tau in taus:
        fresh(tmp_path / f"tau{tau}", manifest([{**SCALE, "tau": tau, "candidates": 8}]), 6, apart)
    assert together.requests < apart.requests * 0.6
    for number, tau in enumerate(taus):
        swept, single = cells_of(tmp_path / "sweep")[number], cells_of(tmp_path / f"tau{tau}")[0]
        assert [o.answer for o in swept.outcomes] == [o.answer for o in single.outcomes]


def test_a_budget_sweep_serves_smaller_limits_by_replies_that_ended_by_themselves(tmp_path: Path) -> None:
    limits = [4096, 6144, 8192, 12288, 16384, 32768]
    cells: list[dict[str, Any]] = [{"name": "cot", "system2_max_tokens": limit} for limit in limits]
    fresh(tmp_path / "reused", manifest(cells), 10, Sim())
    fresh(tmp_path / "paid", manifest(cells, reuse=False), 10, Sim())
    with reading(tmp_path / "reused") as reused, reading(tmp_path / "paid") as paid:
        assert reused.paid()[1] < paid.paid()[1] * 0.6
    answers = [[[o.answer for o in cell.outcomes] for cell in cells_of(tmp_path / run)] for run in ("reused", "paid")]
    assert answers[0] == answers[1]


class Failing:
    """An engine that fails some problems every time."""

    def __init__(self, engine: Sim, named: str) -> None:
        self.engine, self.named = engine, named

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        if self.named in request.messages[-1].content:
            raise Unreachable("gone")
        return await self.engine.generate(request, on_delta)


def test_world_failures_are_pending_tried_again_at_the_end_and_on_resume_and_never_scored(tmp_path: Path) -> None:
    fresh(tmp_path / "run", manifest([{"name": "cot"}], samples=3), 4, Failing(Sim(), "number 2."))
    cell = cells_of(tmp_path / "run")[0]
    assert [o.problem_id for o in cell.outcomes if o.pending] == ["p00002"] * 3
    assert all(o.correct is None for o in cell.outcomes if o.pending)
    assert all(o.correct is not None for o in cell.outcomes if not o.pending)
    engine = Sim()
    again(tmp_path / "run", engine)
    assert engine.requests == 3
    assert not any(o.pending for o in cells_of(tmp_path / "run")[0].outcomes)


class Dying:
    """An engine that answers so many calls and cannot be reached after that."""

    def __init__(self, calls: int) -> None:
        self.engine, self.left = Sim(), calls

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        self.left -= 1
        if self.left < 0:
            raise Unreachable("no route")
        return await self.engine.generate(request, on_delta)


def test_a_server_that_is_gone_ends_the_run_early_and_keeps_what_was_done(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="attempts failed in a row"):
        fresh(tmp_path / "run", manifest([{"name": "cot"}]), 300, Dying(5), attempts=4)
    assert len(cells_of(tmp_path / "run")[0].outcomes) < 40
    assert any(not each.pending for each in cells_of(tmp_path / "run")[0].outcomes)


def test_a_server_that_was_never_there_leaves_no_run(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="attempts failed in a row"):
        fresh(tmp_path / "run", manifest([{"name": "cot"}]), 300, Dying(0), attempts=4)
    assert not (tmp_path / "run").exists()


def test_a_model_that_answers_nonsense_is_scored_wrong_and_labelled(tmp_path: Path) -> None:
    fresh(tmp_path / "run", manifest([SCALE]), 3, Scripted([("", "no idea")]))
    outcomes = cells_of(tmp_path / "run")[0].outcomes
    assert all(o.correct is False and o.failure == "unanswered" and o.unparsed and not o.pending for o in outcomes)


def test_what_cannot_be_a_run_is_refused_with_the_mend(tmp_path: Path) -> None:
    fresh(tmp_path / "run", manifest([{"name": "cot"}]), 1, Sim())
    with pytest.raises(StoreError, match="already has a run"), create(tmp_path / "run", manifest([SCALE]), {}):
        pass
    with pytest.raises(ConfigError, match="is not a run"), resume(tmp_path / "nowhere"):
        pass
    with (
        pytest.raises(StoreError, match="another process"),
        resume(tmp_path / "run"),
        resume(tmp_path / "run"),
    ):
        pass


@pytest.mark.parametrize("damage", ["foreign", "garbage", "gone"])
def test_a_database_that_is_not_ours_or_damaged_is_named(tmp_path: Path, damage: str) -> None:
    fresh(tmp_path / "run", manifest([{"name": "cot"}]), 1, Sim())
    file = tmp_path / "run" / "run.sqlite"
    for leftover in tmp_path.glob("run/run.sqlite*"):
        leftover.unlink()
    if damage == "foreign":
        other = sqlite3.connect(file)
        other.execute("CREATE TABLE attempts (x)")
        other.commit()
        other.close()
    elif damage == "garbage":
        file.write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(StoreError, match=r"not a run|damaged|is missing"), resume(tmp_path / "run"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StoreError, match="permission"), create(tmp_path / "run", manifest([SCALE]), {}):
            pass
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_an_unknown_option_in_a_manifest_is_refused() -> None:
    with pytest.raises(ConfigError, match="treshold"):
        manifest([{"name": "scale", "treshold": 0.2}])


def test_saved_text_can_be_graded_and_voted_on_anew(tmp_path: Path) -> None:
    import asyncio

    fresh(tmp_path / "run", manifest([{"name": "vote", "samples": 3}, SCALE]), 4, Sim())
    before = content(tmp_path / "run")
    with resume(tmp_path / "run") as store:
        assert asyncio.run(regrade(store)) == RegradeCounts(records=4 * 2 * 2)
    assert content(tmp_path / "run") == before
    right = sum(o.correct is True for cell in cells_of(tmp_path / "run") for o in cell.outcomes)
    with resume(tmp_path / "run") as store:
        store.rows.connection.execute("UPDATE problems SET answer = '77'")
        store.rows.connection.commit()
        assert asyncio.run(regrade(store)) == RegradeCounts(records=16, to_wrong=right)


def test_an_export_has_one_record_a_line(tmp_path: Path) -> None:
    import json

    fresh(tmp_path / "run", manifest([SCALE]), 2, Sim())
    with reading(tmp_path / "run") as store:
        assert to_jsonl(store, tmp_path / "out.jsonl") == 4
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["attempt"]["problem_id"] for record in records] == ["p00000", "p00000", "p00001", "p00001"]
    assert set(records[0]) == {
        "attempt", "strategy", "model", "solution", "grade", "calls", "usage", "failure", "seconds"
    }  # fmt: skip


@pytest.mark.slow
def test_a_run_of_30_problems_by_8_samples_keeps_the_server_busy(tmp_path: Path) -> None:
    engine = Sim(Speeds(slots=64, spread=0.8))
    fresh(tmp_path / "run", manifest([{"name": "scale"}], samples=8), 30, engine)
    outcomes = cells_of(tmp_path / "run")[0].outcomes
    assert len(outcomes) == 240
    assert engine.most_in_flight == 64


@pytest.mark.parametrize(
    ("pragma", "told"), [("max_page_count = 40", "the disk is full"), ("query_only = 1", "cannot be written to")]
)
def test_a_disk_that_fills_up_or_goes_read_only_stops_the_run_cleanly_and_it_resumes(
    tmp_path: Path, pragma: str, told: str
) -> None:
    plan, engine = manifest([SCALE], samples=4), Sim()

    def troubled() -> None:
        with create(tmp_path / "run", plan, {"d": problems(5)}) as store:
            store.rows.connection.execute(f"PRAGMA {pragma}")
            go(store, engine)

    with pytest.raises(StoreError, match=told):
        troubled()
    again(tmp_path / "run", engine)
    fresh(tmp_path / "whole", plan, 5, Sim())
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_an_out_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(StoreError, match="run"), create(tmp_path / "run", manifest([SCALE]), {}):
        pass
    assert (tmp_path / "run").read_text() == "mine"


def test_a_new_run_names_the_default_model_and_an_old_one_without_a_name_keeps_the_model_it_had() -> None:
    cell = CellSpec(dataset=DatasetSpec(name="arithmetic", count=1), model=ModelSpec(), strategy={"name": "cot"})
    new, _ = asyncio.run(prepare(Manifest(cells=(cell,))))
    assert [each.model.model for each in new.cells] == [DEFAULT_MODEL]
    old, _ = asyncio.run(prepare(Manifest(cells=(cell,), resolved={"package": "0.1"})))
    assert [each.model.model for each in old.cells] == [None]
    assert name_unnamed(old.cells[0].model).model == "smollm2"
    assert model_of(old.cells[0].model) == "smollm2"
