"""Outcomes of candidates made by hand: of each a text with a letter per problem (r: right), and its tokens."""

from __future__ import annotations

from collections.abc import Sequence

from tests.report.cells import outcome

from scale_reasoning.tuning.drops import Outcomes
from scale_reasoning.types import Usage

Made = tuple[str, int | None]
"""Right (r) or wrong (any other letter) by problem, and the new tokens of each attempt."""


def names(count: int) -> list[str]:
    return [f"p{number:04}" for number in range(count)]


def outcomes(*candidates: Made) -> list[Outcomes]:
    return [
        {
            name: outcome(name, correct=letter == "r", usage=Usage(prompt_tokens=9, completion_tokens=tokens))
            for name, letter in zip(names(len(letters)), letters, strict=True)
        }
        for letters, tokens in candidates
    ]


def take(made: Sequence[Outcomes], *counts: int) -> list[Outcomes]:
    """The outcomes of the first problems of each candidate."""
    return [{name: each[name] for name in names(count)} for each, count in zip(made, counts, strict=True)]
