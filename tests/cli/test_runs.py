"""Folders of runs, names and dates of runs: what the commands read, and what they say where there is nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.report.made_runs import COT, GOLD, Made, spread_right, write_run
from tests.report.made_runs import SCALE as SCALE_ROW
from tests.servers import serving

from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.finding import find_runs, look_at, read_date
from scale_reasoning.runs.folder import read_manifest


def change_manifest(folder: Path, **keys: Any) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with `runs`, in which there are two runs of the same problems; the first one has the later name."""
    cells = [Made(strategy=COT, right=spread_right(50, samples=2), tokens=900)]
    write_run(tmp_path / "runs" / "zeta", cells, samples=2)
    write_run(tmp_path / "runs" / "alpha", [Made(strategy=SCALE_ROW, right=spread_right(40, samples=2))], samples=2)
    change_manifest(tmp_path / "runs" / "zeta", created="2026-03-01T09:00:00Z", name="the base")
    change_manifest(tmp_path / "runs" / "alpha", created="2026-03-02T09:00:00Z")
    return tmp_path


def report(folder: Path, *words: str) -> list[dict[str, Any]]:
    done = scale("report", *words, "--format", "json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_folder_of_runs_is_all_its_runs_the_oldest_first(here: Path) -> None:
    rows = report(here, "runs")
    assert [(row["run"], row["strategy"]) for row in rows] == [("runs/zeta", "cot"), ("runs/alpha", "scale")]
    assert [(row["run_name"], row["run_created"]) for row in rows] == [
        ("the base", "2026-03-01T09:00:00Z"), (None, "2026-03-02T09:00:00Z")
    ]  # fmt: skip


def test_the_folder_of_runs_is_what_is_read_where_none_is_named(here: Path) -> None:
    pytest.importorskip("matplotlib")
    assert report(here) == report(here, "runs")
    drawn = scale("plot", "frontier", folder=here)
    assert drawn.stdout == "runs/frontier.png\n", drawn.stderr
    compared = scale("compare", "--format", "json", folder=here)
    (found,) = json.loads(compared.stdout)
    assert (found["side_a"]["run"], found["side_b"]["run"]) == ("runs/zeta", "runs/alpha")


@pytest.mark.parametrize("words", [["report"], ["compare"], ["plot", "tau"], ["view"], ["list", "runs"]])
def test_where_there_is_no_run_the_error_says_what_to_do(tmp_path: Path, words: list[str]) -> None:
    done = scale(*words, folder=tmp_path)
    assert done.returncode == 2
    assert f"there is no folder runs here: scale {words[0]}" in done.stderr
    assert "scale eval makes runs" in done.stderr
    (tmp_path / "runs").mkdir()
    assert "runs holds no run" in scale(*words, folder=tmp_path).stderr


def test_a_run_that_cannot_be_read_is_left_out_of_a_folder_and_named(here: Path) -> None:
    (here / "runs" / "alpha" / "run.sqlite").write_bytes(b"no database")
    done = scale("report", "runs", "--format", "json", folder=here)
    assert [row["run"] for row in json.loads(done.stdout)] == ["runs/zeta"]
    assert "left out: runs/alpha" in done.stderr
    assert scale("report", "runs/alpha", folder=here).returncode != 0


def test_a_row_of_a_folder_of_runs_is_refused(here: Path) -> None:
    done = scale("report", "runs:1", folder=here)
    assert done.returncode == 2
    assert "runs has 2 runs: name row 1 of one of them, as runs/alpha:1" in done.stderr


def test_a_terminal_lists_the_runs_of_a_report(here: Path) -> None:
    text = scale("report", "--format", "terminal", folder=here, env={"COLUMNS": "160"}).stdout
    for expected in ("the base", "2026-03-01", "cot on aime24 with Qwen/Qwen3-32B", "60/60", "runs/alpha:1"):
        assert expected in text
    assert "the base" not in scale("report", "runs/zeta", "--format", "terminal", folder=here).stdout


def test_runs_with_names_are_named_below_a_markdown_table_of_several(here: Path) -> None:
    text = scale("report", folder=here).stdout
    assert text.endswith("\n\nruns/zeta: the base, begun 2026-03-01.\n")
    assert "the base" not in scale("report", "runs/zeta", folder=here).stdout


def test_runs_are_listed_with_dates_names_and_what_they_are(here: Path) -> None:
    lines = scale("list", "runs", folder=here).stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["runs/zeta", "runs/alpha"]
    assert "the base" in lines[2]
    assert "scale (route threshold, tau 0.2) on aime24 with Qwen/Qwen3-32B" in lines[3]
    assert scale("list", "runs", str(here / "runs")).stdout.count("aime24") == 2
    refused = scale("list", "models", "runs", folder=here)
    assert refused.returncode == 2
    assert "only runs are in a folder" in refused.stderr


def test_compare_lists_the_runs_of_a_folder_with_more_than_two(here: Path) -> None:
    write_run(here / "runs" / "third", [Made(strategy=COT, right=spread_right(10, samples=2))], samples=2)
    done = scale("compare", folder=here)
    assert done.returncode == 2
    assert "3 runs were found: name two of them" in done.stderr
    for expected in ("runs/zeta", "runs/alpha", "runs/third", "the base"):
        assert expected in done.stderr


def test_compare_takes_the_two_rows_of_a_run_that_has_two(here: Path) -> None:
    cells = [Made(strategy=each, right=spread_right(20, samples=2)) for each in (COT, SCALE_ROW)]
    write_run(here / "both", cells, samples=2)
    (found,) = json.loads(scale("compare", "both", "--format", "json", folder=here).stdout)
    assert (found["side_a"]["row"], found["side_b"]["row"]) == (1, 2)
    alone = scale("compare", "runs/zeta", folder=here)
    assert alone.returncode == 2
    assert "runs/zeta has 1 row" in alone.stderr
    assert "3 runs are named" in scale("compare", "a", "b", "c", folder=here).stderr


def test_compare_says_which_rows_it_compares_and_what_differs(here: Path) -> None:
    text = scale("compare", "runs/zeta", "runs/alpha", folder=here).stdout
    assert 'A: row 1 of runs/zeta, "the base", begun 2026-03-01. B: row 1 of runs/alpha, begun 2026-03-02.' in text
    assert "From A to B differ strategy: cot → scale; route: none → threshold; tau: none → 0.2." in text
    same = scale("compare", "runs/zeta", "runs/zeta", folder=here).stdout
    assert "As far as their runs record, A and B have the same model, profile, kind of server, strategy" in same


def test_a_comparison_is_written_in_every_format(here: Path) -> None:
    starts = {
        "md": "| dataset",
        "latex": "\\begin{table",
        "html": "<!doctype",
        "csv": "dataset,",
        "json": "[",
        "terminal": "",
    }
    for form, start in starts.items():
        done = scale("compare", "--format", form, folder=here)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(start)


def problems(folder: Path) -> Path:
    file = folder / "mine.jsonl"
    file.write_text(json.dumps({"id": "m", "problem": "What is 5 + 7?", "answer": "12"}) + "\n")
    return file


def test_a_run_has_the_name_that_it_was_given_and_its_date(tmp_path: Path) -> None:
    file = problems(tmp_path)
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "m", "--strategy", "cot", "--samples", "1")
        done = scale("eval", str(file), "--name", "First  try: cot!", *at, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        (run,) = (tmp_path / "runs").iterdir()
        assert run.name.startswith("First-try-cot-2")
        found = look_at(run)
        assert (found.name, found.done, found.planned) == ("First try: cot!", 1, 1)
        before = read_manifest(run)
        assert read_date(before.created) is not None
        again = scale("eval", "--resume", str(run), "--name", "another", folder=tmp_path)
        assert again.returncode == 0, again.stderr
        assert (read_manifest(run).name, read_manifest(run).created) == ("another", before.created)
        scale("eval", str(run / "manifest.json"), *at[:2], "--out", "copy", folder=tmp_path)
    assert read_manifest(tmp_path / "copy").name is None


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x1b[1mb"])
def test_a_name_that_cannot_be_printed_is_refused(tmp_path: Path, name: str) -> None:
    done = scale("eval", str(problems(tmp_path)), "--name", name)
    assert done.returncode == 2
    assert "printable characters" in done.stderr


def test_a_manifest_without_name_and_date_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "old", [Made(strategy=COT, right=[1])], samples=1)
    stored = json.loads((run / "manifest.json").read_text())
    assert not {"name", "created"} & stored.keys()
    assert look_at(run).name is None
    assert look_at(run).created.tzinfo is not None
    assert GOLD


def test_a_manifest_with_an_endless_name_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [Made(strategy=COT, right=[1])], samples=1)
    change_manifest(run, name="x" * 1000)
    with pytest.raises(ConfigError, match="at most 80 characters"):
        read_manifest(run)


@pytest.mark.parametrize("created", ["yesterday", "0001-01-01T00:00:00+02:00", ""])
def test_a_date_that_cannot_be_read_is_none(created: str) -> None:
    assert read_date(created) is None


@pytest.mark.parametrize("created", ["2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01T02:00:00+02:00"])
def test_a_date_is_read_in_utc(created: str) -> None:
    date = read_date(created)
    assert date is not None
    assert date.isoformat() == "2026-03-01T00:00:00+00:00"


def test_the_run_that_traces_were_made_from_is_found_in_their_folder(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "traces" / "run", [Made(strategy=COT, right=[1])], samples=1)
    (tmp_path / "runs" / "traces" / "manifest.json").write_text("{}")
    assert find_runs(tmp_path / "runs") == [tmp_path / "runs" / "traces" / "run"]


def test_the_viewers_list_of_a_folder_of_runs_has_their_names(here: Path) -> None:
    pytest.importorskip("jinja2")
    assert scale("view", "--html", "pages", folder=here).returncode == 0
    home = (here / "pages" / "index.html").read_text(encoding="utf-8")
    assert "the base" in home
    assert "alpha" in home
