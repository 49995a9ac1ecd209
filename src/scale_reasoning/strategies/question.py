"""The problem's own question, for `last_step = "question"`: its last sentence that asks.

A heuristic on the text alone, where the authors spend a model call; when no sentence asks, the whole text stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"""(?<=[.?!])\s+(?=[A-Z$\\("'])|(?<=[.?!][$)"'])\s+(?=[A-Z$\\("'])""")
_ORDERS = re.compile(
    r"(?:.*\b(?:,|then|and)\s+)?(?:find|compute|determine|calculate|evaluate|express|prove|show|give|solve|simplify|write)\b",
    re.IGNORECASE | re.DOTALL,
)


def question_of(problem: str) -> str:
    """The last sentence of `problem` that ends in a question mark or orders something found, else `problem` itself."""
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(problem.strip())]
    return next((s for s in reversed(sentences) if "?" in s[-3:] or _ORDERS.match(s)), problem.strip())


_CONDITION = re.compile(
    r"(?:if|when|given that|assuming|suppose)\b\s*([^?]*?),\s+(?=(?:how|what|which|who|where|find)\b)", re.IGNORECASE
)
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|dozen|half|third|quarter|twice|double|triple)\b",
    re.IGNORECASE,
)
MOST_WORDS = 12
"""A longer question that has a number is taken to state facts."""


@dataclass(frozen=True, slots=True)
class SplitProblem:
    """A problem as the facts that it states and the question that it asks."""

    facts: str
    question: str


def split_problem(problem: str) -> SplitProblem | None:
    """The problem's facts and its question; None where the question is all of it, or states facts itself.

    A condition before the question ("If he sells them all, how much ...?") is one of the facts.
    """
    question = question_of(problem)
    if not question:
        return None
    before, _, after = problem.strip().rpartition(question)
    facts = [before.strip(), after.strip()]
    if condition := _CONDITION.match(question):
        facts.append(_begin_sentence(f"{condition[1].strip()}."))
        question = _begin_sentence(question[condition.end() :])
    if not before.strip() or (_NUMBER.search(question) and len(question.split()) > MOST_WORDS):
        return None
    return SplitProblem(" ".join(filter(None, facts)), question)


def _begin_sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
