from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scale_reasoning.engines import sse
from scale_reasoning.engines.sse import EventReader
from scale_reasoning.errors import Malformed

lines = st.text(alphabet=st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=12)
bodies = st.lists(st.lists(lines, min_size=1, max_size=3), max_size=5)
line_ends = st.sampled_from(["\n", "\r\n"])
cuts = st.lists(st.integers(min_value=0, max_value=400), max_size=12)


def chunks(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    return [stream[a:b] for a, b in pairwise(places)]


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [data for piece in pieces for data in reader.feed(piece)] + reader.end()


@given(bodies, line_ends, cuts)
def test_events_come_back_as_they_were_written_wherever_the_stream_is_cut(
    events: list[list[str]], end: str, cuts: list[int]
) -> None:
    stream = "".join("".join(f"data: {line}{end}" for line in event) + end for event in events).encode()
    assert read(*chunks(stream, cuts)) == ["\n".join(event).encode() for event in events]


@given(st.binary(max_size=200) | st.text(alphabet="data: \r\n[]x", max_size=80).map(str.encode), cuts)
def test_any_bytes_give_the_same_events_wherever_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    assert read(*chunks(stream, cuts)) == read(stream)


@given(
    bodies, st.lists(st.sampled_from([": ping", "event: message", "id: 7", "retry: 10", "nonsense", ":"]), max_size=3)
)
@example([["a"], ["b"]], [": ping"])
def test_comments_and_other_fields_are_passed_over(events: list[list[str]], others: list[str]) -> None:
    noise = "".join(f"{other}\n" for other in others)
    stream = "".join(noise + "".join(f"data: {line}\n" for line in event) + noise + "\n" for event in events)
    assert read(stream.encode()) == ["\n".join(event).encode() for event in events]


def test_the_space_after_the_colon_may_be_missing_and_only_one_is_taken() -> None:
    assert read(b"data:a\n\ndata: b\n\ndata:  c\n\n") == [b"a", b"b", b" c"]


@pytest.mark.parametrize("stream", [b"data: a", b"data: a\n", b"data: a\r\n", b"data: a\n\n"])
def test_the_last_blank_line_may_be_missing(stream: bytes) -> None:
    assert read(stream) == [b"a"]


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\nda") == [b"a"]
    assert reader.feed(b"ta: b\n\n") == [b"b"]
    assert reader.end() == []


def test_a_line_that_never_ends_is_given_up() -> None:
    reader, half = EventReader(), b"x" * (sse.LONGEST_LINE // 2)
    assert reader.feed(half) + reader.feed(half) == []
    with pytest.raises(Malformed, match="a line of over"):
        reader.feed(b"x")
