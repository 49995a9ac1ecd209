"""`scale report` and `scale compare` on runs of the simulator."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.cells import cell, graded, outcome
from tests.runs.simulated import MODEL, Broken, Fuse, fresh, go, manifest, problems

from scale_reasoning.cli import main
from scale_reasoning.cli.compare import pair
from scale_reasoning.engines.sim import Sim
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.store import create
from scale_reasoning.types import Problem


def made(folder: Path, strategies: list[dict[str, Any]], data: dict[str, list[Problem]]) -> Path:
    """A run of the strategies on several datasets, in which a cell per dataset comes before the next strategy."""
    cells = tuple(
        CellSpec(dataset=DatasetSpec(name=name), model=MODEL, strategy=each) for each in strategies for name in data
    )
    with create(folder, Manifest(cells=cells, samples=2).normalise(), data) as store:
        go(store, Sim())
    return folder


TWO = {"d": problems(4), "e": problems(3)}
THREE: list[dict[str, Any]] = [{"name": "cot"}, {"name": "scale", "tau": 0.8}, {"name": "scale", "tau": 0.2}]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("several") / "run", THREE, TWO)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    strategies = [{"name": "cot"}, {"name": "scale", "tau": 0.2}]
    fresh(root / "both", manifest(strategies), 4, Sim())
    fresh(root / "cot", manifest(strategies[:1]), 4, Sim())
    fresh(root / "scale", manifest(strategies[1:]), 4, Sim())
    with pytest.raises(Broken):
        fresh(root / "broken", manifest(strategies[:1]), 4, Fuse(Sim(), 3))
    return {folder.name: folder for folder in root.iterdir()}


def test_report_prints_rows_with_shares(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(runs["both"]), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["strategy"] for row in rows] == ["cot", "scale"]
    assert [(row["planned"], row["scored"], row["owed"]) for row in rows] == [(8, 8, 0)] * 2
    assert rows[0]["acc_low"] <= rows[0]["acc"] <= rows[0]["acc_high"]
    assert rows[0]["tok"] > 0


def test_report_of_an_interrupted_run_says_so_and_exits_1(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(runs["broken"])]) == 1
    assert "Incomplete" in capsys.readouterr().out


def test_report_adds_cost_the_paper_and_writes_a_file_once(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["report", str(runs["cot"]), str(runs["scale"]), "--with-paper", "--prices", "1,0.1,4"]
    words += ["--layout", "cells", "--denominator", "completed", "--out", str(tmp_path / "table.md")]
    assert main(words) == 0
    assert "the paper has no numbers" in capsys.readouterr().err
    assert " cost " in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert main(words) == 2
    assert "File exists" in capsys.readouterr().err


@pytest.mark.parametrize("prices", ["1", "1,2", "a,b,c", "1,-2,3", "nan,1,1", "1,inf,1"])
def test_prices_that_are_none_are_refused(runs: dict[str, Path], prices: str, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(runs["cot"]), f"--prices={prices}"]) == 2
    assert "--prices" in capsys.readouterr().err


def test_compare_pairs_two_runs(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", str(runs["cot"]), str(runs["scale"]), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["compared"] == 4
    assert found["complete"] is True
    assert main(["compare", str(runs["both"]), str(runs["cot"])]) == 0
    out, err = capsys.readouterr()
    assert "Not distinguishable" in out
    assert "1 cells have no counterpart" in err


def test_a_rows_number_means_that_row_on_every_dataset(several: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(several), "--layout", "table1"]) == 0
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if "sim" in line]
    assert [(line[1].strip(), line[3].strip()) for line in lines] == [
        ("1", "cot"), ("2", "scale (tau 0.8)"), ("3", "scale (tau 0.2)")
    ]  # fmt: skip
    assert main(["compare", f"{several}:3", f"{several}:1", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["dataset"], each["compared"]) for each in found] == [("d", 4), ("e", 3)]
    assert all("scale tau 0.2, sim" in each["a"].replace("route threshold ", "") for each in found)
    assert all("cot, sim" in each["b"] for each in found)
    assert main(["report", f"{several}:2", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["row"], row["dataset"], row["knobs"]["tau"]) for row in rows] == [(2, "d", 0.8), (2, "e", 0.8)]


def test_the_numbers_of_the_sorted_table_are_those_that_compare_takes(
    several: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["report", f"{several}:2", f"{several}:3", "--layout", "table2"]) == 0
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if "sim" in line]
    assert [(line[1].strip(), line[4].strip()) for line in lines] == [("3", "0.2"), ("2", "0.8")]


@pytest.mark.parametrize("number", ["0", "4", "999999"])
def test_a_row_that_there_is_not_is_refused_with_those_that_there_are(
    several: Path, number: str, capsys: pytest.CaptureFixture[str]
):
    for words in (["compare", f"{several}:1", f"{several}:{number}"], ["plot", "stages", f"{several}:{number}"]):
        assert main(words) == 2
        assert f"{several}:{number}: the report of {several} has rows 1 to 3" in capsys.readouterr().err


def test_what_is_named_twice_is_reported_once(several: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", f"{several}:2", str(several), f"{several}/", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["row"], row["dataset"]) for row in rows] == [(n, d) for n in (2, 1, 3) for d in "de"]


def test_a_plot_of_a_row_is_drawn_into_the_runs_folder(several: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    assert main(["plot", "stages", f"{several}:1", f"{several}:3"]) == 0
    assert capsys.readouterr().out == f"{several / 'stages.png'}\n"


def test_a_folder_whose_name_ends_like_a_row_is_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = made(tmp_path / "run:2", THREE[:1], {"d": problems(2)})
    assert main(["report", str(folder), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["row"] == 1
    assert main(["compare", f"{folder}:1", str(folder)]) == 0


OTHERS = {
    "texts": [replace(one, text=f"Another: {one.text}") for one in problems(4)],
    "gold answers": [replace(one, answer="17") for one in problems(4)],
}


@pytest.mark.parametrize("what", OTHERS)
def test_compare_refuses_runs_on_other_problems_with_the_same_ids(
    several: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
):
    other = made(tmp_path / "other", THREE[:1], {"d": OTHERS[what]})
    assert main(["compare", f"{several}:1", str(other)]) == 2
    told = capsys.readouterr().err
    assert f"the {what} of p00000, p00001, p00002, p00003 differ" in told
    assert "evaluate one of them again" in told


def test_compare_refuses_runs_that_share_no_problem_before_anything_ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, prefix in zip(folders, "pq", strict=True):
        renamed = [replace(one, id=f"{prefix}{n}") for n, one in enumerate(problems(3))]
        with create(folder, manifest([{"name": "cot"}]), {"d": renamed}):
            pass
    assert main(["compare", *map(str, folders)]) == 2
    assert "share no problem of d: one has p0, p1, p2, the other q0, q1, q2" in capsys.readouterr().err


def test_shared_calls_whose_tokens_nobody_counted_are_told_as_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = made(tmp_path / "run", THREE[1:], {"d": problems(2)})
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db, db:
        db.execute("UPDATE completions SET tokens = NULL WHERE rowid = 1")
    assert main(["report", str(folder)]) == 0
    told = capsys.readouterr().err
    assert "tokens unknown" in told
    assert "%" not in told


def test_the_seed_of_old_comparisons_is_still_taken(runs: dict[str, Path]):
    assert main(["compare", str(runs["cot"]), str(runs["cot"]), "--seed", "3"]) == 0


def test_cells_pair_by_dataset_then_by_model_and_strategy():
    one, other = graded([[True]]), graded([[True]], strategy={"name": "cot"})
    assert pair([one], [other]) == [(one, other)]
    assert pair([one, other], [other]) == [(other, other)]
    with pytest.raises(ConfigError, match="several cells"):
        pair([one, other], [graded([[True]], model="n")])
    with pytest.raises(ConfigError, match="one is on aime24, the other on amc23"):
        pair([one], [cell([outcome()], dataset="amc23")])
