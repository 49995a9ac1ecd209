"""SCALE's routes make the calls that they made before allocators and assessors were values.

variants.json has what the version before recorded on simulated models, with its own settings: paths, the sha256 of the
journal's keys and of the solution. What was paid for then is found in the journal now.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.sim import Sim, run_virtual
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.strategies import describe, make
from scale_reasoning.types import JSON, Problem, Solution

PROBLEM = Problem(id="p", text="Tom has 3 boxes of 12 eggs and breaks 7. How many eggs are left?", answer="29")
RECORDED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("variants.json").read_text())
STEP = ("subproblem", "difficulty", "mode", "text", "reasoning", "finish_reason", "usage", "asked")
SOLUTION = ("answer", "selected", "candidates", "notes", "form", "unparsed")


def digest(value: JSON) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def shown(solution: Solution) -> JSON:
    steps = [{name: getattr(step, name) for name in STEP} for step in solution.steps]
    return {**{name: getattr(solution, name) for name in SOLUTION}, "steps": steps}


def name(case: dict[str, Any]) -> str:
    settings = case["settings"]
    words = (settings["route"], settings["last_mode"], settings["assess_context"], case["model"], case["seed"])
    return " ".join(map(str, words))


@pytest.mark.parametrize("case", RECORDED, ids=name)
def test_a_run_of_the_version_before_goes_on_with_the_same_calls_keys_and_solution(case: dict[str, Any]) -> None:
    journal = MemoryJournal()
    strategy = make("scale", case["settings"])
    record = run_virtual(
        attempt(PROBLEM, strategy, endpoints(Sim(), case["model"]), seed=case["seed"], journal=journal)
    )
    assert record.solution is not None
    assert [call.path for call in record.calls] == case["paths"]
    assert digest(sorted(journal.completions)) == case["keys"]
    assert digest(shown(record.solution)) == case["solution"]


@pytest.mark.parametrize("case", [case for case in RECORDED if case["strategy"]], ids=name)
def test_the_strategy_of_a_former_record_is_the_one_that_its_settings_make(case: dict[str, Any]) -> None:
    described = dict(case["strategy"])
    strategy = make(described.pop("name"), described)
    assert strategy == make("scale", case["settings"])
    assert make("scale", {key: value for key, value in describe(strategy).items() if key != "name"}) == strategy
