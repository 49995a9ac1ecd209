import operator
import re
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.speed import limit_examples

from scale_reasoning.arithmetic import chains
from scale_reasoning.arithmetic.chains import SPLITS, Dice, Level, result_of, split_of
from scale_reasoning.arithmetic.problems import LAPTOP, LEVELS, chain, chain_of, problem
from scale_reasoning.arithmetic.wording import STORIES, THEMES, Theme
from scale_reasoning.datasets import load
from scale_reasoning.errors import ConfigError


def ranges(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most)).map(lambda pair: (min(pair), max(pair)))


EXACTLY = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}
WIDE = st.builds(Level, steps=ranges(2, 8), digits=ranges(1, 4))
INDEX = st.integers(0, 999_999)
SPLIT = st.sampled_from(SPLITS)


@given(index=INDEX, split=SPLIT, seed=st.integers(0, 10**9), level=WIDE)
@settings(max_examples=limit_examples(150), deadline=None)
def test_a_chain_keeps_its_bounds_and_its_results_are_right(index: int, split: str, seed: int, level: Level):
    made = chain(index, split=split, seed=seed, level=level)
    turns = [link.turn for link in made.links]
    assert level.steps[0] <= len(turns) <= level.steps[1]
    value = turns[0].left
    for turn in turns:
        assert turn.left == value <= 9999
        exact = EXACTLY[turn.operation](Fraction(turn.left), turn.right)
        assert exact == turn.result >= 1
        value = turn.result
    for given_number in (turns[0].left, *(turn.right for turn in turns)):
        assert level.digits[0] <= len(str(given_number)) <= level.digits[1]
    assert made.answer == value
    assert made.problem.answer == str(value)


@given(index=INDEX, split=SPLIT)
@settings(max_examples=limit_examples(60), deadline=None)
def test_a_laptop_chain_takes_none_but_its_moves_and_its_id_gives_it_back(index: int, split: str):
    made = chain(index, split=split, level=LAPTOP)
    for turn in (link.turn for link in made.links):
        (_,) = [
            move
            for move in LAPTOP.moves
            if move.operation == turn.operation
            and move.left[0] <= turn.left <= move.left[1]
            and move.right[0] <= turn.right <= move.right[1]
            and move.result[0] <= turn.result <= move.result[1]
        ]
        assert turn.result == result_of(turn.operation, turn.left, turn.right) >= 100
        assert turn.left < 1000 or turn.operation == "mod"
    assert chain_of(made.problem_id) == made


def test_a_level_with_moves_takes_no_other_steps_or_digits():
    with pytest.raises(ConfigError, match="level 'laptop' has its own steps and digits"):
        load("arithmetic", level="laptop", digits=(1, 2))


@given(index=INDEX, split=SPLIT, level=WIDE)
@settings(max_examples=limit_examples(100), deadline=None)
def test_the_id_alone_gives_the_chain_back(index: int, split: str, level: Level):
    made = chain(index, split=split, seed=3, level=level)
    assert chain_of(made.problem_id) == made
    assert problem(index, split=split, seed=3, level=level) == made.problem


def solved(text: str) -> dict[str, set[Fraction]]:
    """Every quantity that the text's facts fix, by owner: the facts are solved as equations, knowing no chain."""
    tellings = [(theme, things) for theme in THEMES for things in theme.things if things in text]
    return max((solved_in(theme, things, text) for theme, things in tellings), key=len)


def solved_in(theme: Theme, things: str, text: str) -> dict[str, set[Fraction]]:
    values: dict[str, set[Fraction]] = {}
    equations: list[tuple[str, str, str, int]] = []
    for sentence in re.findall(r"[^.?]+\.", text):
        for phrase in theme.start:
            if match := spoken(theme, things, phrase, sentence):
                values.setdefault(match["b"].lower(), set()).add(Fraction(match["n"]))
        equations += [
            (operation, match["a"].lower(), match["b"].lower(), int(match["n"]))
            for operation, phrases in theme.facts.items()
            for phrase in phrases
            if (match := spoken(theme, things, phrase, sentence))
        ]
    for _ in equations:
        for operation, a, b, n in equations:
            if operation == "mod":  # which cannot be gone back
                values.setdefault(b, set()).update(value % n for value in values.get(a, ()))
                continue
            there = {"add": n, "sub": -n}.get(operation, 0)
            times = {"mul": Fraction(n), "div": Fraction(1, n)}.get(operation, Fraction(1))
            values.setdefault(b, set()).update(value * times + there for value in tuple(values.get(a, ())))
            values.setdefault(a, set()).update((value - there) / times for value in tuple(values.get(b, ())))
    return {owner: found for owner, found in values.items() if found}


def spoken(theme: Theme, things: str, phrase: str, sentence: str) -> re.Match[str] | None:
    pattern = re.escape(phrase).replace(r"\{things\}", re.escape(things)).replace(r"\{n\}", r"(?P<n>\d+)")
    owner = "|".join(map(re.escape, theme.owners))
    for hole in "ab":
        pattern = pattern.replace(rf"\{{{hole}\}}", rf"(?P<{hole}>{owner})", 1)
        pattern = pattern.replace(rf"\{{{hole}\}}", rf"(?P={hole})")
    return re.fullmatch(pattern, sentence.strip(), re.IGNORECASE)


@pytest.mark.slow
def test_the_text_alone_fixes_the_answer_whatever_the_order_of_its_facts():
    for level in LEVELS.values():
        for index in range(60):
            made = chain(index, level=level)
            question = made.links[-1].question
            values = solved(made.text)
            assert all(len(found) == 1 for found in values.values()), made.text
            assert len(values) == len(made.links) + 1, made.text
            asked = [owner for owner in values if re.search(rf"\b{re.escape(owner)}\b", question, re.IGNORECASE)]
            assert [values[owner] for owner in asked] == [{Fraction(made.answer)}], made.text


def test_facts_and_questions_are_those_of_the_text():
    for index in range(100):
        made = chain(index)
        for part in (made.start, *(link.fact for link in made.links), made.links[-1].question):
            assert part in made.text
        assert len({link.question for link in made.links}) == len(made.links)
        assert made.links[0].subproblem == f"{made.links[0].fact} {made.links[0].question}"


@pytest.mark.slow
def test_every_chain_of_a_split_belongs_to_it_so_no_two_splits_share_one():
    seen: dict[str, set[tuple[object, ...]]] = {split: set() for split in SPLITS}
    for level in (LEVELS["easy"], Level(steps=(1, 2), digits=(1, 1))):  # few chains, so the seeds do meet
        for split in SPLITS:
            for seed in (0, 1):
                for index in range(400):
                    turns = tuple(link.turn for link in chain(index, split=split, seed=seed, level=level).links)
                    assert split_of(turns) == split
                    seen[split].add(turns)
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]


def test_the_splits_take_eight_one_and_one_tenth_of_the_chains():
    shares = Counter(split_of(chains._chain(LEVELS["mixed"], Dice(str(index)))) for index in range(2000))
    assert 1500 < shares["train"] < 1700
    assert 150 < shares["test"] < 250
    assert 150 < shares["validation"] < 250


def test_a_level_too_narrow_for_a_split_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chains, "MAX_TRIES", 0)
    with pytest.raises(ConfigError, match=r"hardly any chain of .* is in the test split"):
        chain(0)


@pytest.mark.slow
def test_problems_are_worded_in_many_ways():
    problems = load("arithmetic", count=1000).problems
    names = "|".join(re.escape(name) for theme in THEMES for name in (*theme.owners, *theme.things))
    wordings = {re.sub(rf"\d+|\b(?:{names})\b", "_", row.text, flags=re.IGNORECASE) for row in problems}
    assert len({row.text for row in problems}) == 1000
    assert len(wordings) > 800


def test_every_operation_and_every_number_of_steps_has_its_share():
    made_chains = [chain(index, split="train") for index in range(400)]
    operations = Counter(link.operation for made in made_chains for link in made.links)
    steps = Counter(len(made.links) for made in made_chains)
    assert min(operations.values()) > 0.15 * operations.total()
    assert set(steps) == set(range(1, 9))
    assert min(steps.values()) > 0.05 * steps.total()
    assert {f"{operation}{digits}" for operation in operations for digits in (1, 2, 3, 4)} == {
        link.kind for made in made_chains for link in made.links
    }


def test_problems_stay_what_they_were():
    dataset = load("arithmetic")
    assert dataset.problems[12].id == "arithmetic-test-s0-000012"
    assert dataset.source["sha256"] == "65905ca535bf8d4187e115e0cd9eb5ed8c9bb81196be44c85168abd0bd5f0148"


def test_another_seed_split_or_level_is_another_dataset():
    options = [{}, {"seed": 1}, {"split": "train"}, {"level": "easy"}, {"steps": (2, 3)}, {"digits": (1, 2)}]
    assert len({load("arithmetic", count=5, **option).source["sha256"] for option in options}) == len(options)


def test_ranges_override_a_level_and_a_levels_own_ranges_are_the_level():
    assert load("arithmetic", level="hard", steps=(2, 2), count=1).problems[0].id == (
        "arithmetic-steps2to2-digits2to4-test-s0-000000"
    )
    assert load("arithmetic", steps=(5, 8), digits=(2, 4), count=9).problems == (
        load("arithmetic", level="hard", count=9).problems
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "fiendish"}, "no level 'fiendish'; it has mixed, easy, medium, hard"),
        ({"split": "dev"}, "no split 'dev'; it has train, validation, test"),
        ({"steps": (0, 3)}, "steps must be a range within 1 to 8, not 0 to 3"),
        ({"steps": (3, 2)}, "steps must be a range"),
        ({"digits": (1, 5)}, "digits must be a range within 1 to 4"),
        ({"seed": -1}, "0 or more"),
        ({"count": 10**7}, "at most 1,000,000"),
    ],
)
def test_options_out_of_bounds_are_refused(options: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        load("arithmetic", **options)


@pytest.mark.parametrize(
    "problem_id",
    [
        "",
        "aime24-I-1",
        "arithmetic-test-s0-12",
        "arithmetic-test-s0-0000012",
        "arithmetic-mixed-test-s0-000012",
        "arithmetic-steps1to8-digits1to4-test-s0-000012",
        "arithmetic-fiendish-test-s0-000012",
        "arithmetic-steps9to9-digits1to4-test-s0-000012",
        "arithmetic-dev-s0-000012",
        "arithmetic-test-s00-000012",
        "arithmetic-test-s-1-000012",
        "arithmetic-test-s0-000012\n",
    ],
)
def test_an_id_that_is_not_spelled_so_has_no_chain(problem_id: str):
    with pytest.raises(ConfigError):
        chain_of(problem_id)


def test_dice_are_fair_enough():
    dice = Dice("fair")
    rolls = Counter(dice.below(6) for _ in range(6000))
    assert set(rolls) == set(range(6))
    assert all(850 < times < 1150 for times in rolls.values())
    assert sorted(dice.shuffle(range(9))) == list(range(9))


def test_a_theme_names_enough_owners_and_says_every_operation():
    for theme in STORIES:
        assert len(set(theme.owners)) == len(theme.owners) >= 9
        assert set(theme.facts) == {"add", "sub", "mul", "div"}
        assert all(len(phrases) >= 2 for phrases in (*theme.facts.values(), theme.start, theme.questions))
