"""What a tuning decides from outcomes: who is dropped after a round, why, and who is measured on held-out problems."""

from __future__ import annotations

from math import comb

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tuning.made import names, outcomes, take

from scale_reasoning.runs.rounds import Tuning
from scale_reasoning.tuning.drops import compute_mean_p, compute_sign_p, decide, find_level
from scale_reasoning.types import Usage

TWO_ROUNDS = Tuning(rounds=(16, 32), held_out=8)
ALL = 40


def test_the_first_round_needs_its_problems_of_every_candidate() -> None:
    made = outcomes(("r" * ALL, 10), ("r" * ALL, 20))
    standing = decide(take(made, 16, 15), names(ALL), TWO_ROUNDS)
    assert (standing.round, standing.live, standing.drops) == (1, (0, 1), {})
    assert {cell: len(needed) for cell, needed in standing.needs.items()} == {0: 16, 1: 16}
    assert standing.planned == (40, 40)


def test_a_candidate_that_is_shown_to_be_worse_is_dropped_with_the_reason() -> None:
    made = outcomes(("r" * ALL, 10), ("-" * 12 + "r" * 28, 20), ("r" * 32 + "-" * 8, 5))
    standing = decide(take(made, 16, 16, 16), names(ALL), TWO_ROUNDS)
    drop = standing.drops[1]
    assert (drop.round, drop.reason, drop.by, drop.wins, drop.losses) == (1, "worse", 0, 12, 0)
    assert drop.p_value == pytest.approx(0.5**12)
    assert (standing.round, standing.live, standing.planned) == (2, (0, 2), (40, 16, 40))
    assert standing.needs.keys() == {0, 2}


def test_a_difference_that_may_be_chance_drops_nobody() -> None:
    made = outcomes(("r" * 16, 10), ("-" * 4 + "r" * 12, 20))
    assert decide(made, names(ALL), TWO_ROUNDS).drops == {}


def test_after_the_last_round_only_the_frontier_and_the_first_are_measured_on_what_is_held_out() -> None:
    better = outcomes(("r" * 30 + "--", 10), ("r" * 31 + "-", 8), ("r" * 31 + "-", 30), ("r" * 32, 50))
    standing = decide(better, names(ALL), TWO_ROUNDS)
    assert standing.round is None
    assert (standing.live, standing.finalists) == ((1, 3), (0, 1, 3))
    assert {cell: (drop.reason, drop.by) for cell, drop in standing.drops.items()} == {
        0: ("dominated", 1),
        2: ("dominated", 1),
    }
    assert standing.needs == dict.fromkeys((0, 1, 3), names(ALL)[32:])
    assert standing.planned == (40, 40, 32, 40)


def test_of_two_equal_candidates_the_first_stays() -> None:
    assert decide(outcomes(("r" * 32, 10), ("r" * 32, 10)), names(ALL), TWO_ROUNDS).finalists == (0,)


def test_rounds_end_as_soon_as_one_candidate_is_left() -> None:
    made = outcomes(("-" * 16, 10), ("r" * 16, 20))
    standing = decide(made, names(ALL), TWO_ROUNDS)
    assert (standing.round, standing.live, standing.finalists, standing.planned) == (None, (1,), (0, 1), (24, 24))


def test_nothing_is_needed_at_the_end() -> None:
    standing = decide(outcomes(("r" * ALL, 10), ("r" * 39 + "-", 20)), names(ALL), TWO_ROUNDS)
    assert standing.finalists == (0,)
    assert standing.needs == {}


def test_with_a_limit_who_spends_more_is_dropped_and_drops_nobody() -> None:
    limited = Tuning(rounds=(16, 32), held_out=8, tokens=15)
    made = outcomes(("-" * 12 + "r" * 4, 10), ("r" * 16, 20), ("-" * 12 + "rrrr", 14))
    standing = decide(made, names(ALL), limited)
    assert {cell: drop.reason for cell, drop in standing.drops.items()} == {1: "tokens"}
    within = outcomes(("-" * 12 + "r" * 4, 10), ("r" * 16, 14), ("-" * 12 + "rrrr", 14))
    assert {cell: drop.by for cell, drop in decide(within, names(ALL), limited).drops.items()} == {0: 1, 2: 1}


def test_with_a_limit_only_what_is_shown_to_keep_it_drops_others_for_accuracy() -> None:
    """What spends more than the limit may spend less than others do on a few problems, by chance."""
    limited = Tuning(rounds=(16, 32), held_out=8, tokens=15)
    made = outcomes(("-" * 12 + "r" * 4, 15), ("r" * 16, 0))
    uneven = {
        name: msgspec.structs.replace(each, usage=Usage(completion_tokens=tokens))
        for (name, each), tokens in zip(made[1].items(), [1, 28] * 8, strict=True)
    }
    assert decide([made[0], uneven], names(ALL), limited).drops == {}
    assert decide([made[0], uneven], names(ALL), TWO_ROUNDS).drops[0].reason == "worse"


def test_unknown_tokens_count_as_more_than_any_that_are_known() -> None:
    made = outcomes(("r" * 32, 10), ("r" * 32, None), ("r" * 30 + "--", None))
    assert decide(made, names(ALL), TWO_ROUNDS).finalists == (0,)
    limited = Tuning(rounds=(16, 32), held_out=8, tokens=15)
    assert "tokens" not in {drop.reason for drop in decide(made, names(ALL), limited).drops.values()}


def test_of_candidates_whose_tokens_are_all_unknown_none_dominates() -> None:
    made = outcomes(("r" * 30 + "--", None), ("r" * 32, None), ("r" * 31 + "-", None))
    assert decide(made, names(ALL), TWO_ROUNDS).finalists == (0, 1, 2)


@given(wins=st.integers(0, 12), losses=st.integers(0, 12))
def test_the_sign_test_counts_tosses(wins: int, losses: int) -> None:
    n = wins + losses
    assert compute_sign_p(wins, losses) == pytest.approx(sum(comb(n, k) for k in range(wins, n + 1)) / 2**n)


def test_a_mean_is_shown_to_be_above_a_limit_by_its_spread() -> None:
    assert compute_mean_p([10, 10, 10], 9) == 0.0
    assert compute_mean_p([10, 10, 10], 10) == 1.0
    assert compute_mean_p([1, 100, 50], 40) > 0.3
    assert compute_mean_p([99, 100, 101, 100], 40) < 1e-4
    assert compute_mean_p([10, None], 1) == 1.0


@pytest.mark.parametrize(("tokens", "tests"), [(None, 3 * 19), (100.0, 3 * 40)])
def test_the_level_is_spent_on_all_tests_that_could_drop_one_candidate(tokens: float | None, tests: int) -> None:
    assert find_level(20, Tuning(rounds=(16, 32), held_out=8, tokens=tokens)) == pytest.approx(0.1 / tests)


@given(data=st.data())
def test_decisions_do_not_depend_on_outcomes_that_were_not_needed(data: st.DataObject) -> None:
    """So a resumed tuning decides as an uninterrupted one, whatever was in flight when it ended."""
    letters = st.text(alphabet="r-", min_size=ALL, max_size=ALL)
    made = outcomes(*((data.draw(letters), data.draw(st.integers(1, 30))) for _ in range(3)))
    standing = decide(made, names(ALL), TWO_ROUNDS)
    asked = [dict[str, object]() for _ in made]
    while True:
        now = decide(asked, names(ALL), TWO_ROUNDS)  # pyright: ignore[reportArgumentType]
        new = {cell: [name for name in needed if name not in asked[cell]] for cell, needed in now.needs.items()}
        if not any(new.values()):
            break
        for cell, missing in new.items():
            asked[cell] |= {name: made[cell][name] for name in missing}
    assert (now.drops, now.finalists, now.planned) == (standing.drops, standing.finalists, standing.planned)
    assert [len(each) for each in asked] == list(now.planned)
