"""800 of LIMO's 817 problems are within reach with traces as long and as often right as the paper's."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from tests.synth.made import PROBLEM, record, step

from scale_reasoning.report import paper
from scale_reasoning.synth.filters import Limits, make_filters
from scale_reasoning.synth.funnel import Candidate, run
from scale_reasoning.types import Grade

PROBLEMS, SAMPLES, TARGET = 817, 4, 800
ROWS = [row for row in paper.read_rows("table1") if (row.model, row.strategy) == ("QwQ", "scale")]
SPREAD = 0.5
"""Standard deviation of the logarithm of a length: two thirds of the lengths are within a factor of 1.65."""


def attempts() -> list[Candidate]:
    """Four attempts at each problem, a third of the problems like each of the paper's datasets."""
    dice, made = random.Random(0), list[Candidate]()
    for number in range(PROBLEMS):
        row = ROWS[number % len(ROWS)]
        problem = replace(PROBLEM, id=f"p{number}", text=f"Ann has {number} pens and buys {3 * number} more. How many?")
        for sample in range(SAMPLES):
            tokens = round(dice.lognormvariate(math.log(row.tok or 0) - SPREAD**2 / 2, SPREAD))
            grade = Grade(correct=dice.random() < row.acc, grader="integer")
            held = record([step()], problem=problem, sample=sample, grade=grade)
            made.append(Candidate(dataset="limo", problem=problem, record=held, text="\\boxed{4}", tokens=tokens))
    return made


def count_kept(**settings: object) -> int:
    return len(run(attempts(), make_filters(Limits(**settings))).kept)  # type: ignore[arg-type]


def test_the_papers_mean_lengths_are_those_of_its_table():
    assert [row.tok for row in ROWS] == [29_812, 33_965, 16_259]


def test_the_answer_alone_leaves_800_traces():
    assert count_kept(filters=("answer",), target=TARGET) == TARGET


def test_the_training_window_leaves_nearly_as_many_and_limos_cut_off_far_fewer():
    assert 740 <= count_kept() < TARGET
    assert count_kept(max_tokens=16_384) < 500
    assert count_kept(max_tokens=65_536) > TARGET
