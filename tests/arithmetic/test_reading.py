import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import ends_in_time
from tests.speed import limit_examples

from scale_reasoning.arithmetic.chains import SPLITS, Level, Turn
from scale_reasoning.arithmetic.problems import LEVELS, Truth, chain
from scale_reasoning.arithmetic.reading import EXAMPLE, find_question_owner, is_in_letters, truth_in

RANGE = st.tuples(st.integers(1, 4), st.integers(1, 4)).map(lambda pair: (min(pair), max(pair)))
STEPS = st.tuples(st.integers(2, 8), st.integers(2, 8)).map(lambda pair: (min(pair), max(pair)))
LEVEL = st.sampled_from(list(LEVELS.values())) | st.builds(Level, steps=STEPS, digits=RANGE)


@given(index=st.integers(0, 999_999), split=st.sampled_from(SPLITS), seed=st.integers(0, 10**9), level=LEVEL)
@settings(max_examples=limit_examples(1000), deadline=None)
def test_a_text_says_the_truth_it_was_made_from(index: int, split: str, seed: int, level: Level):
    made = chain(index, split=split, seed=seed, level=level)
    assert truth_in(made.text) == Truth(start=made.start, owners=made.owners, links=made.links)
    assert [find_question_owner(link.subproblem) for link in made.links] == list(made.owners[1:])


def test_one_sentence_adds_or_subtracts_as_the_chain_runs():
    fact = "Ada has 3 more cards than Ben."
    adds = truth_in(f"Ben has 5 cards. {fact} How many cards does Ada have?")
    subtracts = truth_in(f"Ada has 5 cards. {fact} How many cards does Ben have?")
    assert [truth and truth.links[0].turn for truth in (adds, subtracts)] == [
        Turn(operation="add", left=5, right=3, result=8),
        Turn(operation="sub", left=5, right=3, result=2),
    ]


def test_spacing_and_case_do_not_matter():
    truth = truth_in("  ben has 5 Cards.\nADA has 3 more cards than Ben.\n\nHow many cards does Ada have? ")
    assert truth
    assert truth.owners == ("Ben", "Ada")
    assert truth.answer == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is 2 + 2?",
        "Ben has 5 cards. How many cards does Ben have?",
        "Ada has 3 more cards than Ben. How many cards does Ada have?",
        "Ben has 5 cards. Ada has 3 more cards than Ben.",
        "Ben has 5 cards. Ada has 3 more cards than Ben. How many cards does Dana have?",
        "Ben has 5 cards. Ada has 3 more cards than Ben. How many stamps does Ada have?",
        "Ben has 5 cards. Ada has 3 more stamps than Ben. How many cards does Ada have?",
        "Ben has 5 cards. Ada has 3 more cards than Ben. How many cards does Ada have? Be quick.",
        "Ben has 5 cards. Ada has 3 more cards than Ben. Dana has 2 more cards than Ben. How many cards does Ada have?",
        "Ben has 5 cards. Ada has 3 more cards than Ada. How many cards does Ada have?",
        "Ben has 5 cards. Ada has 5 fewer cards than Ben. How many cards does Ada have?",
        "Ben has 5 cards. Ben has 2 times as many cards as Ada. How many cards does Ada have?",
        "Ben has 5 cards. Ada has 0 more cards than Ben. How many cards does Ada have?",
        "Ben has 5 cards. Ben owns 5 cards. Ada has 3 more cards than Ben. How many cards does Ada have?",
        "The tent costs 5 euros. Ada has 3 more cards than Ben. How many cards does Ada have?",
    ],
)
def test_what_the_facts_do_not_settle_or_the_grammar_does_not_say_is_not_read(text: str):
    assert truth_in(text) is None


def test_no_text_takes_long():
    hostile = ("a" * 300_000, "Ada has " * 50_000, "Ben has 5 cards. " * 50_000, "." * 300_000, "? " * 200_000)
    with ends_in_time():
        assert [truth_in(text) for text in hostile] == [None] * len(hostile)
        assert [find_question_owner(text) for text in hostile] == [None] * len(hostile)


def test_a_sub_problem_asks_for_one_quantity():
    assert find_question_owner("How many cards does Ada have?") == "Ada"
    assert find_question_owner("Ben has 5 cards. How many cards does Ada have?") == "Ada"
    assert find_question_owner("How many cards does Ada have? How many cards does Ben have?") is None
    assert find_question_owner("Ada has 5 cards.") is None
    assert find_question_owner("Hence: how many cards does Ada have?") is None


def test_only_chains_in_letters_are_in_letters():
    assert is_in_letters(EXAMPLE)
    assert all(is_in_letters(chain(index, level=LEVELS["laptop"]).text) for index in range(50))
    assert not any(is_in_letters(chain(index, level=LEVELS["mixed"]).text) for index in range(50))
    for text in (
        "",
        "What is 2 + 2?",
        f"{EXAMPLE} Explain it.",
        "C = 5. D = C - 8. Find D.",
        "C = 12. D = C + 30. Find D.",  # the student has seen no number of two digits
        "C = 517. D = C × 12. Find D.",
        "C = 5. D = C + x. Find D.",
    ):
        assert not is_in_letters(text)
