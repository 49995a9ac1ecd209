"""Tables on a terminal: aligned, within its width, with colours only where there is a terminal for them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.commands import SCALE, scale
from tests.report.made_runs import COT, Made, spread_right, write_run
from tests.report.made_runs import SCALE as SCALE_ROW

from scale_reasoning.cli import main
from scale_reasoning.cli.terminal import FILE_WIDTH, write_terminal
from scale_reasoning.report.formats import Column, Grid

WIDTHS = (40, 60, 80, 100, 140, 240)


def wide(rows: int = 3, datasets: Sequence[str] = ("aime24", "amc23")) -> Grid:
    """A table as `scale report` makes them."""
    numbers = [
        column
        for name in datasets
        for column in (
            Column(name="Acc", group=name, number=True, best="high"),
            Column(name="Tpi", group=name, number=True, spare=True),
            Column(name="Tok", group=name, number=True, best="low"),
        )
    ]
    cells = [
        [
            str(row + 1),
            "Qwen/Qwen3-32B",
            f"scale (route threshold, tau 0.{row})",
            *[f"{50 + row}.00 [40.0, 60.0] (240/240)", "120", str(5000 + row)] * len(datasets),
        ]
        for row in range(rows)
    ]
    heads = [Column(name="row", number=True), Column(name="model"), Column(name="strategy")]
    return Grid(columns=[*heads, *numbers], rows=cells, notes=["Acc in %, and more words than fit into a line. " * 3])


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a table for a terminal of a width."""

    def write(grid: Grid, width: int, *, terminal: bool = False) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
        return write_terminal(grid, sys.stdout)

    return write


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("datasets", [["aime24"], ["aime24", "amc23"], ["a", "b", "c", "d", "e"]])
def test_no_line_is_longer_than_the_terminal_and_no_row_is_lost(show: Any, width: int, datasets: list[str]) -> None:
    text = show(wide(datasets=datasets), width)
    assert max(map(len, text.splitlines())) <= width
    for row in range(3):
        assert text.count(f"{50 + row}.00") == len(datasets)
        assert f"0.{row}" in text
    assert "Qwen/Qwen3-32B" in text


def test_a_wide_terminal_has_every_column_on_one_line_a_row(show: Any) -> None:
    lines = show(wide(), 240).splitlines()
    assert lines[1].split() == ["row", "model", "strategy", *["Acc", "Tpi", "Tok"] * 2]
    assert [line.split()[0] for line in lines[3:6]] == ["1", "2", "3"]
    ends = {line.rindex("5000") + 4 if "5000" in line else line.rindex("500") + 4 for line in lines[3:6]}
    assert len(ends) == 1


def test_a_narrow_terminal_says_what_all_rows_share_above_the_table(show: Any) -> None:
    assert show(wide(), 120).startswith("model: Qwen/Qwen3-32B\n")


def test_columns_that_are_left_out_are_named_with_what_shows_them(show: Any) -> None:
    text = show(wide(), 100)
    assert "Tpi" not in text.split("This terminal")[0]
    assert "This terminal is too narrow for Tpi: --format md has all columns." in text
    assert "too narrow" not in show(wide(), 240)


def test_a_terminal_too_narrow_for_a_table_has_lines_for_each_row(show: Any) -> None:
    text = show(wide(datasets=["a", "b", "c", "d", "e"]), 40)
    assert "  e Acc: 52.00 [40.0, 60.0] (240/240)\n" in text
    assert "3  scale (route threshold, tau 0.2)\n" in text


def test_the_best_numbers_and_marks_are_coloured_on_a_terminal_and_nothing_is_elsewhere(show: Any) -> None:
    grid = wide()
    assert "\x1b[" not in show(grid, 120)
    text = show(grid, 240, terminal=True)
    assert "\x1b[1;32m52.00\x1b[0m [40.0, 60.0] (240/240)" in text
    assert text.count("\x1b[1;32m") == 4
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert [line.split() for line in bare.splitlines()] == [line.split() for line in show(grid, 240).splitlines()]


def test_no_color_and_a_dumb_terminal_are_respected(
    show: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(wide(), 240, terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "32m" not in write_terminal(wide(), sys.stdout)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[" not in write_terminal(wide(), sys.stdout)


def test_words_of_users_are_neither_markup_nor_terminal_codes(show: Any) -> None:
    grid = Grid(columns=[Column(name="[red]x")], rows=[["[bold]y[/] \x1b[31m\u202e :smile:"]], notes=["[link=a]z"])
    text = show(grid, 80, terminal=True)
    assert "[red]x" in text
    assert "[bold]y[/] [31m :smile:" in text
    assert "[link=a]z" in text
    assert "\u202e" not in text
    assert "\x1b[31m" not in text


def test_an_empty_table_is_written(show: Any) -> None:
    assert show(Grid(columns=[Column(name="x")], rows=[]), 80)
    assert show(Grid(columns=[], rows=[]), 80) is not None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = [Made(strategy=COT, right=spread_right(100)), Made(strategy=SCALE_ROW, right=spread_right(160), tokens=500)]
    return write_run(tmp_path_factory.mktemp("made") / "run", cells)


def test_a_pipe_has_markdown_and_format_terminal_has_a_table_without_colours(run: Path) -> None:
    piped = scale("report", str(run), env={"COLUMNS": "90"})
    assert piped.stdout.startswith("| row |")
    asked = scale("report", str(run), "--format", "terminal", env={"COLUMNS": "90"})
    assert "│" not in asked.stdout
    assert "\x1b" not in asked.stdout
    assert max(map(len, asked.stdout.splitlines())) <= 90


@pytest.mark.parametrize(
    ("name", "start"),
    [("t.md", "| row"), ("t.tex", "\\begin{table"), ("t.csv", "run,"), ("t.json", "["), ("t.html", "<!doctype"),
     ("t", "| row")],
)  # fmt: skip
def test_a_file_has_the_format_of_its_ending(run: Path, tmp_path: Path, name: str, start: str) -> None:
    assert scale("report", str(run), "--out", str(tmp_path / name)).returncode == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_a_format_that_is_given_is_that_of_the_file_and_a_latex_table_has_its_name_as_label(
    run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "main_results.txt"
    assert scale("report", str(run), "--format", "latex", "--out", str(file)).returncode == 0
    assert r"\label{tab:main-results}" in file.read_text()


def test_a_file_gets_neither_the_colours_of_the_terminal_nor_its_width(
    run: Path, tmp_path: Path, show: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(wide(), 60, terminal=True)  # what follows is on a terminal of 60 characters
    for name, width in (("narrow.txt", 60), ("wide.txt", 300)):
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(["report", str(run), "--out", str(tmp_path / name)]) == 0
    text = (tmp_path / "narrow.txt").read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert 60 < max(map(len, text.splitlines())) <= FILE_WIDTH
    assert text == (tmp_path / "wide.txt").read_text(encoding="utf-8")
    assert "A line of 120 characters is too narrow for" in write_terminal(wide(datasets=["a", "b", "c"]), None)


def test_a_table_on_standard_error_has_colours_only_if_that_is_a_terminal(
    run: Path, tmp_path: Path, show: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        shutil.copytree(run, tmp_path / name)
    for out, terminal in ((True, False), (False, True)):
        show(wide(), 100, terminal=out)
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal, raising=False)
        assert main(["compare", str(tmp_path)]) == 2
        assert ("\x1b" in capsys.readouterr().err) == terminal


def test_compact_is_refused_where_there_is_nothing_to_shorten(run: Path) -> None:
    for words in (["--format", "json"], ["--layout", "cells"], ["--losses"]):
        done = scale("report", str(run), "--compact", *words)
        assert done.returncode == 2
        assert "compact" in done.stderr


@pytest.mark.slow
def test_a_real_terminal_gets_a_table_of_its_width(run: Path) -> None:
    pty = pytest.importorskip("pty")
    mother, child = pty.openpty()
    env = {**os.environ, "COLUMNS": "70", "TERM": "xterm"}
    env.pop("NO_COLOR", None)
    done = subprocess.Popen([*SCALE, "report", str(run)], stdout=child, stderr=subprocess.DEVNULL, env=env)
    os.close(child)
    read = b""
    with contextlib.suppress(OSError):
        while piece := os.read(mother, 4096):
            read += piece
    assert done.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", read.decode())
    assert text != read.decode()
    assert max(len(line) for line in text.splitlines()) <= 70
    assert "scale" in text
