"""The problem's own question, for `last_step = "question"`: its last sentence that asks.

A heuristic on the text alone, where the authors spend a model call; when no sentence asks, the whole text stands.
"""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"(?<=[.?!])[\"')\]$]*\s+(?=[A-Z$\\(\"'])")
_ASKS = re.compile(
    r"\?|\b(?:find|compute|determine|calculate|evaluate|what|how (?:many|much|far|long|old)|which|express|prove|give"
    r"|solve|simplify)\b",
    re.IGNORECASE,
)


def question_of(problem: str) -> str:
    """The last sentence of `problem` that asks for something, else `problem` itself."""
    sentences = _SENTENCE_END.split(problem.strip())
    return next((s.strip() for s in reversed(sentences) if _ASKS.search(s)), problem.strip())
