"""`scale report` and `scale compare` on runs of the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.report.cells import cell, graded, outcome
from tests.runs.simulated import Broken, Fuse, fresh, manifest

from scale_reasoning.cli import main
from scale_reasoning.cli.report import pair
from scale_reasoning.engines.sim import Sim
from scale_reasoning.errors import ConfigError


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


def test_cells_pair_by_dataset_then_by_model_and_strategy():
    one, other = graded([[True]]), graded([[True]], strategy={"name": "cot"})
    assert pair([one], [other]) == [(one, other)]
    assert pair([one, other], [other]) == [(other, other)]
    with pytest.raises(ConfigError, match="several cells"):
        pair([one, other], [graded([[True]], model="n")])
    with pytest.raises(ConfigError, match="one is on aime24, the other on amc23"):
        pair([one], [cell([outcome()], dataset="amc23")])
