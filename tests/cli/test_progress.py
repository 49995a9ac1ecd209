"""What is said on stderr while a run goes and when it ends."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.runs.simulated import Broken, Fuse, Sim, fresh, manifest

from scale_reasoning.cli.progress import Progress
from scale_reasoning.report.metrics import summarise
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store, reading
from scale_reasoning.types import Usage


@pytest.fixture
def run(tmp_path: Path) -> Path:
    fresh(tmp_path / "run", manifest([{"name": "cot"}], samples=4), 6, Sim())
    return tmp_path / "run"


@contextlib.contextmanager
def at(folder: Path) -> Iterator[tuple[Store, Progress]]:
    with reading(folder) as store:
        yield store, Progress(store)


def said(progress: Progress, capsys: pytest.CaptureFixture[str]) -> str:
    with progress.show():
        pass
    return " ".join(capsys.readouterr().err.split())


def test_the_accuracy_and_its_interval_are_those_of_the_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = summarise(cells_of(run)[0])
    assert found.acc is not None
    assert found.acc_low is not None
    assert found.acc_high is not None
    with at(run) as (_, progress):
        assert f"acc {found.acc:.1%} [{found.acc_low:.1%}, {found.acc_high:.1%}] so far" in said(progress, capsys)


def test_a_resumed_run_counts_the_attempts_of_the_processes_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = manifest([{"name": "cot"}], samples=4)
    with pytest.raises(Broken):
        fresh(tmp_path / "cut", plan, 6, Fuse(Sim(), 9))
    fresh(tmp_path / "whole", plan, 6, Sim())
    with at(tmp_path / "whole") as (_, whole):
        wanted = said(whole, capsys).partition("acc ")[2].partition(" so far")[0]
    (outcomes,) = [cell.outcomes for cell in cells_of(tmp_path / "whole")]
    with at(tmp_path / "cut") as (store, progress):
        done = store.done()
        assert 0 < len(done) < 24
        for outcome in outcomes:
            if (0, outcome.problem_id, outcome.sample) not in done:
                progress.hear_outcome(0, outcome)
        assert f"acc {wanted} so far" in said(progress, capsys)


def uncounted(outcome: Outcome) -> Outcome:
    return msgspec.structs.replace(outcome, usage=Usage())


def test_tokens_that_nobody_counted_make_the_rate_unknown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outcomes,) = [cell.outcomes for cell in cells_of(run)]
    with at(run) as (_, progress):
        for outcome in outcomes[:3]:
            progress.hear_outcome(0, uncounted(outcome) if outcome is outcomes[0] else outcome)
        assert "tokens/s unknown (1 of 3 attempts uncounted)" in said(progress, capsys)


def test_the_last_line_says_how_many_calls_were_not_counted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with at(run) as (store, progress):
        paid = store.paid()
        assert progress.end(again="again", after="after") == 0
        assert f"24 calls paid for, {paid.tokens:,} new tokens, in" in capsys.readouterr().err
    with contextlib.closing(sqlite3.connect(run / "run.sqlite")) as db, db:
        db.execute("UPDATE completions SET tokens = NULL WHERE rowid <= 3")
    with at(run) as (store, progress):
        assert store.paid().uncounted == 3
        progress.end(again="again", after="after")
        told = " ".join(capsys.readouterr().err.split())
        assert f"new tokens unknown (3 of 24 calls uncounted, {store.paid().tokens:,} in the others)" in told
