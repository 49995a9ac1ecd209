from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.engines.think import ThinkSplitter, find_open_thought
from scale_reasoning.profiles import FINAL, KNOWN_MARKS
from scale_reasoning.types import THINK, Delta, Marks

OPEN, CLOSE = THINK

# Words that make tags, halves of tags and what stands around them likely.
words = st.sampled_from([OPEN, CLOSE, "<", "</", "think>", "<thi", "nk", "\n", " ", "a", "Four.", "é", "<think"])
replies = st.lists(words, max_size=8).map("".join)
cuts = st.lists(st.integers(min_value=0, max_value=60), max_size=10)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [text[a:b] for a, b in pairwise(places)]


def split(
    *pieces: str, inside: bool = False, cut_off: bool = False, think: Marks = THINK
) -> tuple[tuple[str, str], tuple[str, str]]:
    """(text, reasoning) of the deltas, and of the whole."""
    splitter = ThinkSplitter(inside=inside, think=think)
    found = [splitter.feed(piece) for piece in pieces] + [splitter.end()]
    deltas = [delta for delta in found if delta is not None]
    told = "".join(delta.text for delta in deltas), "".join(delta.reasoning for delta in deltas)
    assert told == splitter.emitted
    assert Delta() not in deltas
    return told, splitter.split(cut_off=cut_off)


@given(replies, cuts, st.booleans(), st.booleans())
def test_where_the_reply_is_cut_into_pieces_changes_nothing(
    reply: str, cuts: list[int], inside: bool, cut_off: bool
) -> None:
    whole = split(reply, inside=inside, cut_off=cut_off)
    assert split(*pieces(reply, cuts), inside=inside, cut_off=cut_off) == whole
    assert split(*reply, inside=inside, cut_off=cut_off) == whole


@given(st.text(), cuts)
def test_text_without_marks_is_untouched(reply: str, cuts: list[int]) -> None:
    marks = {mark for pair in KNOWN_MARKS for mark in pair} | {"analysis"}
    if not any(mark in reply for mark in marks):
        assert split(*pieces(reply, cuts)) == ((reply, ""), (reply, ""))


@given(replies, st.booleans(), st.booleans())
def test_nothing_is_lost_but_white_space_and_the_tags_that_part(reply: str, inside: bool, cut_off: bool) -> None:
    _, (text, reasoning) = split(reply, inside=inside, cut_off=cut_off)
    if cut_off:  # a thought that was left open may stand after the text
        assert Counter(reasoning + text) <= Counter(reply)
    else:
        left = iter(reply)
        assert all(character in left for character in reasoning + text)  # in the reply's order
    lost = len("".join(reply.split())) - len("".join((reasoning + text).split()))
    assert lost in {opened * len(OPEN) + closed * len(CLOSE) for opened in (0, 1) for closed in (0, 1, 2)}


@given(replies, cuts)
def test_what_is_told_is_what_is_meant_unless_a_tag_comes_too_late(reply: str, cuts: list[int]) -> None:
    told, parts = split(*pieces(reply, cuts))
    assert told == parts or CLOSE in told[0]


@pytest.mark.parametrize(
    ("reply", "text", "reasoning"),
    [
        ("<think>\nHm.\n</think>\n\nFour.", "Four.", "Hm.\n"),
        ("\n <think>Hm.</think>Four.", "Four.", "Hm."),
        ("<think>\n\n</think>\n\nFour.", "Four.", ""),
        ("<think></think>Four.", "Four.", ""),
        ("<think>Hm.", "", "Hm."),
        ("<think>Hm.</thi", "", "Hm.</thi"),
        ("<think>", "", ""),
        ("<thi", "<thi", ""),
        ("  ", "  ", ""),
        ("", "", ""),
        ("Hm.</think>Four.", "Four.", "Hm."),
        ("</think>\n\nFour.", "Four.", ""),
        ("The tag <think> opens.", "The tag <think> opens.", ""),
        ("<think>a</think>b <think>c", "b <think>c", "a"),
    ],
)
def test_a_thought_is_parted_from_the_reply(reply: str, text: str, reasoning: str) -> None:
    _, parts = split(reply)
    assert parts == (text, reasoning)


@pytest.mark.parametrize(
    ("reply", "text", "reasoning"),
    [
        ("Hm.</think>\n\nFour.", "Four.", "Hm."),
        ("<think>\nHm.</think>Four.", "Four.", "Hm."),
        ("</think>Four.", "Four.", ""),
        ("<think>Hm.", "", "Hm."),
    ],
)
@pytest.mark.parametrize("cut_off", [False, True])
def test_a_thought_that_the_template_opened_ends_with_its_tag(
    reply: str, text: str, reasoning: str, cut_off: bool
) -> None:
    assert split(reply, inside=True, cut_off=cut_off) == ((text, reasoning), (text, reasoning))


def test_a_thought_only_assumed_is_text_when_complete_and_reasoning_when_cut_off() -> None:
    assert split("Four.", inside=True) == (("", "Four."), ("Four.", ""))
    assert split("Four.", inside=True, cut_off=True) == (("", "Four."), ("", "Four."))


@pytest.mark.parametrize("inside", [False, True])
def test_where_the_server_parts_reasoning_itself_its_content_is_text(inside: bool) -> None:
    splitter = ThinkSplitter(inside=inside)
    splitter.disable()
    content = "\n<think> and </think> are tags."
    deltas = [splitter.feed(piece) for piece in content]
    assert splitter.end() is None
    assert deltas == [Delta(text=piece) for piece in content]
    assert splitter.split(cut_off=False) == (content, "")


OWN = ("((", "))")
"""The marks of no family that is known."""

marked = st.sampled_from((*KNOWN_MARKS, OWN)).flatmap(
    lambda marks: st.tuples(
        st.just(marks),
        st.lists(
            st.sampled_from(
                [*marks, marks[0][:4], marks[0][4:], marks[1][:3], marks[1][3:], "<", "\n", " ", "a", "5."]
            ),
            max_size=8,
        ).map("".join),
    )
)


@given(marked, cuts, st.booleans(), st.booleans())
def test_where_a_reply_with_any_marks_is_cut_changes_nothing(
    marked: tuple[Marks, str], cuts: list[int], inside: bool, cut_off: bool
) -> None:
    think, reply = marked
    whole = split(reply, inside=inside, cut_off=cut_off, think=think)
    assert split(*pieces(reply, cuts), inside=inside, cut_off=cut_off, think=think) == whole
    assert split(*reply, inside=inside, cut_off=cut_off, think=think) == whole


@pytest.mark.parametrize("think", [THINK, OWN])
@pytest.mark.parametrize("marks", KNOWN_MARKS)
def test_a_reply_that_opens_with_any_known_mark_is_thought_whatever_the_familys(marks: Marks, think: Marks) -> None:
    opening, close = marks
    body = "<|message|>" if close == FINAL else ""
    assert split(opening, "Hm.", close, body, "\nFour.", think=think)[1] == ("Four.", "Hm.")
    assert split(f" {opening}Hm. \\boxed{{7}}", cut_off=True, think=think)[1] == ("", "Hm. \\boxed{7}")


@pytest.mark.parametrize("inside", [False, True])
def test_a_thought_of_the_familys_own_marks_is_parted(inside: bool) -> None:
    begun = "" if inside else "(("
    assert split(f"{begun}Hm.", "))Four.", inside=inside, think=OWN)[1] == ("Four.", "Hm.")
    assert split(f"{begun}Hm.", inside=inside, think=OWN, cut_off=True)[1] == ("", "Hm.")
    assert split("((Hm.))Four.")[1] == ("((Hm.))Four.", "")


@pytest.mark.parametrize("mark", ["<think>", "[THINK]", "<|channel|>analysis<|message|>"])
def test_a_thought_that_a_cut_off_reply_left_open_is_no_text_wherever_it_began(mark: str) -> None:
    assert split(f"Hm.\n{mark}\\boxed{{7}}", cut_off=True)[1] == ("Hm.\n", f"{mark}\\boxed{{7}}")
    assert split(f"Hm.\n{mark}\\boxed{{7}}")[1] == (f"Hm.\n{mark}\\boxed{{7}}", "")


@pytest.mark.parametrize(
    ("prompt", "marks"),
    [
        ("user: 2 + 2?\nassistant: <think>\n", THINK),
        ("[INST]2 + 2?[/INST][THINK]", ("[THINK]", "[/THINK]")),
        ("<|turn>model\n<|channel>thought\n", ("<|channel>thought", "<channel|>")),
        ("assistant: ((", OWN),
        ("assistant: <think>\n\n</think>\n\n", None),
        ("assistant:", None),
    ],
)
def test_the_thought_that_a_prompt_opens_is_known_by_its_marks(prompt: str, marks: Marks | None) -> None:
    assert find_open_thought(prompt, OWN) == marks


@pytest.mark.parametrize("here", ["Here is", "Here's"])
def test_marks_that_are_sentences_part_a_thought_that_is_closed_or_cut_off(here: str) -> None:
    opened = f"{here} my thought process:\nMaybe \\boxed{{7}}."
    assert split(f"{opened}\n{here} my response:\n\\boxed{{42}}")[1][0] == "\\boxed{42}"
    assert split(opened, cut_off=True)[1] == ("", opened)
    assert split(opened)[1] == (opened, "")
