"""Plots for print: their size, with and without title and caption, and axes whose numbers can be read."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.report.made_runs import COT, Made, spread_right, write_run

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.plots import KINDS, Frame, draw
from scale_reasoning.report.plots.page import Page, house_style
from scale_reasoning.report.plots.panel import Panel, find_log_ticks
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.outcome import Cell

pytest.importorskip("matplotlib")
BARE = {"title": False, "caption": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    taus = [{"name": "scale", "tau": tau, "system2_max_tokens": 4096} for tau in (0.2, 0.5)]
    made = [
        Made(strategy=strategy, right=spread_right(20 + 5 * place, samples=2), tokens=900 * 4**place, spread=50)
        for place, strategy in enumerate([COT, *taus, {"name": "scale", "tau": 0.2, "system2_max_tokens": 8192}])
    ]
    return write_run(tmp_path_factory.mktemp("made") / "run", made, samples=2)


@pytest.fixture(scope="module")
def cells(run: Path) -> list[Cell]:
    return cells_of(run)


def pixels(file: Path) -> tuple[int, int]:
    return struct.unpack(">II", file.read_bytes()[16:24])


def texts(page: Page) -> list[str]:
    return [each.get_text() for each in page._figure.texts]


@pytest.mark.parametrize("size", [(3.4, 2.4), (7.0, 3.0), (3.3, 6.0)])
@pytest.mark.parametrize("bare", [{}, BARE])
def test_a_plot_has_the_size_that_was_asked_for(
    cells: Sequence[Cell], tmp_path: Path, size: tuple[float, float], bare: dict[str, bool]
) -> None:
    file = tmp_path / "out.png"
    draw("frontier", cells, file, frame=Frame(width=size[0], height=size[1], **bare))
    assert pixels(file) == pytest.approx((300 * size[0], 300 * size[1]), abs=1)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"difficulty"}))
def test_every_kind_takes_a_size(cells: Sequence[Cell], tmp_path: Path, kind: str) -> None:
    draw(kind, cells, tmp_path / "out.png", frame=Frame(width=5, height=6))
    assert pixels(tmp_path / "out.png") == pytest.approx((1500, 1800), abs=1)


def test_a_pdf_has_its_size_and_letters_that_publishers_take(cells: Sequence[Cell], tmp_path: Path) -> None:
    file = tmp_path / "out.pdf"
    draw("frontier", cells, file, frame=Frame(width=3.4, height=2.4, **BARE))
    content = file.read_bytes()
    box = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+) ([0-9.]+) ?\]", content)
    assert box is not None
    assert (float(box[1]), float(box[2])) == pytest.approx((3.4 * 72, 2.4 * 72), abs=0.1)
    assert b"/Type3" not in content


def test_a_height_without_room_is_refused_with_the_least_that_has(cells: Sequence[Cell], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at least [0-9.]+; a title, a caption and a legend take room") as caught:
        draw("tau", cells, tmp_path / "out.png", frame=Frame(height=1.5))
    least = float(re.findall(r"at least ([0-9.]+)", str(caught.value))[0]) + 0.1
    draw("tau", cells, tmp_path / "out.png", frame=Frame(height=least))


def test_title_and_caption_are_left_out_and_the_caption_is_returned(cells: Sequence[Cell], tmp_path: Path) -> None:
    with house_style():
        for bare, expected in (({}, ["A title", "A caption"]), (BARE, [])):
            page = Page(Frame(**bare))
            (panel,) = page.add_panels([2])
            panel.set_x("x", [1, 2])
            page.title, page.caption = "A title", "A caption"
            page.write(tmp_path / "out.png")
            assert texts(page) == expected
    drawn = draw("frontier", cells, tmp_path / "frontier.png", frame=Frame(**BARE))
    assert drawn.caption.startswith("Qwen/Qwen3-32B; n = 30 problems × 2 samples")


def axis_of(values: Sequence[float], **options: Any) -> tuple[list[str], str]:
    """The numbers of a logarithmic axis over the values, and its name."""
    with house_style():
        page = Page(Frame(**options))
        (panel,) = page.add_panels([2])
        axes = panel._axes
        axes.plot(values, range(len(values)))
        panel.set_x_amounts(values)
        panel.set_x_label("tokens")
        page._figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))
    return shown, axes.get_xlabel()


@pytest.mark.parametrize("values", [(1000, 7000), (2600, 28000), (300, 90000), (12, 5e6), (0.0004, 0.004), (5, 4e9)])
def test_a_log_axis_has_at_least_three_numbers_and_says_what_it_is(values: Sequence[float]) -> None:
    shown, name = axis_of(values)
    assert 3 <= len(shown) <= 12
    assert name == "tokens, log scale"


def test_an_axis_of_near_values_is_linear() -> None:
    shown, name = axis_of([1000, 4000])
    assert len(shown) >= 3
    assert name == "tokens"


def test_ticks_of_a_log_axis_are_the_fewest_that_are_enough() -> None:
    assert find_log_ticks(900, 2e6) == [1e3, 1e4, 1e5, 1e6]
    assert find_log_ticks(2500, 31000) == [3e3, 1e4, 3e4]
    assert find_log_ticks(900, 7500) == [1000, 2000, 5000]


def test_limits_whose_numbers_would_touch_have_ticks_without_them() -> None:
    limits = (4096, 6144, 8192, 12288, 16384, 32768)
    for width, expected in ((7.0, limits), (2.4, (4096, 8192, 16384, 32768))):
        with house_style():
            (panel,) = Page(Frame(width=width)).add_panels([2])
            assert isinstance(panel, Panel)
            panel._axes.plot(limits, range(6))
            panel.set_x("limit", limits, log2=True)
        assert tuple(panel._axes.get_xticks()) == expected
        assert panel._axes.get_xlabel() == "limit, log scale"


def test_the_command_draws_for_a_paper_and_prints_the_caption(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.png"
    words = ["--size", "3.4x2.4", "--no-title", "--no-caption", "--out", str(file)]
    done = scale("plot", "frontier", str(run), *words)
    assert done.returncode == 0, done.stderr
    assert "caption: Qwen/Qwen3-32B; n = 30 problems" in done.stderr
    assert pixels(file) == pytest.approx((1020, 720), abs=1)


@pytest.mark.parametrize("size", ["3.4", "3.4x", "0x3", "3x99", "axb", "1e3x2", "-3x2"])
def test_a_size_that_is_none_is_refused(run: Path, size: str) -> None:
    done = scale("plot", "frontier", str(run), f"--size={size}")
    assert done.returncode == 2
    assert "must be WxH in inches" in done.stderr
