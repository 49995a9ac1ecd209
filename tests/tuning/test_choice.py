"""Which finalist is chosen on held-out problems, and the sentence that says why."""

from __future__ import annotations

import pytest
from tests.tuning.made import Made, outcomes

from scale_reasoning.runs.rounds import Tuning
from scale_reasoning.tuning.choice import Choice, advise, choose, weigh

NAMES = {0: "cot", 1: "vote (stop certain)", 2: "scale (route threshold, tau 0.5)"}


def chosen(
    *candidates: Made, tokens: float | None = None, margin: float = 0.02, beaten: bool = False
) -> tuple[Choice, str]:
    tuning = Tuning(rounds=(1,), held_out=1, tokens=tokens, margin=margin)
    made = outcomes(*candidates)
    evidence = {cell: weigh(each, made[0], 0.01) for cell, each in enumerate(made) if cell}
    choice = choose({cell: list(each.values()) for cell, each in enumerate(made)}, evidence, tuning, beaten=beaten)
    return choice, advise(choice, NAMES, tuning)


def right(count: int, of: int = 100, *, last: bool = False) -> str:
    """So many right ones at the start; or at the end, so that two candidates are right on different problems."""
    letters = "r" * count + "-" * (of - count)
    return letters[::-1] if last else letters


def test_what_is_behind_at_more_tokens_is_not_chosen() -> None:
    choice, advice = chosen((right(60), 100), (right(56), 200))
    assert (choice.chosen, choice.rival) == (0, 1)
    assert advice == "Use chain of thought: vote (stop certain) is 4.0 points behind, at 2 times the tokens."


def test_what_is_ahead_by_chance_at_more_tokens_is_not_chosen() -> None:
    choice, advice = chosen((right(60), 100), (right(65, last=True), 200))
    assert (choice.chosen, choice.rival) == (0, 1)
    assert advice.startswith(
        "Nothing here is shown to beat chain of thought, so use that: vote (stop certain) is 5.0 points ahead of chain "
        "of thought (-"
    )
    assert advice.endswith(
        ", at 2 times the tokens. Of 100 problems in all it solves 40 that chain of thought does not, and the reverse "
        "35, which may be chance. About 3,001 problems would show such a difference."
    )


def test_chain_of_thought_that_was_beaten_in_the_rounds_is_chosen_only_if_it_leads_after_all() -> None:
    ahead = (right(60), 100), (right(65, last=True), 200)
    choice, advice = chosen(*ahead, beaten=True)
    assert choice.chosen == 1
    assert advice.startswith("Use vote (stop certain): it is 5.0 points ahead of chain of thought (-")
    assert advice.endswith(
        "at 2 times the tokens, and the rounds have shown chain of thought to be worse than another."
    )
    assert chosen((right(60), 100), (right(50), 200), beaten=True)[0].chosen == 0


def test_the_same_tokens_are_said_in_words() -> None:
    assert ", for the same tokens. Of 100 " in chosen((right(60), 100), (right(80), 100))[1]


def test_what_is_shown_to_be_ahead_is_chosen_at_more_tokens() -> None:
    choice, advice = chosen((right(60), 100), (right(80), 310))
    assert (choice.chosen, choice.rival) == (1, None)
    assert advice.startswith("Use vote (stop certain): it is 20.0 points ahead of chain of thought (+")
    assert advice.endswith(
        ", at 3.1 times the tokens. Of 100 problems in all it solves 20 that chain of thought does not, and the "
        "reverse 0, which is more than chance."
    )


def test_the_cheapest_within_the_margin_of_the_most_accurate_is_chosen() -> None:
    candidates = ((right(60), 100), (right(80), 800), (right(78), 300))
    assert chosen(*candidates)[0].chosen == 2
    assert chosen(*candidates, margin=0.01)[0].chosen == 1
    assert chosen((right(60), 100), (right(80), 800), (right(80), 300), margin=0.0)[0].chosen == 2


def test_a_cheaper_one_that_is_not_shown_better_does_not_hide_one_that_is() -> None:
    choice, _ = chosen((right(60), 100), (right(72), 800), (right(71, last=True), 300))
    assert (choice.evidence[1].shown, choice.evidence[2].shown) == (True, False)
    assert choice.chosen == 1


def test_a_more_accurate_one_that_is_not_shown_better_does_not_hide_one_that_is() -> None:
    choice, advice = chosen((right(60), 100), (right(70), 800), (right(73, last=True), 900))
    assert (choice.evidence[1].shown, choice.evidence[2].shown) == (True, False)
    assert choice.chosen == 1
    assert advice.startswith("Use vote (stop certain): it is 10.0 points ahead of chain of thought (+")


def test_what_is_shown_to_be_ahead_by_no_more_than_the_margin_is_not_worth_more_tokens() -> None:
    """It is ahead on the problems that were tuned on, and hardly on the last 20, which were held out."""
    made = outcomes(("-" * 20 + right(60) + right(12, 20), 100), ("r" * 20 + right(60) + right(13, 20), 300))
    evidence = {1: weigh(made[1], made[0], 0.01)}
    tuning = Tuning(rounds=(120,), held_out=20, margin=0.1)
    choice = choose({cell: list(each.values())[-20:] for cell, each in enumerate(made)}, evidence, tuning)
    assert evidence[1].shown
    assert (choice.chosen, choice.rival) == (0, 1)
    advice = advise(choice, NAMES, tuning)
    assert advice.startswith("Use chain of thought: vote (stop certain) is 5.0 points ahead of chain of thought (-")
    assert advice.endswith(", at 3 times the tokens, and up to 10 points are not worth more tokens.")


def test_without_known_tokens_the_most_accurate_of_those_shown_to_be_ahead_is_chosen() -> None:
    assert chosen((right(60), None), (right(80), None), (right(81), None))[0].chosen == 2


def test_many_times_the_tokens_are_written_without_an_exponent() -> None:
    assert ", at 120 times the tokens" in chosen((right(60), 10), (right(80), 1234))[1]


def test_what_saves_tokens_and_is_not_shown_to_be_worse_is_chosen() -> None:
    choice, advice = chosen((right(60), 100), (right(59), 40))
    assert choice.chosen == 1
    assert advice.startswith("Use vote (stop certain): it is 1.0 points behind chain of thought (-")
    assert advice.endswith(", at 0.4 times the tokens, and it is not shown to be worse.")


def test_what_saves_tokens_but_is_far_behind_is_not_chosen() -> None:
    assert chosen((right(60), 100), (right(30), 10))[0].chosen == 0


def test_within_a_limit_the_most_accurate_is_chosen() -> None:
    candidates = ((right(60), 100), (right(90), 800), (right(80), 300))
    assert chosen(*candidates, tokens=300)[0].chosen == 2
    assert chosen(*candidates, tokens=299)[0].chosen == 0


def test_within_a_limit_that_chain_of_thought_does_not_keep_the_best_of_the_rest_is_chosen() -> None:
    choice, advice = chosen((right(60), 100), (right(30), 10), (right(20), 5), tokens=50)
    assert choice.chosen == 1
    assert advice.startswith(
        "Use vote (stop certain), the most accurate within 50 tokens per problem, which chain of thought does not keep "
        "to: it is 30.0 points behind chain of thought"
    )


def test_a_limit_that_nothing_keeps_is_said_with_the_cheapest() -> None:
    choice, advice = chosen((right(60), 100), (right(80), 40), tokens=10)
    assert choice.chosen is None
    assert advice == "No candidate keeps to 10 tokens per problem: vote (stop certain) spends 40, the fewest."


@pytest.mark.parametrize(("tokens", "picked"), [(None, 0), (1000.0, 0)])
def test_tokens_that_are_unknown_save_nothing_and_keep_no_limit(tokens: float | None, picked: int) -> None:
    choice, _ = chosen((right(60), 100), (right(60), None), tokens=tokens)
    assert choice.chosen == picked
    assert choice.measured[1].tokens is None
    unknown, advice = chosen((right(60), None), (right(60), None), tokens=1000.0)
    assert (unknown.chosen, advice) == (
        None,
        "No candidate keeps to 1000 tokens per problem: their tokens are unknown.",
    )


def test_if_all_others_are_dropped_chain_of_thought_is_left() -> None:
    choice, advice = chosen((right(60), 100))
    assert choice.chosen == 0
    assert advice == "Use chain of thought: no other candidate is left that could be better."


def test_intervals_of_differences_hold_for_all_finalists_at_once() -> None:
    alone = chosen((right(60), 100), (right(70, last=True), 100))[0].measured[1]
    both = chosen((right(60), 100), (right(70, last=True), 100), (right(50), 100))[0].measured[1]
    assert alone.low is not None
    assert both.low is not None
    assert both.low < alone.low
