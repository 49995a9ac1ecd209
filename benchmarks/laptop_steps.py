"""Step by step what a run of the recipe laptop did.

    scale export RUN --out run.jsonl ; python benchmarks/laptop_steps.py run.jsonl

A step is right if its result follows from the result before it, right or wrong. Prints accuracy and tokens by mode and
kind of step, exact decompositions, and how well ratings foresee that System 1 fails at the same step of a problem.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale_reasoning.answers import final_answer
from scale_reasoning.arithmetic.chains import result_of
from scale_reasoning.arithmetic.problems import chain_of
from scale_reasoning.arithmetic.teacher import outline


@dataclass(frozen=True)
class Step:
    """A step of an attempt; `place` is the problem and the step's number."""

    route: str
    place: tuple[str, int]
    kind: str
    mode: str
    right: bool
    rating: float | None
    tokens: int


def steps(record: dict[str, Any]) -> Iterator[Step]:
    """The steps of a SCALE attempt whose decomposition is the true one."""
    name = record["attempt"]["problem_id"]
    truth, told = chain_of(name), record["solution"]["steps"]
    if [step["subproblem"] for step in told] != list(outline(truth)):
        return
    left = str(truth.links[0].turn.left)
    for number, (link, step) in enumerate(zip(truth.links, told, strict=True)):
        found, turn = final_answer(step["text"]), link.turn
        wanted = str(result_of(turn.operation, int(left), turn.right)) if left.isdecimal() else None
        yield Step(
            route=record["strategy"]["route"],
            place=(name, number),
            kind=f"{turn.operation}{len(str(turn.right))}",
            mode=step["mode"],
            right=found is not None and found == wanted,
            rating=step["difficulty"],
            tokens=step["usage"]["completion_tokens"],
        )
        left = found or ""


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path, help="what scale export wrote")
    file = parser.parse_args().records
    if not file.is_file():
        parser.error(f"{file}: no such file; make it with scale export RUN --out {file}")
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    tried = [r for r in records if r["strategy"]["name"] == "scale" and r["solution"]]
    first = {r["attempt"]["problem_id"]: r for r in tried}
    exact = sum(any(steps(record)) for record in first.values())
    print(f"decompositions exact: {exact} of {len(first)}")
    every = [step for record in tried for step in steps(record)]
    for route in ("system1", "system2"):
        groups = defaultdict[str, list[Step]](list)
        for step in every:
            if step.route == route:
                groups[step.kind].append(step)
                groups["all"].append(step)
        for kind, group in sorted(groups.items()):
            right, tokens = sum(step.right for step in group), sum(step.tokens for step in group) / len(group)
            print(f"{route} {kind}: {right / len(group):.3f} of {len(group)}, {tokens:.0f} tokens")
    failed = {step.place: not step.right for step in every if step.route == "system1"}
    rated = {step.place: step.rating for step in every if step.route == "threshold" and step.rating is not None}
    pairs = [(rating, failed[place]) for place, rating in rated.items() if place in failed]
    ups, downs = [r for r, wrong in pairs if wrong], [r for r, wrong in pairs if not wrong]
    won = sum((a > b) + (a == b) / 2 for a in ups for b in downs)
    auc = f"{won / (len(ups) * len(downs)):.3f}" if ups and downs else "unknown"
    print(f"difficulty, AUC against System 1's failures: {auc} of {len(pairs)} steps")


if __name__ == "__main__":
    main()
