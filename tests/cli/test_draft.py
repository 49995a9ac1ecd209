"""`scale draft`: a run's steps looked at again, with its own completions, then `scale report --assessor`."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_evaluate import problems
from tests.commands import scale
from tests.servers import ModelServer, serving

from scale_reasoning.runs.store import reading
from scale_reasoning.types import Record

SAMPLES, STEPS, COUNT = 2, 2, 3
MODEL = ("--model", "Qwen/Qwen3-32B")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def run(tmp_path: Path, server: ModelServer) -> Path:
    out = tmp_path / "run"
    done = scale("eval", str(problems(tmp_path, COUNT)), "--samples", str(SAMPLES), "--strategy", "cot",
                 "--strategy", "scale:tau=0.5", "--out", str(out),
                 "--base-url", server.base_url, *MODEL)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def records(folder: Path, cell: int) -> list[Record]:
    with reading(folder) as store:
        return list(store.records(cell))


def added(old: Path, new: Path) -> list[int | None]:
    """The `logprobs` of the requests that only the new run has."""
    kept: list[dict[str, int | None]] = []
    for folder in (old, new):
        with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as database:
            rows = database.execute("SELECT key, request FROM completions").fetchall()
        kept.append({key: json.loads(request).get("logprobs") for key, request in rows})
    return [kept[1][key] for key in kept[1].keys() - kept[0].keys()]


def solutions(found: list[Record]) -> list[list[Any]]:
    return [
        [(step.mode, step.text, step.difficulty) for step in each.solution.steps] for each in found if each.solution
    ]


def test_only_drafts_and_assessments_are_paid_for(run: Path, server: ModelServer, tmp_path: Path) -> None:
    paid, new = len(server.bodies), tmp_path / "new"
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    done = scale("draft", str(run), "--out", str(new))
    assert done.returncode == 0, done.stderr
    assert "left out, because they have no steps that are assessed: the rows of cot" in done.stderr
    # Three drafts of each step, and three tries for a digit, which this server never says; the threshold has asked for
    # the other rating.
    steps = COUNT * SAMPLES * STEPS
    assert len(server.bodies) - paid == steps * (3 + 3)
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    assert solutions(records(run, 1)) == solutions(records(new, 0))
    assert sorted(Counter(added(run, new)).items()) == [(0, steps * 3), (20, steps * 3)]
    for record in records(new, 0):
        assert record.solution is not None
        assert [(len(step.trials), len(step.assessments)) for step in record.solution.steps] == [(3, 4)] * STEPS
    asked = len(server.bodies)
    again = scale("eval", "--resume", str(new))
    assert again.returncode == 0, again.stderr
    assert len(server.bodies) == asked
    table = scale("report", "--assessor", str(new))
    assert table.returncode == 0, table.stderr
    assert "agreement" in table.stdout


def test_options_of_the_drafts_can_be_chosen_and_a_second_look_pays_only_for_more(run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert scale("draft", str(run), "--out", str(first), "--drafts", "1", "--assessors", "draft").returncode == 0
    done = scale("draft", str(first), "--out", str(second), "--drafts", "2", "--assessors", "draft")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((second / "manifest.json").read_text())
    route = manifest["cells"][0]["strategy"]["route"]
    assert route == {"name": "probe", "then": {"name": "threshold", "tau": 0.5}, "drafts": 2, "assessors": "draft"}
    assert added(first, second) == [0] * (COUNT * SAMPLES * STEPS)


def test_a_run_in_the_former_form_is_read(run: Path, tmp_path: Path) -> None:
    file = run / "manifest.json"
    manifest = json.loads(file.read_text())
    for cell in manifest["cells"][1:]:
        route = cell["strategy"].pop("route")
        cell["strategy"] |= {"route": route["name"], "tau": route["tau"]}
        cell["strategy"] |= {"random_share": 0.5, "last_mode": "routed", "assess_context": "solutions"}
        del cell["strategy"]["assess"]
    file.write_text(json.dumps(manifest))
    with sqlite3.connect(run / "run.sqlite") as database:
        for row, blob in database.execute("SELECT rowid, record FROM attempts").fetchall():
            record = json.loads(blob)
            for step in (record["solution"] or {}).get("steps", ()):
                for key in ("assessments", "trials", "draft", "reason"):
                    step.pop(key, None)
            database.execute("UPDATE attempts SET record = ? WHERE rowid = ?", (json.dumps(record).encode(), row))
    database.close()
    done = scale("draft", str(run), "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert len(added(run, tmp_path / "new")) == COUNT * SAMPLES * STEPS * (3 + 3)
    assert scale("report", "--assessor", str(tmp_path / "new")).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--assessors", "guess"], "no assessor 'guess'"),
        (["--model", "other"], "--model other"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    run: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = scale("draft", str(run), "--out", str(tmp_path / "new"), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_dry_run_asks_and_writes_nothing(run: Path, server: ModelServer, tmp_path: Path) -> None:
    paid = len(server.bodies)
    done = scale("draft", str(run), "--out", str(tmp_path / "new"), "--dry-run")
    assert done.returncode == 0
    assert f"calls that {run} has paid for are not made again" in done.stdout
    assert len(server.bodies) == paid
    assert not (tmp_path / "new").exists()


def test_a_run_without_steps_and_a_folder_in_use_are_refused(run: Path, server: ModelServer, tmp_path: Path) -> None:
    assert scale("draft", str(run), "--out", str(run)).returncode == 1
    cot = tmp_path / "cot"
    scale("eval", str(problems(tmp_path, 1)), "--strategy", "cot", "--samples", "1", "--out", str(cot), "--base-url",
          server.base_url, *MODEL)  # fmt: skip
    done = scale("draft", str(cot), "--out", str(tmp_path / "new"))
    assert done.returncode == 2
    assert "no row of SCALE" in done.stderr
