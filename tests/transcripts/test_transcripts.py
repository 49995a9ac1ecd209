"""Every message a strategy sends, as text to review: a change of a prompt shows as a diff of these files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scale_reasoning import Completion, CoT, Problem, Request, Scale, Scripted, Strategy, attempt, endpoints
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.runs.like import find_preset
from scale_reasoning.strategies import make
from scale_reasoning.strategies.allocators.last import LastThinks
from scale_reasoning.strategies.assessors.rated import Rated
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.types import JSON, Mode, OnDelta

PROBLEM = Problem(id="pens", text="Pens cost 2 dollars for 3. What do 18 pens cost? Give the change from 20 as well.")

TIGHT = 40
"""A limit under which every thought of the script is cut off."""


def cut_off(request: Request) -> Completion:
    thought = f"18 pens are 6 times 3 pens. Thought of call {request.seed % 100}."
    return Completion(text="", reasoning=thought, finish_reason="length")


SCRIPT = [
    ("decomposition", lambda r: '{"subproblems": ["How many threes?", "The cost?", "The change?"]}'
     if r.seed % 2 else '{"subproblems": ["The cost of 18?", "The change?"]}'),
    ("statement", '{"facts": "3 pens cost 2 dollars; I have 20.", "question": "What is the change after 18 pens?"}'),
    ("choice", '{"choice": 1}'),
    ("difficulty", lambda r: '{"difficulty": 0.9}' if "change" in r.messages[-1].content else '{"difficulty": 0.1}'),
    ("Write notes", "18 pens are 6 threes; the cost is 12; the change is left to find."),
    ("Time is up", "\\boxed{8}"),
    ("change", "20 minus 12 is \\boxed{8}."),
    ("", "It is \\boxed{12}."),
]  # fmt: skip


def like(name: str, model: str, **settings: JSON) -> Strategy:
    """The strategy as the paper has it."""
    return make(name, find_preset("paper", ModelSpec(model=model)).set_options(name, settings))


STRATEGIES: dict[str, Strategy] = {
    "cot": CoT(),
    "scale": Scale(candidates=4),
    "scale-titles-answers-question": Scale(
        candidates=4, assess=Rated(context="titles"), context="answers", last_step="question", route=LastThinks()
    ),
    "scale-like-paper": like("scale", "Qwen3-32B", candidates=3),
    "scale-like-paper-qwq": like("scale", "QwQ-32B", candidates=2),
    "scale-authors-statement": make(
        "scale", {"candidates": 1, "prompts": "paper", "steps_see": "facts", "split_by": "model", "messages": "one"}
    ),
    "cot-like-paper": like("cot", "Qwen2.5-32B-Instruct"),
    "cot-forced": CoT(on_limit="force", system2_max_tokens=TIGHT),
    "scale-forced": Scale(candidates=1, on_limit="force", system2_max_tokens=TIGHT),
    "inftythink": InftyThink(max_rounds=2, round_max_tokens=TIGHT),
}


class Tight(Scripted):
    """The script, whose thoughts are cut off by a tight limit."""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """See Engine."""
        completion = await super().generate(request, on_delta)
        return cut_off(request) if (request.mode, request.max_tokens) == (Mode.SYSTEM2, TIGHT) else completion


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_messages_are_the_reviewed_ones(name: str, pytestconfig: pytest.Config) -> None:
    script = Tight([(pattern, reply) for pattern, reply in SCRIPT])
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
