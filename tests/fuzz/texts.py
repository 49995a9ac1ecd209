"""Text with the structure that readers look for, well formed and not: the hypothesis strategies of the fuzz tests."""

from __future__ import annotations

import json

from hypothesis import strategies as st

ATOMS = (
    # LaTeX and answers
    "\\", "\\\\", "{", "}", "\\boxed{", "\\fbox ", "\\boxed", "$", "\\(", "\\]", "\\frac{", "\\frac1", "\\text{and}",
    "\\left", "\\sqrt", "sqrt(", "^(", "**", "\\quad", "final answer is", ":", "=", ",", "\\!", "1,234", "%", "-",
    "\u2212", ".5", "/", "0", "9" * 40, "1e999", "\\approx", " and ", "x", "cm", "^\\circ", "_8", "(", ")", "[", "]",
    # structured replies
    '"', '{"', '["', '{"choice":', '{"difficulty": ', '{"subproblems": [', '"step1": ', "NaN", "-Infinity", "null",
    "1. ", "2) ", "Step 3: ", "- ", "```json\n", "```", "\\u00", "\\ud83d", "\\n", "### Step 1: ", "\n\n2. ", "**",
    "'", "['", "',", "\\'", "\u201c", "\u201d,", "{a: ", ",]", "//", "/*", "None", '"question": "',
    '{"role": "assistant", "content": "2", "reasoning_content": "',
    # thoughts and streams
    "<think>", "</think>", "<thi", "data: ", "data:", "\n\n", "\r\n", "\r", ": ping\n", "event: x\n", "[DONE]",
    '{"choices":[{"delta":{"content":"', '"},"finish_reason":"stop"}]}', '{"error":', '"usage":{"prompt_tokens":',
    # prose and rows
    " ", "\n", "\t", "Wait, ", "the ", "Ben has 3 more cards than Ada.", "How many cards does Ben have?", "ha",
    '{"problem": "a", "answer": 1}\n', "problem,answer\n", '"a",', "id",
    # a text's darker corners
    "\x00", "\u202e", "\u0301", "\u0323", "\ufeff", "\u2028", "\U0001d7d9", "\u0661", "\u00b2", "\u0130", "\ud800",
)  # fmt: skip

atoms = st.sampled_from(ATOMS) | st.text(max_size=3) | st.integers().map(str) | st.floats().map(str)
tangled = st.lists(atoms, max_size=30).map("".join)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | tangled,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(tangled, inner, max_size=4),
    max_leaves=12,
)
documents = values.map(json.dumps)

KEYS = (
    "cells", "dataset", "model", "strategy", "name", "tau", "candidates", "samples", "seed", "grader", "reuse",
    "format", "resolved",
    "datasets", "models", "strategies", "base", "base.tau", "count", "data_dir", "base_url", "prompts",
    "problem", "answer", "id", "data", "aliases", "choices", "index", "delta", "message", "content", "reasoning",
    "finish_reason", "usage", "error", "code", "detail", "choice", "difficulty", "subproblems", "step1",
)  # fmt: skip
NAMES = ("scale", "cot", "vote", "inftythink", "aime24", "integer", "system2", "titles", "stop", "length", "q")
leaves = st.none() | st.booleans() | st.integers(-2, 12) | st.sampled_from(NAMES) | st.floats(0, 1) | st.just(10**400)
tables = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=14,
)
"""JSON in the words of this program's own files and of the protocol."""
own = tables.map(json.dumps)

events = st.lists(own | documents | st.just("[DONE]"), max_size=5).map(
    lambda chunks: "".join(f"data: {chunk}\n\n" for chunk in chunks)
)
texts = tangled | documents | own | events | st.text()

LARGE = 60_000
"""Characters: where what is not linear in its text is no longer quick."""


@st.composite
def large(draw: st.DrawFn) -> str:
    """A few atoms over and over, between others: where a reader that starts again at every place is found out."""
    unit = draw(st.lists(atoms, min_size=1, max_size=3).map("".join).filter(bool))
    return draw(tangled) + unit * (LARGE // len(unit)) + draw(tangled)
