"""What another threshold would have done: equal to what a run at that threshold recorded, or not run; never a guess."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.runs.simulated import fresh, manifest
from tests.web.viewed import sweep, viewing

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.runs.store import reading
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.cascade import Cascade
from scale_reasoning.strategies.number import find_number, set_number
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import Mode, Record
from scale_reasoning.web.viewer.replay import EMBEDDED_WINDOW, StoredAttempt, make_endpoints
from scale_reasoning.web.viewer.sentences import write_table
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.whatif import GRID, Range, find_ranges

CHOSEN = (0.15, 0.4, 0.85)


@pytest.mark.parametrize("over", [{}, {"assess.context": "titles"}, {"route": "last-thinks"}])
def test_where_the_journal_has_the_calls_the_answer_is_what_a_run_at_that_threshold_recorded(
    over: dict[str, Any], tmp_path: Path
) -> None:
    sweep(tmp_path, [{"name": "scale", "tau": tau, **over} for tau in CHOSEN], problems=3, samples=2)
    shelf = Shelf([tmp_path])
    first = shelf.cells[0]
    first.refresh()
    with reading(tmp_path) as store:
        recorded = {tau: {(o.problem_id, o.sample): o for o in store.outcomes(n)} for n, tau in enumerate(CHOSEN)}
    assert len(first.marks) == 6
    for place in sorted(first.marks):
        found = first.find_ranges(place)
        for tau, outcomes in recorded.items():
            own, was = at(found, tau), outcomes[first.problems[place[0]].id, place[1]]
            assert own.outcome is not None
            for field in (
                "answer",
                "correct",
                "failure",
                "usage",
                "iterations",
                "hard",
                "difficulties",
                "calls",
                "by_mode",
            ):
                assert getattr(own.outcome, field) == getattr(was, field), field
    shelf.close()


def at(found: tuple[Range, ...], tau: float) -> Range:
    (only,) = [stretch for stretch in found if tau in stretch]
    return only


def rerouted(record: Record, tau: float) -> str | None:
    """The call of the first step that this threshold sends to the other mode than the record has."""
    assert record.solution is not None
    for number, step in enumerate(record.solution.steps, 1):
        assert step.difficulty is not None
        if (step.difficulty <= tau) != (step.mode is Mode.SYSTEM1):
            return f"step{number}/solve"
    return None


def test_the_stretches_cover_every_threshold_once_and_what_is_missing_is_the_first_call_never_made(
    tmp_path: Path,
) -> None:
    sweep(tmp_path, [{"name": "scale", "tau": 0.5}], problems=3, samples=2)
    shelf = Shelf([tmp_path])
    cell = shelf.cells[0]
    cell.refresh()
    missing = 0
    assert len(cell.marks) == 6
    for place in cell.marks:
        found = cell.find_ranges(place)
        assert all(sum(tau in stretch for stretch in found) == 1 for tau in GRID)
        assert at(found, 0.5).outcome is not None
        record = cell.read_record(place)
        assert record is not None
        for stretch in found:
            assert (stretch.outcome is None) == (stretch.missing is not None)
            assert stretch.missing == rerouted(record, stretch.low)
            missing += stretch.missing is not None
    assert missing > 0
    shelf.close()


def test_a_cell_s_table_counts_what_the_sweep_recorded_and_no_attempt_that_was_not_run(tmp_path: Path) -> None:
    sweep(tmp_path, [{"name": "scale", "tau": tau} for tau in CHOSEN], problems=4, samples=2)
    with viewing(tmp_path) as viewer:
        for _ in range(100):
            table = json.loads(viewer.get("r0-c1-whatif.json").text)
            if table["done"] == table["planned"]:
                break
            time.sleep(0.1)
        assert (table["done"], table["error"]) == (8, None)
    with reading(tmp_path) as store:
        for number, tau in enumerate(CHOSEN):
            outcomes = list(store.outcomes(number))
            row = [each for each in table["rows"] if each["tau"] <= tau][-1]
            assert row["ran"] == len(outcomes) == 8
            assert row["right"] == sum(o.correct is True for o in outcomes)
            assert row["tokens"] == sum(o.usage.completion_tokens or 0 for o in outcomes)
            assert (row["iterations"], row["hard"]) == (
                sum(o.iterations for o in outcomes),
                sum(o.hard for o in outcomes),
            )
    assert any(row["ran"] < 8 for row in table["rows"])


def test_voting_over_scale_has_a_threshold_and_other_strategies_have_none(tmp_path: Path) -> None:
    vote = {"name": "vote", "samples": 2, "base": {"name": "scale", "tau": 0.4, "candidates": 2}}
    fresh(tmp_path, manifest([vote, {"name": "cot"}], samples=1), 2, Sim(Speeds(spread=0.2)))
    shelf = Shelf([tmp_path])
    voted, cot = shelf.cells
    voted.refresh()
    found = voted.find_ranges((0, 0))
    own = at(found, 0.4).outcome
    assert own is not None
    assert own.answer == voted.marks[0, 0].answer
    assert (voted.tau, cot.tau) == (0.4, None)
    shelf.close()
    with viewing(tmp_path) as viewer:
        assert 'data-whatif="attempt"' in viewer.get("r0-c0-p0-s0.html").text
        assert "data-whatif" not in viewer.get("r0-c1-p0-s0.html").text
        assert "data-whatif" not in viewer.get("r0-c1.html").text
        assert viewer.get("r0-c1-whatif.json").status == 404


def test_looking_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    sweep(tmp_path, problems=2, samples=1)
    before = (tmp_path / "run.sqlite").read_bytes()
    shelf = Shelf([tmp_path])
    shelf.cells[0].refresh()
    table = write_table(shelf.cells[0].fill_table())
    shelf.close()
    assert table["done"] == 2
    assert (tmp_path / "run.sqlite").read_bytes() == before


def test_a_table_s_equal_neighbours_are_told_once(tmp_path: Path) -> None:
    sweep(tmp_path, problems=1, samples=1)
    shelf = Shelf([tmp_path])
    rows = write_table(shelf.cells[0].fill_table())["rows"]
    shelf.close()
    assert rows[0]["tau"] == 0.0
    assert 1 < len(rows) < len(GRID)
    bare = [{key: value for key, value in row.items() if key not in ("tau", "text")} for row in rows]
    assert all(one != other for one, other in pairwise(bare))


def test_the_embedded_model_s_window_is_the_one_that_replays_assume() -> None:
    assert inspect.signature(Llama.start).parameters["window"].default == EMBEDDED_WINDOW


def test_a_checkpoint_s_calls_are_asked_as_its_engine_asks_them(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoint-7"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"max_position_embeddings": 2048}')
    (asked,) = {(e.model, e.window) for e in make_endpoints(ModelSpec(model=str(folder), window=9000)).values()}
    assert asked == ("run/checkpoint-7", 2048)


def test_replays_share_what_they_asked_the_journal(tmp_path: Path) -> None:
    sweep(tmp_path, problems=1, samples=1)
    shelf = Shelf([tmp_path])
    cell = shelf.cells[0]

    class Counting:
        def __init__(self, journal: Any) -> None:
            self.journal, self.asked = journal, list[str]()

        async def get(self, key: str, request: Any) -> Any:
            self.asked.append(key)
            return await self.journal.get(key, request)

        async def put(self, key: str, request: Any, completion: Any) -> None:
            raise AssertionError(key)

    with reading(tmp_path) as store:
        counting = Counting(store)
        asyncio.run(
            find_ranges(
                StoredAttempt(
                    problem=cell.problems[0],
                    strategy=cell.spec.make_strategy(),
                    endpoints=make_endpoints(cell.spec.model),
                    journal=counting,
                    sample=0,
                    seed=0,
                ),
                Threshold.NUMBER,
            )
        )
    shelf.close()
    assert len(counting.asked) == len(set(counting.asked)) > 0


def test_a_cascade_has_the_threshold_that_its_stages_have_in_common() -> None:
    low, high = Scale(route=Threshold(tau=0.3)), Scale(route=Threshold(tau=0.4))
    scaled = Vote(base=low, samples=2)
    assert find_number(Cascade(then=high)) == (Threshold.NUMBER, 0.4)
    assert find_number(Cascade(first=scaled, then=low)) == (Threshold.NUMBER, 0.3)
    assert find_number(Cascade(first=scaled, then=high)) is None
    assert find_number(Cascade(then=Vote(samples=4))) is None
    longer = Cascade(first=scaled, then=Vote(base=low, samples=4))
    changed = set_number(longer, Threshold.NUMBER, 0.6)
    assert find_number(changed) == (Threshold.NUMBER, 0.6)
    assert changed.most_calls() == longer.most_calls() == longer.then.most_calls()
