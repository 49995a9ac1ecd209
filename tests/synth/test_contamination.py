"""No benchmark's text is here: the problems are made up, and of the shipped file only counts and order are read."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import pairwise

import pytest
from tests.synth.made import record, step

from scale_reasoning.datasets import load
from scale_reasoning.datasets.benchmarks import BENCHMARKS
from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.contamination import (
    FILE,
    ProblemHashes,
    decode,
    describe_overlap,
    encode,
    hash_lists,
    load_hashes,
    make_filter,
)
from scale_reasoning.synth.filters import Limits, make_filters
from scale_reasoning.synth.funnel import Candidate, run
from scale_reasoning.types import Problem

CLOSING = "can be written as $\\frac{m}{n}$, where $m$ and $n$ are relatively prime positive integers. Find $m+n$."
ROPE = f"A rope of length $12$ is cut at two random points. The probability that no part is longer than $7$ {CLOSING}"
GARDEN = f"Six gardeners plant red and white roses in a ring of $18$ beds. The chance that no red ones touch {CLOSING}"
SHORT = "Compute $\\tan 75^\\circ$."
CLOCK = (
    "A broken clock in the tower of a village shows the right time only when its hands have swapped places. "
    "How often does it show the right time between noon and midnight?"
)
TEST_SET = [Problem(id=str(number), text=text) for number, text in enumerate((ROPE, GARDEN, SHORT, CLOCK))]


@pytest.fixture(scope="module")
def lists() -> ProblemHashes:
    return hash_lists({"made-up": TEST_SET})


def of(text: str) -> Candidate:
    problem = Problem(id="p", text=text, answer="4")
    made = record([step()], problem=problem)
    return Candidate(dataset="d", problem=problem, record=made, text="<think>\nFour.\n</think>\n\n\\boxed{4}", tokens=9)


DISGUISES = {
    "as it is": lambda text: text,
    "other spacing": lambda text: text.replace(" ", "\n \t"),
    "no-break and zero-width spaces": lambda text: text.replace(" ", "\u00a0\u200b"),
    "upper case": str.upper,
    "no dollars": lambda text: text.replace("$", ""),
    "other delimiters": lambda text: text.replace("$", "\\(", 1).replace("$", "\\)", 1).replace("$", "~"),
    "LaTeX spacing": lambda text: text.replace(" ", "\\, ").replace("\\frac", "\\dfrac"),
    "no full stops": lambda text: text.replace(".", ""),
    "full-width letters": lambda text: text.replace("a", "\uff41"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("planted", [problem.text for problem in TEST_SET])
def test_a_planted_problem_is_caught_whatever_its_spacing_case_and_dollars(planted: str, disguise: str):
    asked = make_filters(Limits(against={"made-up": TEST_SET}))
    (drop,) = run([of(DISGUISES[disguise](planted))], asked).dropped
    assert drop.stage == "contamination"
    assert "made-up" in drop.reason


@pytest.mark.parametrize("problem", [ROPE, GARDEN, CLOCK])
def test_a_planted_problem_inside_another_text_is_caught(problem: str, lists: ProblemHashes):
    inside = f"Your teacher asks: {problem.rpartition(' ')[0]} exactly? Show your work."
    reason = describe_overlap(inside, lists)
    assert reason is not None
    assert "words in a row in common with made-up: " in reason


def test_a_passage_of_thirteen_words_is_caught_and_one_of_twelve_is_not(lists: ProblemHashes):
    passage = ["A", "broken", "clock", "in", "the", "tower", "of", "a", "village", "shows", "the", "right", "time"]
    assert len(passage) == 13
    assert describe_overlap(f"He says: {' '.join(passage)} again.", lists) == (
        f"13 words in a row in common with made-up: {' '.join(passage).lower()!r}..."
    )
    assert describe_overlap(f"He says: {' '.join(passage[:12])} again.", lists) is None
    assert describe_overlap(f"He says: {' '.join(passage[1:])} again.", lists) is None


def test_boilerplate_that_several_problems_share_is_no_contamination(lists: ProblemHashes):
    assert describe_overlap(f"The mean of a hundred numbers {CLOSING}", lists) is None


def test_a_short_problem_is_caught_by_equality_alone(lists: ProblemHashes):
    assert describe_overlap("compute $ \\tan  75^{\\circ} $", lists) == (
        "it is a problem of made-up, apart from spacing, case and notation"
    )
    assert describe_overlap("Compute $\\tan 15^\\circ$.", lists) is None


def test_a_list_with_a_problem_twice_still_knows_it():
    twice = hash_lists({"a": [Problem(id="1", text=CLOCK)], "b": [Problem(id="2", text=CLOCK.upper())]})
    assert describe_overlap(f"He asks: {CLOCK} Well?", twice) is not None


def test_a_problem_that_is_boilerplate_throughout_is_known_all_the_same():
    lists = hash_lists({"a": [Problem(id="1", text=CLOSING * 2), Problem(id="2", text=f"It {CLOSING}")]})
    assert describe_overlap(f"Well, it {CLOSING} So?", lists) is not None


def test_what_is_written_is_what_is_read(lists: ProblemHashes):
    assert decode(encode(lists)) == lists


@pytest.mark.parametrize("broken", [lambda data: data[:-1], lambda data: data.replace(b'"run": 13', b'"run": 12')])
def test_a_file_that_is_not_whole_or_of_another_format_is_refused(broken, lists: ProblemHashes):
    with pytest.raises(ConfigError, match=r"benchmarks\.hashes is incomplete, or not of format 1: build it again"):
        decode(broken(encode(lists)))


def test_the_shipped_file_knows_every_benchmark_whole():
    data = files("scale_reasoning.synth").joinpath(FILE).read_bytes()
    header = json.loads(data.partition(b"\n")[0])
    counted = {each["name"]: (each["problems"], each["texts"]) for each in header["lists"]}
    assert counted == {name: (benchmark.problems, benchmark.problems) for name, benchmark in BENCHMARKS.items()}
    assert len(load_hashes().texts) == sum(benchmark.problems for benchmark in BENCHMARKS.values())
    assert len(load_hashes().runs) == sum(each["runs"] for each in header["lists"]) > 60_000


def test_the_shipped_hashes_are_sorted_in_each_part():
    line, _, body = files("scale_reasoning.synth").joinpath(FILE).read_bytes().partition(b"\n")
    header = json.loads(line)
    size, at = header["bytes"], 0
    for count in [*(each[part] for each in header["lists"] for part in ("runs", "texts")), header["phrases"]]:
        part = [body[at + size * n : at + size * (n + 1)] for n in range(count)]
        assert all(one < other for one, other in pairwise(part))
        at += size * count
    assert at == len(body)


def test_no_arithmetic_problem_is_a_benchmarks():
    reasons = make_filter({})([of(problem.text) for problem in load("arithmetic", split="train", count=500).problems])
    assert reasons == [None] * 500
