"""`scale list`: every name of a table with what it is, and every option with its default and help."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from scale_reasoning.arithmetic.problems import LEVELS
from scale_reasoning.cli import main
from scale_reasoning.datasets import ABOUT, DATASETS
from scale_reasoning.profiles import list_families
from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.strategies.allocators import ALLOCATORS, SHORT_NAMES
from scale_reasoning.strategies.assessors import ASSESSORS
from scale_reasoning.strategies.options import options_of

TABLES: dict[str, dict[str, type[Any]]] = {
    "strategies": STRATEGIES, "allocators": ALLOCATORS, "assessors": ASSESSORS
}  # fmt: skip


@pytest.mark.parametrize("what", TABLES)
def test_every_name_and_option_of_a_table_is_listed(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [" ".join(line.split()) for line in lines]
    for name, shape in TABLES[what].items():
        at = starts.index(next(line for line in starts if line.startswith(f"{name} ")))
        rest = lines[at + 1 :]
        for each in fields(shape):
            place = next(n for n, line in enumerate(rest) if line.split()[:1] == [each.name])
            assert place <= 40
            option = options_of(shape).get(each.name)
            assert option is None or option.help.split()[0] in rest[place]
            assert option is None or option.default in (None, "") or str(option.default) in rest[place]


def test_short_words_are_listed_with_what_they_stand_for(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "allocators"])
    shown = capsys.readouterr().out
    for word, (name, _) in SHORT_NAMES.items():
        assert f"Short for {name}, mode {word}." in shown


def test_what_cannot_be_listed_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["list", "routers"])
    assert ended.value.code == 2
    assert "allocators" in capsys.readouterr().err


def test_the_help_of_a_part_s_flag_has_its_names_and_says_where_more_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["solve", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--route NAME what is spent on a step: threshold, always, random," in shown
    assert "see scale list allocators" in shown
    assert "--assess NAME how the difficulty of a step is assessed: rated," in shown
    assert "see scale list assessors" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--route", "escalate", "--set", "route.accept=0.5"),
        ("--route", "escalate", "--set", "accept=0.5"),
        ("--strategy", "scale:route=escalate,accept=0.5"),
    ],
)
def test_an_allocator_s_option_is_set_by_its_path_or_its_name(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "arithmetic", "--limit", "1", "--dry-run", "--model", "arithmetic-teacher", *words]) == 0
    assert "scale (route escalate, accept 0.5)" in capsys.readouterr().out


def test_the_help_of_the_level_has_every_level_of_arithmetic(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    assert f"level of arithmetic: {', '.join(LEVELS)}" in " ".join(capsys.readouterr().out.split())


def test_every_family_is_listed_with_what_its_modes_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "families"]) == 0
    shown = capsys.readouterr().out
    listed = [line.split()[0] for line in shown.splitlines()[1:] if line[:1].strip()]
    assert listed == [family.name for family in list_families()]
    (qwen3,) = (" ".join(line.split()) for line in shown.splitlines() if line.startswith("qwen3 "))
    assert qwen3.startswith("qwen3 thinking off, 8,192 thinks, 32,768 40,960")


def test_every_dataset_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(ABOUT) == set(DATASETS)
    assert main(["list", "datasets"]) == 0
    shown = capsys.readouterr().out
    for name, about in ABOUT.items():
        assert f"{name} " in shown
        assert about in shown
