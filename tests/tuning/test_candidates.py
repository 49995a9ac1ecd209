"""Which strategies a tuning tries: the table, files of the user's, and what a model cannot run."""

from __future__ import annotations

from pathlib import Path

import pytest

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies import describe, make, name_in_words
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.tuning.candidates import (
    choose_first,
    drop_repeats,
    find_modes,
    list_modes,
    needs_logprobs,
    read_candidates,
    select_possible,
)
from scale_reasoning.types import Mode

BOTH = frozenset(Mode)


def made() -> list[Strategy]:
    return [make(str(each["name"]), {k: v for k, v in each.items() if k != "name"}) for each in read_candidates()]


def test_the_table_has_twenty_distinct_strategies_that_can_be_made() -> None:
    strategies = made()
    assert len(drop_repeats(strategies)) == len(strategies) == 20
    assert strategies[0] == CoT()
    assert len({name_in_words(describe(each)) for each in strategies}) == 20


def test_a_list_makes_one_candidate_per_value(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[[strategies]]\nname = "vote"\nsamples = [4, 8]\nstop = ["certain", "beta"]\n')
    assert [(each["samples"], each["stop"]) for each in read_candidates(tmp_path / "own.toml")] == [
        (4, "certain"), (4, "beta"), (8, "certain"), (8, "beta"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"must have \[\[strategies\]\], each with a name"),
        ("strategies = [3]", "each with a name"),
        ("[[strategies]]\nsamples = 3", "each with a name"),
        ('samples = 8\n[[strategies]]\nname = "cot"', "samples"),
        ("[[strategies", "candidates in "),
        (f'[[strategies]]\nname = "cot"\nsystem2_max_tokens = {list(range(1, 202))}', "201 candidates; at most 200"),
    ],
)
def test_a_file_that_is_no_table_of_candidates_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_candidates(tmp_path / "own.toml")


def test_what_needs_a_mode_that_the_model_has_not_is_left_out_with_the_reason() -> None:
    fitting = select_possible(made(), frozenset({Mode.SYSTEM2}), logprobs=True)
    assert {each for strategy in fitting.strategies for each in list_modes(strategy)} == {Mode.SYSTEM2}
    (line,) = fitting.left_out
    assert line.startswith("left out, because the model has no System 1: cot (mode system1); vote (mode system1")
    assert "scale (route system2)" in line


def test_what_needs_log_probabilities_is_left_out_where_there_are_none() -> None:
    fitting = select_possible(made(), BOTH, logprobs=False)
    assert len(fitting.strategies) == 16
    assert not any(map(needs_logprobs, fitting.strategies))
    (line,) = fitting.left_out
    assert line.startswith("left out, because the server gives no log-probabilities: scale (route threshold, tau 0.3")
    assert select_possible(made(), BOTH, logprobs=True).left_out == ()


def test_a_part_of_a_part_that_needs_log_probabilities_counts() -> None:
    assert needs_logprobs(make("vote", {"base": "scale", "base.assess": "calibrated"}))
    assert not needs_logprobs(make("vote", {"base": "scale", "base.assess": "agreement"}))


def test_the_first_row_is_chain_of_thought_in_the_mode_that_a_user_would_take() -> None:
    assert choose_first(BOTH) == {"name": "cot", "mode": "system2"}
    assert choose_first(frozenset({Mode.SYSTEM1})) == {"name": "cot", "mode": "system1"}


def test_a_mode_may_come_from_another_model() -> None:
    assert find_modes(ModelSpec(model="QwQ-32B", base_url="http://x/v1")) == {Mode.SYSTEM2}
    both = ModelSpec(model="QwQ-32B", base_url="http://x/v1", system1_model="Qwen/Qwen3-32B")
    assert find_modes(both) == BOTH
