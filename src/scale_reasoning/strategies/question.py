"""The problem's own question, for `last_step = "question"`: its last sentence that asks.

A heuristic on the text alone, where the authors spend a model call; when no sentence asks, the whole text stands.
"""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"""(?<=[.?!])\s+(?=[A-Z$\\("'])|(?<=[.?!][$)"'])\s+(?=[A-Z$\\("'])""")
_ORDERS = re.compile(
    r"(?:.*\b(?:,|then|and)\s+)?(?:find|compute|determine|calculate|evaluate|express|prove|show|give|solve|simplify|write)\b",
    re.IGNORECASE | re.DOTALL,
)


def question_of(problem: str) -> str:
    """The last sentence of `problem` that ends in a question mark or orders something found, else `problem` itself."""
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(problem.strip())]
    return next((s for s in reversed(sentences) if "?" in s[-3:] or _ORDERS.match(s)), problem.strip())
