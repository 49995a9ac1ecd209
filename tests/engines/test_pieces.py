from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.engines.pieces import Pieces, join_pieces

halves = st.lists(st.sampled_from(["\ud83d", "\ude00", "\ud83d\ude00", "a", "é", "", "a\ud83d", "\ude00b"]), max_size=8)


def taken(pieces: list[str]) -> str:
    found = Pieces()
    return "".join(map(found.add, pieces)) + found.end()


@given(halves)
def test_halves_of_characters_are_joined_wherever_they_are_cut(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert taken(pieces) == taken([text]) == taken(list(text))
    assert taken(pieces).encode().decode() == taken(pieces)
    assert taken(pieces).count("\U0001f600") == text.count("\ud83d\ude00")


@given(st.lists(st.text(min_size=1), min_size=3))
def test_pieces_that_each_hold_all_before_them_are_noticed(pieces: list[str]) -> None:
    found = Pieces()
    grown = list(accumulate(pieces))
    for piece in grown:
        found.add(piece)
    assert found.repeats == (len(grown[-1]) >= 16)
    assert found.last == grown[-1]


@pytest.mark.parametrize(
    "pieces",
    [
        ["\n", "\n", "The answer is 12, because twelve is what is left."],
        ["1", "1", "1", "1"],
        ["1", "12", "123"],
        ["The ", "The answer is 12, because twelve is what is left."],
        ["The answer is twelve.", "The answer is twelve."],
        ["0" * 20, "0" * 20, "0" * 20],
        ["The answer is twelve, because", "it is."],
    ],
)
def test_pieces_that_only_begin_alike_are_not_taken_for_the_whole(pieces: list[str]) -> None:
    found = Pieces()
    for piece in pieces:
        found.add(piece)
    assert not found.repeats


def test_messages_that_each_hold_the_whole_are_one_text() -> None:
    assert join_pieces(["It", "It is", "", "It is 4."]) == "It is 4."
    assert join_pieces(["It ", "is ", "4."]) == "It is 4."
    assert join_pieces(["4", "4"]) == "44"
    assert join_pieces([]) == join_pieces([""]) == ""
