"""What follows from ten questions, rule by rule, and what is counted in the replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from scale_reasoning.runs.advice import BOXED, CHEAPER, EASY, HARD, MEASURED, RATED, RULES, choose, judge, say_share
from scale_reasoning.runs.figures import Asked, ByKind, Figures, Measured, Reply, count_replies
from scale_reasoning.types import Mode

ONE, TWO = Mode.SYSTEM1, Mode.SYSTEM2
LIMITS = {ONE: 256, TWO: 1024}


def by_mode(one: Any, two: Any) -> Mapping[Mode, Any]:
    return {ONE: one, TWO: two}


GOOD = Figures(
    of=ByKind(5, 5),
    right=by_mode(ByKind(5, 2), ByKind(5, 5)),
    tokens=by_mode(ByKind(31, 60), ByKind(190, 320)),
    lost=by_mode(0, 0),
    cut=by_mode(0, 1),
    limits=LIMITS,
    easy_ratings=(0.05, 0.1, 0.1, 0.1, 0.2),
    hard_ratings=(0.3, 0.6, 0.6, 0.7, 0.15),
    tau=0.5,
)
ALIKE = {"easy_ratings": (0.0, 0.1, 0.0, 0.1, 0.0), "hard_ratings": (0.0, 0.1, 0.1, 0.1, 0.0)}
LOW = {"easy_ratings": (0.05, 0.1, 0.1, 0.1, 0.1), "hard_ratings": (0.3, 0.4, 0.4, 0.3, 0.4)}
HIGH = {"easy_ratings": (0.6, 0.6, 0.6, 0.6, 0.6), "hard_ratings": (0.8, 0.9, 0.9, 0.9, 0.9)}
ROWS: list[tuple[str, dict[str, Any], str, str, str]] = [
    (CHEAPER, {"tokens": by_mode(None, ByKind(9, 9))}, "unknown", "does not count", ""),
    (
        CHEAPER, {"tokens": by_mode(ByKind(100, 300), ByKind(90, 200))}, "no",
        "it takes more than System 2: 100 against 90 tokens for one operation, 300 against 200 for several", "cot",
    ),
    (
        CHEAPER, {"tokens": by_mode(ByKind(188, 188), ByKind(192, 192))}, "no",
        "the modes do not differ here: 188 against 192 tokens for one operation", "--strategy cot",
    ),
    (CHEAPER, {}, "yes", "a sixth of the tokens: 31 against 190 tokens for one operation, 60 against 320 for", ""),
    (
        EASY, {"right": by_mode(ByKind(3, 2), ByKind(5, 5))}, "no",
        "right on 3 of 5 questions of one operation (System 2: 5 of 5)", "--system1-model",
    ),
    (EASY, {}, "yes", "right on the easy ones (5 of 5) for a sixth of the tokens (31 against 190)", ""),
    (HARD, {}, "yes", "right on 5 of 5 questions of several operations, System 1 on 2 of 5", ""),
    (
        HARD, {"right": by_mode(ByKind(5, 5), ByKind(5, 5))}, "unknown",
        "System 1 is right on them, too (5 of 5, System 2 on 5 of 5)", "scale eval",
    ),
    (
        HARD, {"right": by_mode(ByKind(5, 1), ByKind(5, 2))}, "no",
        "right on 2 of 5 questions of several operations, System 1 on 1 of 5", "--model",
    ),
    (BOXED, {"cut": by_mode(4, 0)}, "no", "4 of 10 System 1 replies were cut off at 256 tokens", "--profiles"),
    (BOXED, {"lost": by_mode(6, 0)}, "no", "the box is lost in 6 of 10 System 1 replies", "--prompts"),
    (BOXED, {"lost": by_mode(2, 3)}, "no", "the box is lost in 3 of 10 System 2 replies", "--prompts"),
    (BOXED, {"cut": by_mode(0, 3)}, "unknown", "3 of 10 System 2 replies were cut off at 1,024 tokens", "scale eval"),
    (BOXED, {"lost": by_mode(1, 0)}, "yes", "in 9 of 10 System 1 replies, 9 of 10 of System 2", ""),
    (RATED, {"hard_ratings": ()}, "no", "5 of 10 ratings could be read", "schema"),
    (RATED, ALIKE, "no", "it rates everything alike (0.00 to 0.10)", "--route system2"),
    (
        RATED, {"hard_ratings": GOOD.easy_ratings, "easy_ratings": GOOD.hard_ratings}, "no",
        "0.05 to 0.70, but several operations are rated above one in 1 of 25 pairs", "--set share=0.5",
    ),
    (RATED, LOW, "no", "rated above one in 25 of 25 pairs; but none is above tau (0.5)", "--tau 0.22"),
    (RATED, HIGH, "no", "but all are above tau (0.5)", "--tau 0.74"),
    (RATED, {}, "yes", "0.05 to 0.70; several operations are rated above one in 24 of 25 pairs", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "verdict", "found", "fix"), ROWS)
def test_each_rule_says_what_it_found_and_what_to_do(
    name: str, changes: dict[str, Any], verdict: str, found: str, fix: str
) -> None:
    figures = replace(GOOD, **changes)
    finding = choose(name, figures).find(figures)
    assert (finding.verdict, found in finding.found) == (verdict, True), finding
    assert fix in finding.fix
    assert bool(finding.cost) == (verdict == "no")
    assert "%" not in finding.found


def test_the_rows_above_are_the_table() -> None:
    chosen = [choose(name, replace(GOOD, **changes)) for name, changes, *_ in ROWS]
    assert chosen == list(RULES)


def test_equal_ratings_count_as_half_a_pair_in_order() -> None:
    assert replace(GOOD, easy_ratings=(0.1, 0.4), hard_ratings=(0.4, 0.5)).ordered == 3.5


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.79, "three quarters"), (0.66, "two thirds"), (0.45, "half"), (0.1667, "a sixth"), (0.09, "a tenth"),
     (0.02, "less than a tenth")],
)  # fmt: skip
def test_a_share_is_said_in_words(share: float, words: str) -> None:
    assert say_share(share) == words


def asked(
    several: bool, tokens: tuple[int | None, int | None] = (10, 90), *, one: str = "right", rating: float | None = 0.3
) -> Asked:
    first = Reply(tokens=tokens[0], right=one == "right", boxed=one in ("right", "wrong"), cut_off=one == "cut")
    second = Reply(tokens=tokens[1], right=True, boxed=True, cut_off=False)
    return Asked(several=several, replies={ONE: first, TWO: second}, difficulty=rating)


def measured(*replies: Asked, late: int = 0, failures: tuple[str, ...] = ()) -> Measured:
    return Measured(asked=replies, late=late, failures=failures, seconds=12.0, limits=LIMITS)


def test_replies_are_counted_by_mode_and_kind() -> None:
    replies = (
        asked(False, (10, 90)), asked(False, (30, 70), one="wrong"), asked(False, (20, 80), rating=None),
        asked(True, (50, 200), one="lost", rating=0.7), asked(True, (256, 100), one="cut", rating=0.8),
    )  # fmt: skip
    figures = count_replies(measured(*replies))
    assert figures.of == (3, 2)
    assert figures.right == {ONE: (2, 0), TWO: (3, 2)}
    assert figures.tokens == {ONE: (20, 153), TWO: (80, 150)}
    assert figures.lost == {ONE: 1, TWO: 0}
    assert figures.cut == {ONE: 1, TWO: 0}
    assert (figures.easy_ratings, figures.hard_ratings) == ((0.3, 0.3), (0.7, 0.8))


def test_tokens_are_unknown_as_soon_as_one_reply_was_not_counted() -> None:
    figures = count_replies(measured(asked(False, (None, 5)), asked(True)))
    assert figures.tokens == {ONE: None, TWO: (5, 90)}
    assert figures.share is None


def test_all_findings_have_names_in_order_and_the_first_says_that_it_is_a_hint() -> None:
    findings = judge(measured(*(asked(several) for several in (False, True) * 5)))
    assert [finding.name for finding in findings] == [MEASURED, CHEAPER, EASY, HARD, BOXED, RATED]
    assert findings[0].found == "10 small questions in each mode, in 12 s: a hint, not a measurement"


def test_what_was_left_out_is_said_and_too_few_questions_say_nothing() -> None:
    some = judge(measured(*(asked(several) for several in (False, True) * 3), late=3, failures=("no route",)))
    assert len(some) == 6
    assert (some[0].verdict, some[0].found) == (
        "unknown",
        "6 of 10 questions in 12 s; 3 had no answers in time; 1 failed: no route",
    )
    few = judge(measured(*(asked(several) for several in (False, True, False)), late=7))
    assert len(few) == 1
    assert "too few to say" in few[0].found
