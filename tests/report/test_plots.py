from __future__ import annotations

import argparse
import html
import random
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.cells import cell, outcome, pending
from tests.runs.simulated import Sim, fresh, manifest
from tests.speed import mark_slow

from scale_reasoning.cli import plot
from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.report.metrics import summarise
from scale_reasoning.report.plots import FORMATS, KINDS, draw
from scale_reasoning.report.plots.difficulty import estimate_shares
from scale_reasoning.report.plots.frontier import draw_frontier, find_pareto
from scale_reasoning.report.plots.page import Page, house_style
from scale_reasoning.report.plots.panel import Panel
from scale_reasoning.report.plots.points import find_paper_points, measure
from scale_reasoning.report.plots.series import (
    find_main_option,
    find_options,
    group_series,
    number_label,
    write_caption,
)
from scale_reasoning.report.plots.stages import draw_stages
from scale_reasoning.report.plots.style import compact, shorten
from scale_reasoning.report.plots.sweeps import draw_budget
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.types import Usage

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
ENDINGS = ["svg", *mark_slow(*(each for each in FORMATS if each != "svg"))]
HOSTILE = {
    "$\\frac{1$ x_1": "$\\frac{1$ x_1",
    "_hidden": "_hidden",
    "a--b<&>]]>": "a--b<&>]]>",
    "line\nbreak\x00\x1b[31m": "line break [",
    "\u202edrow": "drow",
    "模型 🤖": "模型 🤖",
    "x" * 400: "xxx…xxx",
    "$": "$, $, $",
}
"""Names of models, datasets and strategies, with what of each is to be read in a plot."""


def made(strategy: dict[str, Any], *, chance: float = 0.5, tokens: int = 1000, **more: Any) -> Cell:
    draws = random.Random(str(strategy))
    usage = Usage(prompt_tokens=50, completion_tokens=tokens, reasoning_tokens=0, cached_tokens=10)
    outcomes = [
        outcome(
            f"p{problem}",
            sample,
            correct=draws.random() < chance,
            difficulties=(0.2, draws.random(), None),
            usage=usage,
            by_stage={"decompose": usage, "solve": usage},
        )
        for problem in range(6)
        for sample in range(2)
    ]
    return cell(outcomes, strategy=strategy, **more)


def sweep(**more: Any) -> list[Cell]:
    """A cell a tau and a cell a limit, on two datasets."""
    taus = [{"name": "scale", "tau": tau / 10, "system2_max_tokens": 4096} for tau in (2, 5, 8)]
    limits = [{"name": "scale", "tau": 0.2, "system2_max_tokens": limit} for limit in (8192, 16384)]
    return [made(each, dataset=dataset, **more) for dataset in ("aime24", "aime25") for each in (*taus, *limits)]


@pytest.fixture
def pictures() -> None:
    pytest.importorskip("matplotlib")


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_kind_is_written_in_every_format(kind: str, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"out.{ending}"
    with_paper = ending == "svg"
    drew = draw(kind, sweep(model="Qwen3-32B"), file, with_paper=with_paper)
    assert drew.with_paper is (with_paper and kind in {"budget", "tau", "frontier"})
    drawn = file.read_bytes()
    assert drawn.startswith(MAGIC[ending])
    assert len(drawn) > 4000
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_cells_give_the_same_bytes(ending: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{copy}.{ending}" for copy in "ab"]
    for file in files:
        draw("difficulty", sweep(), file)  # hatches and clips have ids in an SVG
    one, two = (file.read_bytes() for file in files)
    assert one == two


def texts(file: Path) -> str:
    """All that an SVG says: its letters are drawn as paths, each text in a comment beside them."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    comments = [each.text or "" for each in ET.parse(file, parser).iter() if each.tag is ET.Comment]
    return html.unescape("\n".join(comments)).replace("- -", "--")


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("kind", ["tau", "stages", *mark_slow("budget", "frontier", "difficulty")])
def test_names_are_drawn_as_they_are_and_break_nothing(kind: str, tmp_path: Path) -> None:
    names = list(HOSTILE)[: {"budget": 1, "tau": 8, "stages": 8}.get(kind, 4)]
    cells = [*sweep(), *sweep(model=names[0], run="runs/_hidden")] if kind == "budget" else []
    cells += [made({"name": name, "tau": tau}, dataset=name, model=name) for name in names for tau in (0.1, 0.3)]
    file = tmp_path / "out.svg"
    draw(kind, cells, file)
    drawn = texts(file)
    assert [name for name in names if HOSTILE[name] not in drawn] == []
    assert all(len(line) < 120 and line.isprintable() for line in drawn.split("\n"))


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_hardly_begun_is_drawn_or_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    empty = [cell([], strategy={"name": "scale", "tau": tau}, problems=3, samples=2) for tau in (0.1, 0.2)]
    waiting = [cell([pending()], strategy={"name": "scale", "tau": tau}) for tau in (0.1, 0.2)]
    for cells in (empty, waiting):
        with pytest.raises(ConfigError, match="plot"):
            draw(kind, cells, tmp_path / "out.png")


@pytest.mark.usefixtures("pictures")
def test_a_plot_of_a_sweep_refuses_runs_without_it_and_says_how_to_make_it(tmp_path: Path) -> None:
    taus = [made({"name": "scale", "tau": tau}) for tau in (0.2, 0.4)]
    with pytest.raises(ConfigError, match=r"system2_max_tokens.*differ in tau.*scale sweep system2-max-tokens"):
        draw("budget", taus, tmp_path / "out.png")
    with pytest.raises(ConfigError, match=r"tau.*do not differ.*scale sweep tau"):
        draw("tau", taus[:1], tmp_path / "out.png")
    with pytest.raises(ConfigError, match="difficulty"):
        draw("difficulty", [cell([outcome()])], tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("pictures")
def test_a_sweep_of_thinking_budgets_is_called_that_and_says_what_enforced_them() -> None:
    with house_style():
        for option, ways, title in (
            ("thinking_budget", ("server",), "Accuracy by thinking budget"),
            ("system2_max_tokens", (), "Accuracy by System 2 token limit"),
        ):
            cells = [
                cell([outcome("p", 0, budget_by=ways)], strategy={"name": "scale", "tau": 0.2, option: tokens})
                for tokens in (1024, 2048)
            ]
            page = Page()
            draw_budget(page, [measure(each, "planned") for each in cells])
            assert page.title == title
            assert ("thinking budgets enforced by: server" in page.caption) == bool(ways)


@pytest.mark.usefixtures("pictures")
def test_what_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.pdf"):
        draw("tau", sweep(), tmp_path / "out.jpg")
    with pytest.raises(ConfigError, match="there are: budget"):
        draw("pie", sweep(), tmp_path / "out.png")
    with pytest.raises(StoreError, match="out"):
        draw("tau", sweep(), tmp_path / "none" / "out.png")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'scale-reasoning[plots]'")):
        draw("tau", sweep(), tmp_path / "out.png")


@pytest.mark.parametrize("denominator", ["planned", "completed"])
def test_drawn_numbers_are_the_reports_and_lie_within_their_intervals(denominator: Any) -> None:
    some = [
        outcome(f"p{n % 5}", n // 5, failure=None if n % 3 else "parse", iterations=1 + n % 4, hard=n % 2)
        for n in range(17)
    ]
    point, summary = measure(cell(some), denominator), summarise(cell(some), denominator=denominator)
    for drawn, reported in ((point.tok, summary.tok), (point.hard, 100 * (summary.hard or 0))):
        assert drawn is not None
        assert drawn.value == pytest.approx(reported)
        assert (drawn.low or 0) <= drawn.value <= (drawn.high or 0)


def test_series_are_named_by_what_sets_them_apart() -> None:
    points = [measure(each, "planned") for each in sweep()]
    assert find_options(points) == ["tau", "system2_max_tokens"]
    assert find_main_option(points) == "tau"
    labels = [series.look.label for series in group_series(points, ["tau"])]
    assert labels[:2] == ["aime24, system2_max_tokens 4096", "aime24, system2_max_tokens 8192"]
    again = [measure(each, "planned") for each in sweep(run="runs/b")]
    assert group_series([*points, *again], ["tau"])[0].look.label == "aime24, system2_max_tokens 4096, a"


def test_the_papers_points_share_the_look_of_ours_and_say_whose_they_are() -> None:
    cells = [made({"name": "scale", "tau": tau}, model="Qwen/Qwen3-32B") for tau in (0.2, 0.4)]
    points = [measure(each, "planned") for each in cells]
    mine, paper = group_series([*points, *find_paper_points("tau", points)], ["tau"])
    assert (mine.look.label, paper.look.label) == ("aime24", "aime24, paper")
    assert (mine.look.place, paper.look.paper) == (paper.look.place, True)
    assert len(paper.points) == 8


def holed(missing: int, of: int, **more: Any) -> Cell:
    gone = Usage()
    outcomes = [
        outcome(f"p{n}", usage=gone, by_stage={"solve": gone}) if n < missing else outcome(f"p{n}") for n in range(of)
    ]
    return cell(outcomes, **more)


class Drawn(Page):
    """A page that keeps what was written on it."""

    def __init__(self) -> None:
        super().__init__()
        self.bars: list[tuple[str, float]] = []

    def add_panels(self, heights: Sequence[float], *, share_x: bool = False) -> list[Panel]:
        panels = super().add_panels(heights, share_x=share_x)
        draw = panels[0].draw_stacks

        def draw_stacks(labels: Sequence[str], parts: Any, totals: Any) -> None:
            self.bars += [(label, total.value) for label, total in zip(labels, totals, strict=True)]
            draw(labels, parts, totals)

        panels[0].draw_stacks = draw_stacks  # type: ignore[method-assign]
        return panels


@pytest.mark.usefixtures("pictures")
def test_stages_are_drawn_over_the_attempts_that_were_counted_and_it_is_told() -> None:
    page = Drawn()
    draw_stages(page, [measure(holed(1, 24), "planned", row=1), measure(made({"name": "cot"}), "planned", row=2)])
    assert page.bars == [("1: scale (23 of 24 attempts)", 100.0), ("2: cot", 1000.0)]
    assert "tokens unknown for 1 of 24 attempts (the server reported none): left out" in page.caption


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("kind", ["stages", "frontier"])
def test_a_plot_of_tokens_that_nobody_counted_says_how_many_were_not(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokens unknown for 24 of 24 attempts"):
        draw(kind, [holed(24, 24)], tmp_path / "out.png")
    with pytest.raises(ConfigError, match=r"no attempt is (completed|scored) yet"):
        draw(kind, [cell([pending()])], tmp_path / "out.png")


@pytest.mark.usefixtures("pictures")
def test_a_cell_with_one_uncounted_attempt_is_not_on_the_frontier_and_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokens unknown for 1 of 24 attempts"):
        draw("frontier", [holed(1, 24)], tmp_path / "out.png")
    page = Page()
    draw_frontier(page, [measure(holed(1, 24), "planned"), measure(made({"name": "cot"}), "planned")])
    assert "1 cell not shown: tokens unknown for 1 of 24 attempts" in page.caption


def test_labels_carry_the_rows_of_a_run_and_not_those_of_several() -> None:
    one = [measure(made({"name": "scale", "tau": tau}), "planned", row=row) for row, tau in ((3, 0.5), (1, 0.2))]
    assert number_label("scale", one[:1], one) == "3: scale"
    assert number_label("scale", one, one) == "1, 3: scale"
    other = measure(made({"name": "cot"}, run="runs/b"), "planned", row=1)
    assert number_label("scale", one[:1], [*one, other]) == "scale"
    assert number_label("scale", [measure(made({"name": "cot"}), "planned")], one) == "scale"


def test_beside_the_papers_numbers_ours_are_the_tokens_of_the_sub_problems() -> None:
    point = measure(made({"name": "scale", "tau": 0.2}, tokens=1000), "planned")
    parts = {"decompose": Usage(completion_tokens=300), "solve": Usage(completion_tokens=700)}
    split = cell([outcome(f"p{n}", usage=Usage(completion_tokens=1000), by_stage=parts) for n in range(4)])
    assert point.tok is not None
    ours = replace(measure(split, "planned"), tokens="solve")
    assert ours.tok is not None
    assert ours.tok.value == 700
    assert "only of responses to sub-problems" in write_caption([ours])


def test_the_caption_tells_n_and_what_is_owed() -> None:
    whole = write_caption([measure(made({"name": "cot"}), "planned")])
    assert whole == "cot, m; n = 6 problems × 2 samples; no attempts pending"
    part = write_caption([measure(cell([outcome(), pending("p1")]), "completed")])
    assert "INCOMPLETE: 1 of 2 attempts pending" in part
    assert "failed attempts left out" in part


def test_a_tenth_includes_its_upper_end_as_system_1_does_tau() -> None:
    found = estimate_shares([outcome(difficulties=(0.0, 0.1, 0.2, 0.3, 0.30001, 1.0))])
    assert [round(each.value * 6 / 100) for each in found] == [2, 1, 1, 1, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("places", "best"),
    [
        ([], []),
        ([(2, 50), (1, 40), (3, 50), (4, 60), (1, 30)], [(1, 40), (2, 50), (4, 60)]),
    ],
)
def test_the_frontier_is_what_no_other_beats(places: Sequence[Any], best: Sequence[Any]) -> None:
    assert find_pareto(places) == best


def test_words_and_counts_are_short() -> None:
    assert [compact(number) for number in (0, 12.3, 999.7, 25_581, 2e6)] == ["0", "12.3", "1k", "25.6k", "2M"]
    assert shorten("_a\n\x00b") == " _a b"
    assert len(shorten("x" * 400)) < 60


@pytest.mark.usefixtures("pictures")
def test_the_command_draws_a_run_and_prints_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    fresh(folder, manifest([{"name": "scale", "tau": tau} for tau in (0.2, 0.8)]), 6, Sim())
    for _ in "ab":
        assert scale("tau", str(folder)) == 0
        assert capsys.readouterr().out == f"{folder / 'tau.png'}\n"
    named = tmp_path / "out.svg"
    assert scale("frontier", str(folder), "--out", str(named), "--with-paper") == 0
    assert "the paper has no such numbers" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="File exists"):
        scale("frontier", str(folder), "--out", str(named))


def test_the_command_knows_every_kind() -> None:
    assert list(plot.KINDS) == list(KINDS)


def scale(*words: str) -> int:
    parser = argparse.ArgumentParser()
    plot.add(parser.add_subparsers())
    args = parser.parse_args(["plot", *words])
    return args.run(args)
