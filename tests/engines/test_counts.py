from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.engines.counts import Counts, read_counts
from scale_reasoning.types import Usage


@pytest.mark.parametrize(
    ("usage", "apart"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 1030, "reasoning_tokens": 1000}, True),
        ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 1030}, True),
        ({"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 70, "reasoning_tokens": 60}, True),
        ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "reasoning_tokens": 15}, False),
        ({"prompt_tokens": 10, "completion_tokens": 20, "reasoning_tokens": 15}, False),
        ({"prompt_tokens": 10, "total_tokens": 30}, False),
        ({}, False),
        (None, False),
        ([], False),
    ],
)
def test_reasoning_that_is_counted_apart_is_told_from_reasoning_within(usage: Any, apart: bool) -> None:
    assert read_counts(usage).reasoning_is_apart == apart


keys = st.sampled_from([
    "prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens", "input_tokens",
    "completion_tokens_details", "prompt_tokens_details",
])  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(json_values, min_size=1, max_size=3), st.booleans())
def test_whatever_is_called_usage_has_counts_that_are_whole_numbers_or_unknown(usages: list[Any], empty: bool) -> None:
    counts = Counts()
    for usage in usages:
        counts.add(read_counts(usage))
    found = counts.usage(empty=empty)
    for count in (found.prompt_tokens, found.completion_tokens, found.reasoning_tokens, found.cached_tokens):
        assert count is None or (type(count) is int and count >= 0)
    assert found.prompt_tokens != 0
    assert empty or found.completion_tokens != 0


def test_a_later_usage_without_counts_takes_nothing_back() -> None:
    counts = read_counts({"prompt_tokens": 10, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 3}})
    for nothing in ({}, {"prompt_tokens": 0, "completion_tokens": 0}, {"completion_tokens": None}, []):
        counts.add(read_counts(nothing))
    assert counts.usage(empty=False) == Usage(prompt_tokens=10, completion_tokens=20, cached_tokens=3)
