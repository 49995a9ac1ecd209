"""How many calls of an attempt wait for one another, on the virtual clock: each call takes one second.

    python benchmarks/depth.py

With m sub-problems of which h go on to System 2 after a draft: the paper's way 2 + 2m, rated by titles 3 + m, drafted
first 2 + m + h. The bound of each is printed in the next column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from scale_reasoning import Completion, Problem, Record, Request, Scripted, Strategy, attempt, endpoints, run_virtual
from scale_reasoning.strategies import make
from scale_reasoning.types import JSON, Mode, Token

SETTINGS: Mapping[str, Mapping[str, JSON]] = {
    "paper": {},
    "titles": {"assess.context": "titles"},
    "escalate": {"route": "escalate"},
    "threshold on a draft": {"assess": "draft"},
    "threshold on 3 drafts": {"assess": "agreement"},
}


def measure(strategy: Strategy, steps: int, disagree: int) -> Record:
    """An attempt with so many steps, of which the last `disagree` have drafts that differ."""

    def solve(request: Request) -> Completion:
        hard = any(f"part {n}?" in request.messages[-1].content for n in range(steps - disagree + 1, steps + 1))
        result = request.seed if hard and request.mode is Mode.SYSTEM1 else 7
        tokens = (Token(text=str(result), logprob=-2.0 if hard else -0.01),)
        return Completion(text=f"\\boxed{{{result}}}", finish_reason="stop", logprobs=tokens)

    def decompose(request: Request) -> str:
        return json.dumps({"subproblems": [f"What is part {n}? ({request.seed})" for n in range(1, steps + 1)]})

    rules = [("decomposition", decompose), ("choice", '{"choice": 1}'), ("difficulty", '{"difficulty": 0.2}')]
    engine = Scripted([*rules, ("", solve)], seconds=1)
    problem = Problem(id="p", text="What is the sum of the parts?")
    return run_virtual(attempt(problem, strategy, endpoints(engine, "model")))


def main() -> None:
    print(f"{'':22} {'m':>2} {'h':>2} {'depth':>5} {'bound':>5} {'calls':>5}")
    for name, settings in SETTINGS.items():
        for steps, disagree in ((2, 1), (4, 2), (6, 2), (8, 4)):
            record = measure(make("scale", settings), steps, disagree)
            taken = record.solution.steps if record.solution else ()
            hard = sum(step.mode is Mode.SYSTEM2 for step in taken)
            bound = {"paper": 2 + 2 * steps, "titles": 3 + steps}.get(name, 2 + steps + hard)
            print(f"{name:22} {steps:2} {hard:2} {record.seconds:5.0f} {bound:5} {len(record.calls):5}")


if __name__ == "__main__":
    main()
