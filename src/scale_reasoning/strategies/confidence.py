"""How sure a model was of a text that it wrote, by the log-probabilities of its tokens.

A number that a model is not sure of is the first sign of a wrong result, so the tokens with digits count by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from statistics import fmean
from typing import Literal, TypeAlias

from scale_reasoning.types import Token

Over: TypeAlias = Literal["digits", "all"]


def compute_confidence(tokens: Sequence[Token] | None, over: Over = "digits") -> float | None:
    """The geometric mean of the tokens' probabilities, in [0, 1]; None where there are no log-probabilities.

    digits: of the tokens that have a digit; of all where none has one.
    """
    if not tokens:
        return None
    counted = [token.logprob for token in tokens if over == "all" or any(map(str.isdigit, token.text))]
    return min(1.0, exp(fmean(counted or [token.logprob for token in tokens])))
