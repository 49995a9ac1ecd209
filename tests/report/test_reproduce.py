"""A table of the paper against cells made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.report.cells import cell, failed, outcome, pending

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.chain_votes import count_votes, mark_counted
from scale_reasoning.report.metrics import summarise
from scale_reasoning.report.paper_cells import Ours, find_table
from scale_reasoning.report.reproduce import Line, Reproduction, reproduce
from scale_reasoning.report.reproduce_table import render_reproduction
from scale_reasoning.report.training import Trained, mark_training
from scale_reasoning.strategies import describe, make_described
from scale_reasoning.types import Usage

QWEN3 = "Qwen/Qwen3-32B"
COT: dict[str, Any] = {"name": "cot"}
SIZES = {"aime24": 30, "aime25": 30, "amc23": 40}


def scale(tau: float = 0.2, limit: int | None = None) -> dict[str, Any]:
    return {"name": "scale", "tau": tau, "system2_max_tokens": limit}


def ours(
    strategy: dict[str, Any] = COT,
    right: int = 176,
    *,
    dataset: str = "aime24",
    model: str = QWEN3,
    tokens: int | None = 7400,
    steps: int = 1,
    hard: int = 1,
    trained: Trained | None = None,
    ends: int = 0,
    end: Any = None,
    run: str = "runs/a",
    samples: int = 8,
    problems: int | None = None,
) -> Ours:
    """A cell with so many right attempts, whole problems first; the last `ends` attempts are what `end` makes."""
    usage = Usage(prompt_tokens=1, completion_tokens=tokens, reasoning_tokens=0, cached_tokens=0)
    count = problems or SIZES.get(dataset, 30)
    outcomes: list[Any] = []
    for place in range(count * samples):
        name, sample = f"p{place // samples:02}", place % samples
        if place >= count * samples - ends:
            outcomes.append(end(name, sample))
            continue
        one = outcome(
            name, sample, correct=place < right, usage=usage, by_stage={"solve": usage}, iterations=steps, hard=hard,
            answers=("1" if place < right else "2",),
        )  # fmt: skip
        outcomes.append(one)
    whole = describe(make_described(strategy))
    made = cell(outcomes, strategy=whole, dataset=dataset, model=model, run=run, samples=samples, problems=count)
    (summary,) = mark_training([summarise(made, row=1)], {} if trained is None else {(run, model): trained})
    return Ours(summary=summary, cell=made, name="1")


def votes(of: Ours) -> Ours:
    made = count_votes(of.cell)
    assert made is not None
    return Ours(summary=mark_counted(summarise(made)), cell=made, name="1")


def lines(found: Reproduction, measure: str = "Acc") -> dict[tuple[str, str], Line]:
    return {(line.dataset, line.cell): line for line in found.lines if line.measure == measure}


EDGES = {
    161: "below", 162: "cannot tell", 165: "cannot tell", 166: "compatible", 176: "compatible", 185: "compatible",
    186: "cannot tell", 189: "cannot tell", 190: "above",
}  # fmt: skip
"""Right attempts of 240 that are those of whole problems, against the paper's 73.33 %: every verdict at its edges."""


@pytest.mark.parametrize(("right", "verdict"), EDGES.items())
def test_accuracy_gets_its_verdict_by_the_gap_and_its_interval(right: int, verdict: str):
    line = lines(reproduce([ours(right=right)], "table1"))["aime24", "cot"]
    assert (line.paper, line.paper_attempts, line.ours) == (0.7333, 240, pytest.approx(right / 240))
    assert line.gap == pytest.approx(right / 240 - 0.7333)
    assert line.verdict == verdict
    assert line.why == ("the interval is wider than the margin" if verdict == "cannot tell" else "")


def test_the_margin_decides_between_compatible_and_cannot_tell():
    assert lines(reproduce([ours()], "table1", margin=0.05))["aime24", "cot"].verdict == "cannot tell"
    assert lines(reproduce([ours()], "table1", margin=0.07))["aime24", "cot"].verdict == "compatible"


def test_tokens_are_those_of_sub_problems_and_get_a_factor():
    found = reproduce([ours(scale(), tokens=25_581, steps=7)], "table1")
    (tok,), (tpi,) = lines(found, "Tok").values(), lines(found, "Tpi").values()
    assert (tok.paper, tok.ours, tok.gap, tok.verdict) == (25581, 25581, 1, "compatible")
    assert (tpi.paper, tpi.ours, tpi.verdict) == (3550, pytest.approx(25581 / 7), "above")
    unknown = reproduce([ours(tokens=None)], "table1")
    (line,) = lines(unknown, "Tok").values()
    assert (line.ours, line.verdict) == (None, "cannot tell")
    assert "did not report" in line.why


def test_hard_is_a_share_in_points():
    found = reproduce([ours(scale(0.8, 16384), right=111, tokens=11_400, steps=7, hard=1)], "table2")
    (line,) = lines(found, "Hard").values()
    assert (line.paper, line.ours, line.gap) == (0.1408, pytest.approx(1 / 7), pytest.approx(1 / 7 - 0.1408))
    assert line.verdict == "compatible"


def test_failed_attempts_are_wrong_or_left_out():
    mine = ours(right=176, ends=40, end=failed)
    planned, completed = (reproduce([mine], "table1", denominator=each) for each in ("planned", "completed"))  # type: ignore[arg-type]
    first, second = (lines(each)["aime24", "cot"] for each in (planned, completed))
    assert (first.ours, second.ours) == (pytest.approx(176 / 240), pytest.approx(176 / 200))
    assert (first.verdict, second.verdict) == ("compatible", "above")
    assert (first.planned, first.completed, first.failed, first.pending) == (240, 240, 40, 0)


def test_an_unfinished_cell_has_no_verdict_and_says_what_is_missing():
    line = lines(reproduce([ours(ends=9, end=pending)], "table1"))["aime24", "cot"]
    assert (line.verdict, line.gap, line.why) == ("cannot tell", None, "9 of 240 attempts are pending")
    assert (line.planned, line.completed, line.failed, line.pending) == (240, 231, 0, 9)


def test_other_problems_other_limits_and_other_votes_have_no_verdict():
    few = lines(reproduce([ours(right=40, problems=10)], "table1"))["aime24", "cot"]
    assert (few.verdict, few.why) == ("cannot tell", "10 problems, the paper's 30")
    limit = lines(reproduce([ours(scale(0.3, 8192))], "table2"))["aime24", "scale, tau 0.3"]
    assert "8192" in limit.why
    vote = lines(reproduce([ours({"name": "vote", "samples": 4})], "table1"))["aime24", "vote"]
    assert vote.why == "4 chains, the paper's 8"


def test_majority_voting_is_counted_over_the_chains_of_thought_unless_it_was_paid_for():
    base = ours(right=184)
    counted = lines(reproduce([base, votes(base)], "table1"))["aime24", "vote (chains of cot)"]
    assert (counted.ours, counted.planned, counted.paper) == (pytest.approx(23 / 30), 30, 0.7667)
    assert (counted.verdict, counted.why) == ("cannot tell", "the interval is wider than the margin")
    paid = ours({"name": "vote"}, right=208)
    both = lines(reproduce([base, votes(base), paid], "table1"))
    assert both["aime24", "vote"].ours == pytest.approx(208 / 240)
    assert ("aime24", "vote (chains of cot)") not in both


def test_each_table_is_found_from_its_cells():
    assert find_table([ours(), ours(scale())]) == "table1"
    assert find_table([ours(scale(tau, 16384)) for tau in (0.2, 0.5, 0.8)]) == "table2"
    assert find_table([ours(scale(0.2, limit)) for limit in (4096, 8192, 16384, 32768)]) == "figure2"
    assert find_table([ours(model="Qwen/Qwen2.5-32B-Instruct", right=43)]) == "table3"


def test_cells_of_two_tables_alike_are_asked_about():
    with pytest.raises(ConfigError, match="as many cells of table2 as of figure2: choose with --table"):
        find_table([ours(scale(0.2, 16384))])


def test_a_run_of_no_table_is_told_what_was_looked_for_and_what_it_has():
    for mine in (ours(model="Qwen/Qwen3-8B"), ours(dataset="gsm8k"), ours(scale(0.35))):
        for attempt in (lambda mine=mine: find_table([mine]), lambda mine=mine: reproduce([mine], "table1")):
            with pytest.raises(ConfigError) as caught:
                attempt()
            text = str(caught.value)
            assert "Qwen2.5-72B-Instruct" in text
            assert "aime24, aime25, amc23" in text
            assert f"{mine.summary.model} on {mine.summary.dataset}" in text


def test_two_rows_for_one_cell_are_refused_by_their_names():
    with pytest.raises(ConfigError, match="several rows are the paper's cot on aime24"):
        reproduce([ours(), ours(run="runs/b")], "table1")


def test_what_is_missing_and_what_the_paper_does_not_have_are_told():
    found = reproduce([ours(), ours(scale(0.7, 16384))], "table1")
    assert "inftythink on aime24 (Qwen3-32B)" in found.missing
    assert "cot on amc23 (Qwen3-32B)" in found.missing
    alone = lines(found)["aime24", "scale, route threshold, tau 0.7, system2_max_tokens 16384"]
    assert (alone.paper, alone.verdict, alone.why) == (None, "cannot tell", "the paper's table has no such cell")
    assert found.others == ["table2"]


def test_system_1_must_be_the_papers():
    pair = "Qwen/QwQ-32B + Qwen/Qwen3-8B"
    found = reproduce([ours(model=pair), ours(scale(), model=pair)], "table1")
    assert lines(found)["aime24", "cot"].paper == 0.75
    (alone,) = [line for line in found.lines if line.paper is None]
    assert alone.why == "System 1 is not the paper's Qwen3-32B"


def test_models_before_and_after_fine_tuning_are_the_two_rows_of_table_3():
    base, tuned = "Qwen/Qwen2.5-32B-Instruct", "scale-sft-32b"
    cells = [
        ours(model=base, right=43, tokens=900),
        ours(model=tuned, right=128, tokens=22_000, trained=Trained(base=base, source="--tuned")),
    ]
    found = lines(reproduce(cells, "table3"))
    assert found["aime24", "cot, training none"].ours == pytest.approx(43 / 240)
    assert found["aime24", "cot, training sft"].paper == 0.5333
    unknown = [cells[0], ours(model=tuned, trained=Trained(base=None, source="its family"))]
    (alone,) = [line for line in reproduce(unknown, "table3").lines if line.paper is None]
    assert alone.why == "the paper's table has no such cell"


def test_the_papers_numbers_read_off_a_plot_may_be_half_a_point_off():
    line = lines(reproduce([ours(scale(0.2, 8192), right=128)], "figure2"))["aime24", "scale, system2_max_tokens 8192"]
    exact = lines(reproduce([ours(right=176)], "table1"))["aime24", "cot"]
    assert line.low is not None
    assert exact.low is not None
    assert (line.paper, line.paper_attempts) == (0.54, 240)


def test_differences_that_hold_for_the_whole_table_are_marked():
    # One line of four is barely below; the other is far.
    cells = [
        ours(right=160), ours(right=144, dataset="aime25"), ours(right=310, dataset="amc23"),
        ours(scale(), right=60),
    ]  # fmt: skip
    found = reproduce(cells, "table1")
    acc = [(line.verdict, line.holds) for line in found.lines if line.measure == "Acc"]
    assert acc == [("below", False), ("compatible", False), ("compatible", False), ("below", True)]
    text = render_reproduction(found, "md")
    assert "0.2 of 4 for Acc" in text
    assert text.count(r"below \*") >= 1


@pytest.mark.parametrize("form", ["md", "latex", "html", "csv", "json"])
def test_a_reproduction_is_written_in_every_format(form: str):
    base = ours(right=184)
    pair = "Qwen/QwQ-32B + Qwen/Qwen3-32B"
    text = render_reproduction(
        reproduce([base, votes(base), ours(scale(), model=pair, ends=3, end=failed)], "table1"),
        form,  # type: ignore[arg-type]
    )
    for word in ("compatible", "cannot tell", "aime24"):
        assert word in text
    if form == "json":
        read = json.loads(text)
        assert (read["table"], read["margin"]) == ("table1", 0.1)
        assert {"paper", "ours", "gap", "low", "high", "p_value", "verdict", "planned", "failed"} <= set(
            read["lines"][0]
        )
    if form == "md":
        assert "79.40 ‡" in text
        assert "79.40 is 185/233, as wrong 77.08" in text
