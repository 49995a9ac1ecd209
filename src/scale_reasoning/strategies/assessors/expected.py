"""The mean of a one-digit rating over its token probabilities (Liu et al. 2023, arXiv 2303.16634): it breaks ties."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp
from typing import ClassVar

from scale_reasoning.ask import ask_completion
from scale_reasoning.errors import ParseError
from scale_reasoning.prompts import load_own
from scale_reasoning.strategies.allocation import HARDEST
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Assessment, Completion, Mode, Stage

ALTERNATIVES = 20
"""Alternatives asked for with each token: the most that servers give."""
MAX_TOKENS = 8
"""Room for a digit, and for a space or a line before it."""
_DIGIT = re.compile(r"\s*([0-9])(?![0-9.])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The model says a digit; the difficulty is the mean digit over 9. Without log-probabilities it is the digit."""

    TOP: ClassVar[int] = 9
    NEEDS_LOGPROBS: ClassVar[bool] = True

    def is_ahead(self) -> bool:
        """See Assessor."""
        return False

    def most_calls(self, tries: int) -> int:
        """See Assessor."""
        return tries

    def most_drafts(self) -> int:
        """See Assessor."""
        return 0

    async def assess(self, subproblem: Subproblem) -> Assessment:
        """See Assessor."""
        prompt = load_own(__file__).fill("assess")
        try:
            return await ask_completion(
                subproblem.lm.at("expected"),
                subproblem.context.assess(subproblem.number, subproblem.text, prompt),
                _read,
                mode=Mode.SYSTEM1,
                stage=Stage.ASSESS,
                tries=subproblem.rules.tries,
                max_tokens=MAX_TOKENS,
                logprobs=ALTERNATIVES,
            )
        except ParseError:
            subproblem.note_unparsed(f"no difficulty could be read: it counts as {HARDEST}")
            return Assessment(assessor="expected", difficulty=HARDEST, fallback="no rating could be read")


def _read(reply: Completion) -> Assessment:
    """Reads a digit and its alternatives. Raises ValueError if the reply does not begin with one digit."""
    found = _DIGIT.match(reply.text)
    if found is None:
        raise ValueError("no digit")
    token = next((each for each in reply.logprobs or () if each.text.strip() == found[1]), None)
    mean = None if token is None else _mean([(token.text, token.logprob), *token.top])
    if mean is None:
        return Assessment(assessor="expected", difficulty=int(found[1]) / 9, fallback="no log-probabilities: the digit")
    return Assessment(assessor="expected", difficulty=mean / 9)


def _mean(alternatives: Iterable[tuple[str, float]]) -> float | None:
    """The mean digit, by probability; alternatives that are no digit do not count."""
    weights = {text.strip(): exp(logprob) for text, logprob in alternatives if re.fullmatch(r"\s*[0-9]\s*", text)}
    total = sum(weights.values())
    return None if not total else sum(int(digit) * weight for digit, weight in weights.items()) / total
