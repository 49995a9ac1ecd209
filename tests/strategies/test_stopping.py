"""When a vote may stop: against every continuation of every prefix, and the figures of Adaptive-Consistency."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.strategies.stopping import Stop, count_next, count_votes, explain_stop, find_posterior, is_certain
from scale_reasoning.strategies.vote import elect
from scale_reasoning.types import Solution

CLASSES = st.sampled_from(["1", "2", "3", None])
EARLY: st.SearchStrategy[Stop] = st.sampled_from(["certain", "beta"])


def winner(classes: tuple[str | None, ...]) -> tuple[str | None, int | None]:
    solution = elect([Solution(answer=each) for each in classes])
    return solution.answer, solution.selected


@given(st.lists(CLASSES, max_size=8), st.integers(0, 4))
def test_certain_means_that_every_continuation_has_the_same_winner_and_no_earlier_stop_is_possible(
    begun: list[str | None], left: int
) -> None:
    prefix = tuple(begun)
    continuations = product(("1", "2", "3", "new", None), repeat=left)
    winners = {winner(prefix + rest) for rest in continuations}
    stopped = is_certain(count_votes(prefix, len(prefix) + left))
    if winner(prefix)[0] is None:
        assert not stopped
    else:
        assert stopped == (winners == {winner(prefix)})


def run(answers: list[str | None], stop: Stop, level: float = 0.95) -> tuple[int, list[int]]:
    """How many of the chains ran, and the waves."""
    ran, waves = 0, list[int]()
    while wave := count_next(answers[:ran], len(answers), stop, level):
        waves.append(wave)
        ran += wave
    return ran, waves


@given(st.lists(CLASSES, min_size=1, max_size=14))
def test_a_vote_stopped_when_certain_has_the_full_votes_winner(answers: list[str | None]) -> None:
    ran, _ = run(answers, "certain")
    assert winner(tuple(answers[:ran])) == winner(tuple(answers))


@given(st.lists(CLASSES, min_size=1, max_size=14), EARLY, st.sampled_from([0.5, 0.8, 0.95]))
def test_waves_run_no_chain_that_one_at_a_time_would_have_saved(
    answers: list[str | None], stop: Stop, level: float
) -> None:
    ran, waves = run(answers, stop, level)
    assert sum(waves) == ran <= len(answers)
    one_by_one = next(n for n in range(1, len(answers) + 1) if count_next(answers[:n], len(answers), stop, level) == 0)
    assert ran == one_by_one


@given(st.lists(CLASSES, max_size=6), st.integers(1, 6), EARLY)
def test_a_wave_is_the_least_number_of_chains_after_which_some_answers_allow_a_stop(
    begun: list[str | None], left: int, stop: Stop
) -> None:
    samples = len(begun) + left

    def stops(more: tuple[str | None, ...]) -> bool:
        return count_next([*begun, *more], samples, stop, 0.9) == 0

    least = next(m for m in range(left + 1) if any(map(stops, product(("1", "2", "3", "new", None), repeat=m))))
    assert count_next(begun, samples, stop, 0.9) == least


def test_a_vote_that_never_stops_is_one_wave() -> None:
    assert run(["1"] * 8, "never") == (8, [8])


@pytest.mark.parametrize(("samples", "ran"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 4), (16, 8), (33, 17)])
def test_chains_that_agree_end_a_certain_vote_at_half_in_one_wave(samples: int, ran: int) -> None:
    assert run(["1"] * samples, "certain") == (ran, [ran])


def test_a_tie_that_the_leader_wins_is_certain_and_one_that_it_loses_is_not() -> None:
    assert is_certain(count_votes(["1", "1", "2", None], 5))
    assert is_certain(count_votes(["1", "2", "1"], 4))
    assert not is_certain(count_votes(["2", "1", "1"], 4))
    assert is_certain(count_votes([None, "1"], 3))


@pytest.mark.parametrize(
    ("leader", "second", "posterior"),
    [(0, 0, "1/2"), (1, 0, "3/4"), (2, 0, "7/8"), (3, 0, "15/16"), (4, 0, "31/32"), (1, 1, "1/2"), (2, 1, "11/16"),
     (5, 1, "15/16"), (6, 1, "247/256"), (8, 2, "1981/2048")],
)  # fmt: skip
def test_posteriors_are_exact(leader: int, second: int, posterior: str) -> None:
    assert find_posterior(leader, second) == Fraction(posterior)
    assert find_posterior(second, leader) == 1 - Fraction(posterior)


@pytest.mark.parametrize(
    ("level", "ran"), [(0.5, 1), (0.75, 1), (0.875, 2), (0.9, 3), (0.9375, 3), (0.95, 4), (0.99, 6), (1.0, 12)]
)
def test_beta_ends_a_vote_of_chains_that_agree_at_its_level(level: float, ran: int) -> None:
    assert run(["1"] * 12, "beta", level) == (ran, [ran])


def test_chains_without_an_answer_end_no_vote_early() -> None:
    assert run([None] * 6, "certain") == (6, [3, 2, 1])
    assert run([None] * 6, "beta", 0.5) == (6, [1] * 6)


def test_a_vote_of_thousands_that_cannot_stop_early_is_one_wave_at_once() -> None:
    assert run(["1"] * 3000, "beta", 1.0) == (3000, [3000])


def test_the_note_says_what_was_saved_and_why() -> None:
    assert explain_stop(["1", "1", "2"], 3, "certain", 0.95) is None
    assert explain_stop(["1", "2", "1"], 4, "certain", 0.95) == (
        "stopped after 3 of 4 chains: the leader cannot be caught"
    )
    assert explain_stop(["1"] * 4, 8, "beta", 0.95) == "stopped after 4 of 8 chains: posterior 0.969 >= 0.95"
