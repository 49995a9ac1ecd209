"""What attempts cost: in money by model and mode, in operations without prices, unknown with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.report.cells import cell, outcome

from scale_reasoning.cli import main
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.prices import ModelPrices, Price, Prices
from scale_reasoning.report.compare import compare
from scale_reasoning.report.compare_table import build_grid
from scale_reasoning.report.cost import Costing, choose_costing, count_parameters
from scale_reasoning.report.metrics import summarise
from scale_reasoning.report.tables import render
from scale_reasoning.runs.manifest import models_of
from scale_reasoning.runs.outcome import Cell, Outcome
from scale_reasoning.types import NO_USAGE, Mode, Usage

PAIR = models_of(ModelSpec(model="Big-32B", system1_model="Small-0.5B"))


def usage(new: int, prompt: int = 0) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=new, reasoning_tokens=0, cached_tokens=0)


def attempt(problem: str, small: int, big: int, **more: Any) -> Outcome:
    parts = {"system1": usage(small, 10), "system2": usage(big, 10)}
    return outcome(problem, usage=sum(parts.values(), NO_USAGE), by_mode=parts, **more)


def pair(rows: list[tuple[int, int]], **more: Any) -> Cell:
    outcomes = [attempt(f"p{n}", small, big) for n, (small, big) in enumerate(rows)]
    return cell(outcomes, **{"models": PAIR, "model": "Big-32B + Small-0.5B", **more})


def prices(*, small: float = 1, big: float = 10, prompt: float = 0) -> Prices:
    rows = (("small", small), ("big", big))
    models = (ModelPrices(match=(name,), both=Price(prompt=prompt, completion=price)) for name, price in rows)
    return Prices(where="prices", currency="USD", models=tuple(models))


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7e9),
        ("qwen2.5-coder-1.5b", 1.5e9),
        ("Qwen3-30B-A3B", 3e9),
        ("org/Qwen3-235B-A22B-Instruct-2507", 22e9),
        ("Qwen2.5-14B-Instruct-1M", 14e9),
        ("models/SmolLM2-135M-Instruct.Q4_1.gguf", 135e6),
        ("smollm2", 135e6),
        ("student", 135e6),
        ("qwen3-4b", 4e9),
        ("llama-3.2-1b-4bit", 1e9),
        ("Mixtral-8x7B", None),
        ("merge-7b-13b", None),
        ("gpt-unknown", None),
        ("0b", None),
        ("", None),
    ],
)
def test_parameters_are_read_off_a_name_or_unknown(model: str, parameters: float | None) -> None:
    assert count_parameters(model) == (parameters and pytest.approx(parameters))


def test_each_mode_costs_what_its_model_costs() -> None:
    made = pair([(100, 1000), (300, 0)])
    found = summarise(made, costing=Costing(prices=prices()))
    assert found.cost == pytest.approx((100 * 1 + 1000 * 10 + 300 * 1) / 1e6 / 2)
    assert found.cost_unit == "USD"
    assert found.prices is None
    assert {mode: price and price.completion for mode, price in found.prices_by_mode.items()} == {
        "system1": 1,
        "system2": 10,
    }


def test_without_prices_two_models_are_weighed_by_operations_and_one_model_by_tokens() -> None:
    two, one = pair([(100, 1000)]), cell([attempt("p0", 100, 1000)], model="Big-32B")
    assert choose_costing([one], None) is None
    costing = choose_costing([one, two], None)
    assert costing is not None
    assert summarise(two, costing=costing).cost == pytest.approx(2 * (100 * 0.5e9 + 1000 * 32e9))
    assert summarise(one, costing=costing).cost == pytest.approx(2 * 1100 * 32e9)
    assert "FLOP per attempt" in render([summarise(two, costing=costing)], "md", "cells")


def test_an_unknown_cost_has_its_reason_said_once() -> None:
    small_only = Prices(where="prices", currency="USD", models=prices().models[:1])
    made = [summarise(pair([(100, 1000)] * 3, run=f"runs/{name}"), costing=Costing(prices=small_only)) for name in "ab"]
    text = render(made, "md", "table1")
    assert text.count("no price for Big-32B in System 2") == 1
    assert made[0].cost is None
    unnamed = pair([(1, 1)], models={Mode.SYSTEM2: "Big-32B", Mode.SYSTEM1: "unnamed"})
    assert "the name unnamed does not say" in summarise(unnamed, costing=Costing()).cost_note
    uncounted = cell([outcome(usage=Usage())], models=PAIR)
    assert "did not report the tokens of every call" in summarise(uncounted, costing=Costing()).cost_note


def test_a_mode_without_calls_needs_no_price() -> None:
    small_only = Prices(where="prices", currency="USD", models=prices().models[:1])
    alone = cell([outcome(by_mode={"system1": usage(100), "system2": NO_USAGE})], models=PAIR)
    assert summarise(alone, costing=Costing(prices=small_only)).cost == pytest.approx(100 / 1e6)


def test_a_comparison_has_the_paired_difference_and_ratio_of_costs() -> None:
    big, small = pair([(0, 100), (0, 300), (0, 200)]), pair([(100, 10), (300, 30), (200, 20)])
    found = compare(big, small, Costing(prices=prices()))
    assert found.cost_a == pytest.approx(2000 / 1e6)
    assert found.cost_b == pytest.approx(400 / 1e6)
    assert found.cost_ratio == pytest.approx(0.2)
    assert found.cost_difference == pytest.approx(-1600 / 1e6)
    assert found.cost_difference is not None
    assert found.cost_difference_low is not None
    assert found.cost_difference_high is not None
    assert found.cost_difference_low < found.cost_difference < found.cost_difference_high
    assert found.token_ratio == pytest.approx(1.1)
    names = [column.name for column in build_grid([found]).columns]
    assert "cost B / A [95 %]" in names
    assert compare(big, small).cost_unit is None
    assert "cost B / A [95 %]" not in [column.name for column in build_grid([compare(big, small)]).columns]


def test_a_comparison_with_an_unknown_cost_says_why() -> None:
    costing = Costing(prices=Prices(where="prices", currency="USD", models=prices().models[:1]))
    found = compare(pair([(5, 5)]), pair([(5, 0)]), costing)
    assert found.cost_ratio is None
    assert "no price for Big-32B" in found.cost_note
    (row,) = build_grid([found]).rows
    assert list(row).count("unknown") == 2


FILE = 'currency = "EUR"\n[sim]\nmatch = ["sim"]\nprompt = 1\ncompletion = 4\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.runs.simulated import Sim, fresh, manifest

    folder = tmp_path_factory.mktemp("cost") / "run"
    fresh(folder, manifest([{"name": "cot"}, {"name": "scale", "candidates": 2}]), 4, Sim())
    return folder


def test_report_compare_and_plot_take_prices_from_a_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(FILE)
    assert main(["report", str(run), "--prices", str(file), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["cost_unit"] for row in rows] == ["EUR", "EUR"]
    assert all(row["cost"] > 0 for row in rows)
    assert main(["report", str(run), "--prices", str(file)]) == 0
    assert "EUR per attempt" in capsys.readouterr().out
    assert main(["compare", f"{run}:1", f"{run}:2", "--prices", str(file), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["cost_ratio"] == pytest.approx(rows[1]["cost"] / rows[0]["cost"])
    picture = tmp_path / "frontier.svg"
    assert main(["plot", "frontier", str(run), "--x", "cost", "--prices", str(file), "--out", str(picture)]) == 0
    assert picture.stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("tau", "--x", "cost"), "--x cost: belongs to frontier"),
        (("frontier", "--prices", "1,1,1"), "--prices 1,1,1: belongs to --x cost"),
        (("frontier", "--x", "cost", "--with-paper"), "the paper has no costs"),
        (("frontier", "--x", "cost"), "the name sim does not say how many parameters"),
    ],
)
def test_costs_that_cannot_be_drawn_are_refused(
    run: Path, words: tuple[str, ...], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, *flags = words
    assert main(["plot", kind, str(run), *flags, "--out", str(tmp_path / "p.svg")]) == 2
    assert named in capsys.readouterr().err
