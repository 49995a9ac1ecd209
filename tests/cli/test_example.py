"""`scale example`, which is `make run`: which model solves which problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import scale

from scale_reasoning.arithmetic.reading import is_in_letters
from scale_reasoning.cli.example import GENERAL, LETTERS
from scale_reasoning.engines.catalogue import DEFAULT_MODEL, EMBEDDED_MODELS


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """An empty cache, and neither an index nor a Hub."""
    return {
        "XDG_CACHE_HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip


def test_the_student_gets_its_own_kind_of_problem() -> None:
    assert is_in_letters(LETTERS.text)
    assert not is_in_letters(GENERAL.text)


@pytest.mark.slow
def test_where_the_default_model_cannot_be_had_one_line_says_so_and_the_student_takes_its_place(
    offline: dict[str, str],
) -> None:
    done = scale("example", env=offline)
    said = [line for line in done.stderr.splitlines() if "the student solves its own example" in line]
    assert len(said) == 1
    assert said[0].startswith(f"scale: {DEFAULT_MODEL} cannot be fetched")
    assert done.returncode == 2, "nor can the student be had"
    assert "scale: error: smollm2 could not be fetched" in done.stderr


@pytest.mark.slow
def test_a_model_that_was_named_is_not_replaced(offline: dict[str, str]) -> None:
    done = scale("example", DEFAULT_MODEL, env=offline)
    assert done.returncode == 2
    assert f"scale: error: {DEFAULT_MODEL} could not be fetched" in done.stderr
    assert "student" not in done.stderr


def test_a_name_that_is_not_in_the_catalogue_is_an_error_that_names_those_that_are() -> None:
    done = scale("example", "qwen9")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there are {', '.join(EMBEDDED_MODELS)}\n" in done.stderr


@pytest.mark.slow
@pytest.mark.llama
def test_the_student_solves_its_example() -> None:
    done = scale("example", "student")
    assert (done.returncode, done.stdout) == (0, "629\n")
