from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import ends_in_time
from tests.synth.made import record, step

from scale_reasoning.datasets import load
from scale_reasoning.synth.duplicates import drop_duplicates, find_repeats
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.words import split_words_and_signs
from scale_reasoning.types import Problem

LONG = (
    "On a windy day in spring a baker in a small town by the river counts the loaves on her shelf and finds that there "
    "are $120$ of them. She sells $\\frac{3}{4}$ of the loaves before noon and half of what is left in the afternoon. "
    "How many loaves does the baker take home with her in the evening?"
)


def repeats(*texts: str) -> dict[int, int]:
    """Which text repeats which, by their places."""
    found = find_repeats({("d", str(at)): Problem(id=str(at), text=text) for at, text in enumerate(texts)})
    return {int(key[1]): int(first[1]) for key, first in found.items()}


@pytest.mark.parametrize(
    "other",
    [
        LONG,
        LONG.upper(),
        LONG.replace(" ", "\n  "),
        LONG.replace("$", ""),
        LONG.replace("$120$", "\\(\\,120\\)").replace("\\frac", "\\dfrac"),
        LONG.replace("a windy day", "a rainy day"),
        LONG.replace("How many", "Tell us how many"),
    ],
)
def test_the_same_problem_in_other_dress_is_a_duplicate(other: str):
    assert repeats(LONG, other) == {1: 0}


@pytest.mark.parametrize(
    "other",
    [
        LONG.replace("120", "160"),
        LONG.replace("{3}{4}", "{1}{4}"),
        LONG.replace("a baker in a small town by the river", "an old man").replace("loaves", "coins"),
        "What is 3 + 4?",
        "",
    ],
)
def test_another_number_or_another_story_is_another_problem(other: str):
    assert repeats(LONG, other) == {}


def test_short_problems_are_told_apart_by_their_signs():
    assert repeats("What is 3 + 4?", "What is 3 - 4?", "what is $3+4$", "What is 3 * 4 ?") == {2: 0}


def test_the_first_of_a_group_is_the_one_that_all_repeat():
    assert repeats(LONG, LONG.lower(), LONG.replace("windy", "rainy"), LONG.replace("windy", "misty")) == {
        1: 0,
        2: 0,
        3: 0,
    }


def test_every_sample_of_a_repeated_problem_is_dropped_and_the_first_keeps_all_of_its_own():
    def sample(identity: str, number: int) -> Candidate:
        problem = Problem(id=identity, text=LONG, answer="15")
        return Candidate(
            dataset="d", problem=problem, record=record([step()], problem=problem, sample=number), text="x", tokens=1
        )

    reasons = drop_duplicates([sample("a", 0), sample("b", 0), sample("a", 1), sample("b", 1)])
    told = "its problem says the same as a of d"
    assert reasons == [None, told, None, told]


SENTENCES = st.lists(st.sampled_from(["we", "add", "two", "to", "it", "7", "9", "+"]), min_size=1, max_size=14)


def near_by_definition(one: str, other: str) -> bool:
    first, second = split_words_and_signs(one), split_words_and_signs(other)
    if sorted(filter(str.isdecimal, first)) != sorted(filter(str.isdecimal, second)):
        return False
    sets = [{tuple(own[at : at + 5]) for at in range(max(1, len(own) - 4))} for own in (first, second)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1]) >= 0.8


@given(st.lists(SENTENCES.map(" ".join), max_size=12), SENTENCES, st.integers(0, 60))
@settings(deadline=None)
def test_no_pair_is_missed_and_none_is_guessed(texts: list[str], stem: list[str], cut: int):
    stretched = [" ".join(stem * 5), " ".join(stem * 5 + ["it"]), " ".join((stem * 5)[cut:] or ["we"])]
    texts = [*stretched, *texts]
    kept, expected = list[int](), dict[int, int]()
    for at, text in enumerate(texts):
        same = next(
            (first for first in range(at) if split_words_and_signs(texts[first]) == split_words_and_signs(text)), None
        )
        if same is None:
            same = next((first for first in kept if near_by_definition(texts[first], text)), None)
        if same is None:
            kept.append(at)
        else:
            expected[at] = expected.get(same, same)
    assert repeats(*texts) == expected


def test_thousands_of_problems_of_one_template_are_told_apart_in_no_time():
    problems = {("d", str(n)): Problem(id=str(n), text=LONG.replace("120", str(n))) for n in range(5, 5_005)}
    with ends_in_time():
        assert find_repeats(problems) == {}


def test_arithmetic_problems_are_hardly_ever_duplicates():
    problems = load("arithmetic", split="train", count=2_000).problems
    assert len(find_repeats({("arithmetic", problem.id): problem for problem in problems})) <= 2
