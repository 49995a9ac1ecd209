"""What if, for every number that an allocator compares with: the ranges are exact, by brute force."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path
from typing import Any

import pytest
from tests.runs.simulated import go, manifest
from tests.web.viewed import viewing

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ConfigError
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.outcome import Outcome, outcome_of
from scale_reasoning.runs.store import create
from scale_reasoning.strategies import make
from scale_reasoning.strategies.number import find_number, set_number
from scale_reasoning.types import Completion, Problem, Request, Token
from scale_reasoning.web.viewer import whatif
from scale_reasoning.web.viewer.replay import StoredAttempt
from scale_reasoning.web.viewer.whatif import GRID, Range, find_ranges
from scale_reasoning.web.viewer.words import span

PROBLEM = Problem(id="p", text="Let $x = 3$. What is $x^2 + x$?", answer="12")
MODEL = "Qwen/Qwen3-32B"


def solution_of(request: Request) -> Completion:
    """A result and how sure the model is of it: certain and not at all are among it, and so are equal drafts."""
    answer, sure = 12 + (request.seed % 5 == 0), (request.seed // 7) % 6 / 5
    tokens = (Token(text="It is "[:5], logprob=0.0), Token(text=str(answer), logprob=math.log(sure) if sure else -1e9))
    return Completion(
        text=f"It is \\boxed{{{answer}}}." + " Really." * (request.seed % 9),
        finish_reason="stop",
        logprobs=None if request.logprobs is None else tokens,
    )


def engine() -> Scripted:
    return Scripted(
        [
            ("decomposition", '{"subproblems": ["What is x^2?", "What is x?", "What is their sum?"]}'),
            ("difficulty", lambda request: f'{{"difficulty": {request.seed % 5 / 4}}}'),
            ("", solution_of),
        ]
    )


CASES: dict[str, dict[str, Any]] = {
    "threshold": {},
    "threshold by a draft": {"assess": "draft"},
    "threshold by agreement": {"assess": "agreement", "assess.drafts": 2},
    "last-difficulty": {"route": "last-difficulty"},
    "last-thinks over random": {"route": "last-thinks", "route.then": "random"},
    "random": {"route": "random"},
    "escalate": {"route": "escalate"},
    "one draft": {"route": "escalate", "route.drafts": 1},
    "escalate between bounds": {"route": "escalate", "low": 0.25, "high": 0.5, "route.drafts": 1},
    "within over escalate": {"route": "within", "route.then": "escalate", "tokens": 60, "reserve": 5},
}
STRATEGIES = {name: ("scale", {"candidates": 1, **settings}) for name, settings in CASES.items()} | {
    "vote": ("vote", {"samples": 2, "base": "scale", "base.candidates": 1, "base.route": "escalate", "base.drafts": 1})
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_attempt_at_any_value_is_what_its_range_says(name: str) -> None:
    changed = 0
    for seed in range(4):
        changed += len(compare_with_ranges(make(*STRATEGIES[name]), seed)) - 1
    assert changed > 0


def compare_with_ranges(strategy: Strategy, seed: int) -> tuple[Range, ...]:
    """The ranges of an attempt, once it was made at many values, at the ends of the ranges and next to them."""
    number, _ = find_number(strategy) or pytest.fail("it has a number")
    journal, models = MemoryJournal(), endpoints(engine(), MODEL)

    async def find(value: float) -> Outcome:
        made = set_number(strategy, number, value)
        return outcome_of(await attempt(PROBLEM, made, models, seed=seed, journal=journal))

    for value in GRID:
        run_virtual(find(value))
    stored = StoredAttempt(problem=PROBLEM, strategy=strategy, endpoints=models, journal=journal, sample=0, seed=seed)
    ranges = asyncio.run(find_ranges(stored, number))
    assert all(each.outcome is not None for each in ranges)
    ends = {each.low for each in ranges} | {each.high for each in ranges if each.high is not None}
    near = {math.nextafter(end, to) for end in ends for to in (-1.0, 2.0)}
    for value in sorted({*GRID, *(value for value in ends | near if 0 <= value <= 1)}):
        (only,) = [each for each in ranges if value in each]
        assert plain(only.outcome) == plain(run_virtual(find(value))), value
    return ranges


def plain(outcome: Outcome | None) -> Any:
    """Without seconds, which a journal keeps and a new call does not have; a replay without a grader is not graded."""
    assert outcome is not None
    fields = ("answer", "answers", "usage", "iterations", "hard", "difficulties", "calls", "by_mode", "failure")
    return [getattr(outcome, each) for each in fields]


def test_a_range_is_written_with_the_ends_that_belong_to_it() -> None:
    def written(first: float, low: float, high: float | None, closed: str) -> str:
        return span(Range(first=first, low=low, high=high, closed=closed, outcome=None, missing=None))

    assert written(0.2, 0.2, 0.5, "low") == "0.20 up to 0.50"
    assert written(0.2, 0.2, None, "low") == "0.20 to 1"
    assert written(0.0, 0.0, 0.0, "high") == "0.00"
    assert written(0.0, 0.0, 0.5, "high") == "0.00 to 0.50"
    assert written(math.nextafter(0.5, 1), 0.5, 0.98765, "high") == "above 0.50 to 0.9877"
    assert written(math.nextafter(0.5, 1), 0.5, None, "high") == "above 0.50 to 1"


def test_an_attempt_that_changes_at_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif, "MOST_RANGES", 1)
    strategy, models, journal = make("scale", {"route": "random"}), endpoints(engine(), MODEL), MemoryJournal()
    run_virtual(attempt(PROBLEM, strategy, models, journal=journal))
    stored = StoredAttempt(problem=PROBLEM, strategy=strategy, endpoints=models, journal=journal, sample=0, seed=0)
    number, _ = find_number(strategy) or pytest.fail("it has a number")
    with pytest.raises(ConfigError, match="more than 1 values of share"):
        asyncio.run(find_ranges(stored, number))


@pytest.mark.parametrize(("route", "option"), [("random", "share"), ("escalate", "accept")])
def test_the_pages_of_another_number_name_it_and_have_its_slider(route: str, option: str, tmp_path: Path) -> None:
    strategies = [{"name": "scale", "route": route, f"route.{option}": value} for value in (0.5, 0.8)]
    with create(tmp_path, manifest([*strategies, {"name": "scale", "route": "graded"}]), {"d": [PROBLEM]}) as store:
        go(store, engine())
    with viewing(tmp_path) as viewer:
        run, trace = viewer.get("r0-c0.html").text, viewer.get("r0-c0-p0-s0.html").text
        assert f'data-option="{option}"' in run
        assert "data-difficulties" not in run
        assert f"route {route}" in re.sub("<[^>]+>", " ", run)
        assert f"This attempt at every value of {option}." in trace
        assert trace.count('class="tag">recorded') == 1
        table = viewer.get("r0-c0-whatif.json").text
        assert f'"{option}":0.0' in table
        assert "data-whatif" not in viewer.get("r0-c2.html").text
