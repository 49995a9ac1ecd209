"""Every message a strategy sends, as text to review: a change of a prompt shows as a diff of these files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scale_reasoning import CoT, Problem, Request, Scale, Scripted, Strategy, attempt, endpoints

PROBLEM = Problem(id="pens", text="Pens cost 2 dollars for 3. What do 18 pens cost? Give the change from 20 as well.")

SCRIPT = [
    ("decomposition", lambda r: '{"subproblems": ["How many threes?", "The cost?", "The change?"]}'
     if r.seed % 2 else '{"subproblems": ["The cost of 18?", "The change?"]}'),
    ("choice", '{"choice": 1}'),
    ("difficulty", lambda r: '{"difficulty": 0.9}' if "change" in r.messages[-1].content else '{"difficulty": 0.1}'),
    ("change", "20 minus 12 is \\boxed{8}."),
    ("", "It is \\boxed{12}."),
]  # fmt: skip

STRATEGIES: dict[str, Strategy] = {
    "cot": CoT(),
    "scale": Scale(candidates=4),
    "scale-titles-answers-question": Scale(
        candidates=4, assess_context="titles", context="answers", last_step="question", last_mode="system2"
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_messages_are_the_reviewed_ones(name: str, pytestconfig: pytest.Config) -> None:
    script = Scripted([(pattern, reply) for pattern, reply in SCRIPT])
    record = asyncio.run(attempt(PROBLEM, STRATEGIES[name], endpoints(script, "Qwen3-32B")))
    assert record.failure is None
    paths = {call.seed: call.path for call in record.calls}
    told = "".join(_told(paths[request.seed], request) for request in script.requests)
    file = Path(__file__).with_name(f"{name}.txt")
    if pytestconfig.getoption("--update-transcripts"):
        file.write_text(told)
    assert told == file.read_text()


def _told(path: str, request: Request) -> str:
    form = f", {request.schema.name} schema" if request.schema else ""
    lines = [f"=== {path} ({request.mode}{form})"]
    for message in request.messages:
        lines += [f"--- {message.role}", message.content]
    return "\n".join(lines) + "\n\n"
