"""An old run is brought up to date with the graders of today, and what that changes is counted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.servers import serving, stream

from scale_reasoning.cli import main
from scale_reasoning.runs.cells import cells_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four right attempts of the teacher."""
    words = ["--model", "arithmetic-teacher", "--limit", "2", "--samples", "2", "--strategy", "cot"]
    assert main(["eval", "arithmetic", *words, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def change(run: Path, sql: str) -> None:
    with closing(sqlite3.connect(run / "run.sqlite")) as db, db:
        db.execute(sql)


def verdicts(run: Path) -> list[bool | None]:
    return [outcome.correct for cell in cells_of(run) for outcome in cell.outcomes]


OLD = """UPDATE attempts SET record = CAST(replace(CAST(record AS TEXT), '"correct":true', '"correct":false') AS BLOB),
         outcome = CAST(replace(CAST(outcome AS TEXT), '"correct":true', '"correct":false') AS BLOB) WHERE sample = 1"""


def test_verdicts_of_an_older_grader_are_brought_up_to_date_and_counted(run: Path, capsys: Capture) -> None:
    change(run, OLD)
    assert verdicts(run) == [True, False] * 2
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in run.iterdir()}
    capsys.readouterr()
    assert main(["grade", str(run), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said == f"{run}: 4 records would be graded again, 2 grades would change: 2 from wrong to right\n"
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in run.iterdir()} == before
    assert main(["grade", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: 4 records graded again, 2 grades changed: 2 from wrong to right\n"
    assert verdicts(run) == [True] * 4
    assert main(["grade", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: 4 records graded again, 0 grades changed\n"


def test_verdicts_change_both_ways(run: Path, capsys: Capture) -> None:
    change(run, OLD)
    change(run, "UPDATE problems SET answer = '-77' WHERE position = 0")
    capsys.readouterr()
    assert main(["grade", str(run)]) == 0
    assert "2 grades changed: 1 from wrong to right, 1 from right to wrong" in capsys.readouterr().out
    assert verdicts(run) == [False, False, True, True]


def test_a_run_is_graded_by_its_own_grader_where_none_is_named(run: Path, capsys: Capture) -> None:
    file = run / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "grader": "symbolic"}))
    assert main(["grade", str(run)]) == 0
    with closing(sqlite3.connect(run / "run.sqlite")) as db:
        records = [json.loads(record) for (record,) in db.execute("SELECT record FROM attempts")]
    assert {record["grade"]["grader"] for record in records} == {"symbolic"}


def test_what_is_kept_at_hand_is_derived_anew(run: Path) -> None:
    change(run, """UPDATE attempts SET outcome = CAST(replace(CAST(outcome AS TEXT), '"answers":[', '"answers":["x",')
                   AS BLOB)""")  # fmt: skip
    assert main(["grade", str(run)]) == 0
    assert all(len(outcome.answers) == 1 for cell in cells_of(run) for outcome in cell.outcomes)


def test_an_attempt_that_is_pending_stays_owed(run: Path, capsys: Capture) -> None:
    failure = '{"kind":"unreachable","blame":"world","message":"gone"}'
    change(run, f"""UPDATE attempts SET owed = 1, record = CAST(json_set(CAST(record AS TEXT), '$.solution', NULL,
                    '$.grade', NULL, '$.failure', json('{failure}')) AS BLOB) WHERE sample = 0""")  # fmt: skip
    capsys.readouterr()
    assert main(["grade", str(run)]) == 0
    assert "2 records graded again, 0 grades changed" in capsys.readouterr().out
    assert [outcome.pending for cell in cells_of(run) for outcome in cell.outcomes] == [True, False] * 2


def test_a_gold_answer_that_cannot_be_read_keeps_its_verdicts_and_is_named(run: Path, capsys: Capture) -> None:
    change(run, "UPDATE problems SET answer = 'nothing at all' WHERE position = 0")
    capsys.readouterr()
    assert main(["grade", str(run), "--grader", "integer"]) == 1
    said = capsys.readouterr()
    assert "2 records graded again, 0 grades changed" in said.out
    assert "not graded, and left as it was: problem arithmetic-test-s0-000000" in said.err
    assert verdicts(run) == [True] * 4


# Reading answers strictly


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """One attempt each whose right answer is boxed, stated, asked for and missing."""
    problems = [
        {"id": name, "problem": f"Say it {name}.", "answer": "7"} for name in ("boxed", "stated", "asked", "no")
    ]
    data = tmp_path / "four.jsonl"
    data.write_text("".join(json.dumps(problem) + "\n" for problem in problems))

    async def reply(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        first, last = body["messages"][0]["content"], body["messages"][-1]["content"]
        name = next(name for name in ("boxed", "stated", "asked", "no") if f"Say it {name}." in first)
        if "Give only the result" in last:
            return await stream(request, "\\boxed{7}" if name == "asked" else "I cannot.")
        texts = {"boxed": "\\boxed{7}", "stated": "The answer is 7.", "asked": "Seven it is.", "no": "Hm."}
        return await stream(request, texts[name])

    with serving(reply) as server:
        words = ["--base-url", server.base_url, "--model", "q", "--samples", "1", "--strategy", "cot"]
        assert main(["eval", str(data), *words, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def forms(run: Path) -> dict[str, tuple[object, ...]]:
    return {o.problem_id: (*o.forms, o.correct) for cell in cells_of(run) for o in cell.outcomes}


LENIENT = {"boxed": ("boxed", True), "stated": ("stated", True), "asked": ("asked", True), "no": (None, False)}
STRICT = {"boxed": ("boxed", True), "stated": (None, False), "asked": (None, False), "no": (None, False)}


def test_one_run_has_the_lenient_and_the_strict_accuracy_without_a_call(lenient: Path, capsys: Capture) -> None:
    assert forms(lenient) == LENIENT
    for flags, acc, stated in (
        ([], 0.75, 0.25),
        (["--answers", "boxed"], 0.25, 0.0),
        (["--answers", "any"], 0.75, 0.25),
    ):
        capsys.readouterr()
        assert main(["report", str(lenient), *flags, "--format", "json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["acc"], row["stated"], row["asked"]) == (acc, stated, stated)
    assert forms(lenient) == LENIENT  # a report stores nothing


def test_grading_strictly_is_stored_and_grading_again_follows_the_run(lenient: Path) -> None:
    assert main(["grade", str(lenient), "--answers", "boxed"]) == 0
    assert forms(lenient) == STRICT
    assert main(["grade", str(lenient)]) == 0
    assert forms(lenient) == LENIENT


def test_a_run_from_before_there_were_forms_is_read_as_it_was(lenient: Path) -> None:
    change(
        lenient, "UPDATE attempts SET record = CAST(replace(CAST(record AS TEXT), '\"answers\":\"any\",', '') AS BLOB)"
    )
    assert main(["grade", str(lenient)]) == 0
    assert forms(lenient) == STRICT
    assert main(["grade", str(lenient), "--answers", "any"]) == 0
    assert forms(lenient) == LENIENT
