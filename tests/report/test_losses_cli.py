"""`scale report --losses` on runs of the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.runs.simulated import Broken, Fuse, fresh, manifest

from scale_reasoning.cli import main
from scale_reasoning.engines.sim import Sim

COT: dict[str, Any] = {"name": "cot"}
ROUTES: list[dict[str, Any]] = [
    {"name": "scale", "route": "system2"},
    {"name": "scale", "route": "system1"},
    {"name": "scale", "tau": 0.5},
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("runs")
    fresh(root / "all", manifest([COT, *ROUTES, {"name": "vote", "samples": 2}]), 6, Sim())
    fresh(root / "cot", manifest([COT]), 6, Sim())
    fresh(root / "routes", manifest(ROUTES), 6, Sim())
    fresh(root / "fewer", manifest(ROUTES), 4, Sim())
    fresh(root / "vote", manifest([{"name": "vote", "samples": 2}]), 2, Sim())
    with pytest.raises(Broken):
        fresh(root / "broken", manifest([COT, *ROUTES]), 4, Fuse(Sim(), 100))
    return {folder.name: str(folder) for folder in root.iterdir()}


def test_a_run_with_all_rows_has_every_comparison(runs: dict[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", "--losses", runs["all"]]) == 0
    said = capsys.readouterr().out
    assert "| decomposition " in said
    assert "| all System 2 (row 2) | tau 0.5 (row 4) " in " ".join(said.split())
    assert "To add:" not in said
    assert "vote" not in said


def test_two_runs_on_the_same_problems_give_what_one_run_gives(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    found: list[list[Any]] = []
    for names in (["all"], ["cot", "routes"]):
        assert main(["report", "--losses", *(runs[name] for name in names), "--format", "json"]) == 0
        losses = json.loads(capsys.readouterr().out)["losses"]
        found.append([(loss["by"], loss["lost_on"], loss["won_on"], loss["net"], loss["token_ratio"])
                      for loss in losses if loss["by"] != "the answer's form"])  # fmt: skip
    assert found[0] == found[1]
    assert len(found[0]) == 3
    assert found[0][0][1:3] != [[], []]


def test_runs_on_other_problems_are_refused(runs: dict[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", "--losses", runs["cot"], runs["fewer"]]) == 2
    assert "the problems differ" in capsys.readouterr().err


def test_a_run_with_pending_attempts_says_so_and_exits_1(runs: dict[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", "--losses", runs["broken"]]) == 1
    assert "are pending and left out. Resume the run." in capsys.readouterr().out


def test_missing_rows_are_said_beside_a_csv_too(runs: dict[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", "--losses", runs["cot"], "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("dataset,model,by,")
    assert "no all System 2 row, no all System 1 row, no threshold row" in said.err
    assert "--strategy scale:route=system2 --strategy scale:route=system1 --strategy scale:tau=0.2" in said.err


def test_a_run_without_such_rows_and_flags_of_other_tables_are_refused(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    assert main(["report", "--losses", runs["vote"]]) == 2
    assert "needs rows of chain of thought and of SCALE" in capsys.readouterr().err
    assert main(["report", "--losses", runs["all"], "--layout", "cells", "--with-paper"]) == 2
    assert "leave out --layout, --with-paper" in capsys.readouterr().err


def test_the_losses_are_written_into_a_file(runs: dict[str, str], tmp_path: Path):
    assert main(["report", "--losses", runs["all"], "--format", "html", "--out", str(tmp_path / "losses.html")]) == 0
    assert "decomposition" in (tmp_path / "losses.html").read_text(encoding="utf-8")
