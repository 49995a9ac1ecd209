"""Prices of a user's file: whose they are, what calls cost, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from scale_reasoning.errors import ConfigError
from scale_reasoning.prices import Price, read_prices
from scale_reasoning.types import Mode, Usage

FILE = """
currency = "USD"

[small]
match = ["small", "tiny-\\\\d+b"]
prompt = 1
cached = 0.1
completion = 4

[by-mode]
match = ["hybrid"]
prompt = 1.0
system1 = { completion = 2 }
system2 = { completion = 8.0 }

[rest]
match = [""]
prompt = 0
completion = 0
"""
USAGE = Usage(prompt_tokens=1000, cached_tokens=400, completion_tokens=500)


def write(folder: Path, text: str) -> Path:
    file = folder / "prices.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_first_model_that_matches_has_the_price_and_modes_may_differ(tmp_path: Path) -> None:
    prices = read_prices(write(tmp_path, FILE))
    assert prices.currency == "USD"
    found = {(name, mode): prices.find(name, mode) for name in ("Org/Small-7B", "o/Hybrid", "other") for mode in Mode}
    assert [price and price.completion for price in found.values()] == [4, 4, 2, 8, 0, 0]
    small = prices.find("tiny-2b", Mode.SYSTEM1)
    assert small is not None
    assert small.compute_cost(USAGE) == pytest.approx((600 * 1 + 400 * 0.1 + 500 * 4) / 1e6)


def test_an_unknown_count_makes_a_cost_unknown_only_where_it_matters(tmp_path: Path) -> None:
    prices = read_prices(write(tmp_path, FILE))
    uncached = Usage(prompt_tokens=1000, completion_tokens=500)
    small, hybrid = (prices.find(name, Mode.SYSTEM1) for name in ("small", "hybrid"))
    assert small is not None
    assert hybrid is not None
    assert small.compute_cost(uncached) is None
    assert hybrid.compute_cost(uncached) == pytest.approx((1000 + 500 * 2) / 1e6)
    assert hybrid.compute_cost(Usage(completion_tokens=500)) is None
    assert hybrid.compute_cost(Usage(prompt_tokens=1000)) is None


def test_what_tokens_cost_at_most_needs_no_count_of_cached_ones(tmp_path: Path) -> None:
    small = read_prices(write(tmp_path, FILE)).find("small", Mode.SYSTEM1)
    assert small is not None
    assert small.compute_most(Usage(prompt_tokens=1000, completion_tokens=500)) == pytest.approx((1000 + 2000) / 1e6)
    assert small.compute_most(USAGE) == small.compute_cost(USAGE)
    assert small.compute_most(Usage(completion_tokens=500)) is None
    dear = Price(prompt=1, cached=2, completion=0)
    assert dear.compute_most(Usage(prompt_tokens=1000, completion_tokens=500)) == pytest.approx(2000 / 1e6)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[a]\nmatch = ['a']\nprompt = 1\ncompletion = 1", "currency"),
        ("currency = 5\n[a]\nmatch = ['a']\nprompt = 1\ncompletion = 1", "currency"),
        ("currency = 'USD'", "no prices"),
        ("currency = 'USD'\na = 3", "[a]: must be a table"),
        ("currency = 'USD'\n[a]\nprompt = 1\ncompletion = 1", "match"),
        ("currency = 'USD'\n[a]\nmatch = ['a']\nprompt = 1", "completion"),
        ("currency = 'USD'\n[a]\nmatch = ['a']\nprompt = -1\ncompletion = 1", "prompt"),
        ("currency = 'USD'\n[a]\nmatch = ['a']\nprompt = nan\ncompletion = 1", "price"),
        ("currency = 'USD'\n[a]\nmatch = ['a']\nprompt = 1\ncompletion = 1\ncahced = 1", "cahced"),
        ("currency = 'USD'\n[a]\nmatch = ['(a+)+b']\nprompt = 1\ncompletion = 1", "may take too long"),
        ("currency = 'USD'\n[a]\nmatch = ['(']\nprompt = 1\ncompletion = 1", "match"),
        ("currency = 'USD'\n[a]\nmatch = ['a']", "needs match, and prompt and completion"),
        ("currency = ", "prices.toml"),
    ],
)
def test_a_faulty_file_is_refused_by_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_prices(write(tmp_path, text))
    assert named in str(raised.value)
    assert "prices file" in str(raised.value)


def test_a_model_without_a_price_is_named_with_its_mode(tmp_path: Path) -> None:
    file = write(tmp_path, "currency = 'EUR'\n[big]\nmatch = ['big']\nprompt = 1\ncompletion = 1")
    with pytest.raises(ConfigError, match="no price for small in System 1"):
        read_prices(file).require({Mode.SYSTEM2: "big", Mode.SYSTEM1: "small"})
