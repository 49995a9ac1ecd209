from __future__ import annotations

import pytest
from tests.report.cells import graded

from scale_reasoning.report import paper
from scale_reasoning.report.metrics import Summary, summarise


def one(table: paper.Table, dataset: str, **wanted: object) -> Summary:
    found = [
        row
        for row in paper.read_rows(table)
        if row.dataset == dataset
        and all(
            {"model": row.model, "strategy": row.strategy, **row.options}[key] == value for key, value in wanted.items()
        )
    ]
    assert len(found) == 1
    return found[0]


def test_every_number_of_the_tables_is_there():
    assert [len(paper.read_rows(table)) for table in ("table1", "table2", "figure2", "table3")] == [48, 16, 18, 24]


def test_the_numbers_are_the_papers():
    row = one("table1", "aime24", model="Qwen3-32B", strategy="scale")
    assert (row.acc, row.tpi, row.tok, row.acc_low) == (pytest.approx(0.8292), 3550, 25581, None)
    vote = one("table1", "amc23", model="QwQ", strategy="vote")
    assert (vote.acc, vote.tpi, vote.tok, vote.planned) == (pytest.approx(0.975), None, 49291, 40)
    assert one("table2", "aime25", tau=0.7).hard == pytest.approx(0.196)
    assert one("table2", "aime24", tau=0.9).hard == 0
    assert one("figure2", "amc23", system2_max_tokens=6144).acc == pytest.approx(0.875)
    tuned = one("table3", "aime24", model="Llama3.3-70B-Instruct", training="sft")
    assert (tuned.acc, tuned.tok) == (pytest.approx(0.6351), 15700)


@pytest.mark.parametrize(
    ("percent", "planned", "scored"),
    [(79.40, 240, 233), (70.21, 240, 235), (77.25, 240, 233), (65.53, 240, 235), (61.37, 240, 233), (82.92, 240, 240)],
)
def test_odd_percentages_betray_attempts_left_out(percent: float, planned: int, scored: int):
    assert paper.find_scored(percent, planned) == scored


def test_averages_are_those_of_table_1():
    rows = [row for row in paper.read_rows("table1") if (row.model, row.strategy) == ("Qwen3-32B", "scale")]
    assert f"{sum(row.acc or 0 for row in rows) / 3 * 100:.2f}" == "84.20"


def test_what_is_printed_beside_a_run_is_of_its_sweep_and_its_datasets():
    model = "Qwen/Qwen3-32B"
    at = [summarise(graded([[True]], model=model, strategy={"name": "scale", "tau": tau})) for tau in (0.2, 0.5)]
    options = [{"name": "scale", "tau": 0.2, "system2_max_tokens": n} for n in (1, 2)]
    limits = [summarise(graded([[True]], model=model, strategy=each)) for each in options]
    assert {row.dataset for row in paper.find_counterparts(at)} == {"aime24"}
    assert {"tau"} == {key for row in paper.find_counterparts(at) for key in row.options}
    assert {"system2_max_tokens"} == {key for row in paper.find_counterparts(limits) for key in row.options}
    assert [row.strategy for row in paper.find_counterparts(at[:1])] == ["cot", "inftythink", "vote", "scale"]
    assert paper.find_counterparts([summarise(graded([[True]], model=model, dataset="arithmetic"))]) == ()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Qwen/Qwen3-32B", "Qwen3-32B"),
        ("qwen3-32b-awq", "Qwen3-32B"),
        ("Qwen/QwQ-32B", "QwQ"),
        ("Qwen/QwQ-32B + Qwen/Qwen3-32B", "QwQ"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "Distill-Llama-70B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "Distill-Qwen-32B"),
    ],
)
def test_the_papers_rows_are_those_of_the_model_that_ran(ours: str, theirs: str):
    assert {row.model for row in paper.find_counterparts([summarise(graded([[True]], model=ours))])} == {theirs}


def test_a_model_that_the_paper_did_not_run_has_no_rows_of_it():
    for model in ("student", "Qwen/Qwen3-8B", "gpt-oss-20b"):
        assert paper.find_counterparts([summarise(graded([[True]], model=model))]) == ()


def test_the_papers_rows_are_on_the_datasets_of_their_model():
    mixed = [
        summarise(graded([[True]], model="Qwen/Qwen3-32B", dataset="aime24")),
        summarise(graded([[True]], model="Qwen/QwQ-32B", dataset="amc23")),
    ]
    rows = paper.find_counterparts(mixed)
    assert {(row.model, row.dataset) for row in rows} == {("Qwen3-32B", "aime24"), ("QwQ", "amc23")}
