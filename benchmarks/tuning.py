"""Whether `scale tune` finds the planted best of 20 settings, and for which share of an exhaustive search's tokens.

    python benchmarks/tuning.py [SEEDS]

Settings differ in accuracy and tokens, drawn anew for each seed; one is planted 10 (or 5) points above the next best.
All answers follow from the seed, and settings are right on the same problems more often than by chance, as real ones
are. An exhaustive search asks all 20 about all problems. The decisions are those of `scale tune`, on outcomes that are
made here; for the first seeds a whole run with its store and a simulated engine must choose and spend the same.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from random import Random
from statistics import NormalDist, median

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.report.cells import outcome
from tests.runs.simulated import MODEL, manifest

from scale_reasoning import endpoints
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.rounds import Tuning, plan_rounds, shuffle
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import create, reading
from scale_reasoning.tuning.drops import decide
from scale_reasoning.tuning.goal import Attempts, find_standing, read_order, read_outcomes
from scale_reasoning.tuning.table import tabulate
from scale_reasoning.types import Completion, OnDelta, Problem, Request, Usage

SETTINGS, PROBLEMS, SEEDS, WHOLE = 20, 1200, 20, 1
BEST, WORST = 0.80, 0.40
SHARED = 0.5
"""Correlation of what makes a problem hard for two settings."""
LIMIT = 1000
"""The token limit of setting 0; that of setting n is n more, which is how the engine knows the setting."""


@dataclass(frozen=True, slots=True)
class World:
    """A simulated model: the accuracy and the mean tokens of each setting, and every answer."""

    seed: int
    accuracies: tuple[float, ...]
    tokens: tuple[float, ...]
    best: int

    def is_right(self, setting: int, problem: str) -> bool:
        hard = Random(f"{self.seed} {problem}").gauss()
        own = Random(f"{self.seed} {problem} {setting}").gauss()
        needed = NormalDist().inv_cdf(self.accuracies[setting])
        return sqrt(SHARED) * hard + sqrt(1 - SHARED) * own < needed

    def count_tokens(self, setting: int, problem: str) -> int:
        return round(
            self.tokens[setting] * Random(f"tokens {self.seed} {problem} {setting}").lognormvariate(-0.08, 0.4)
        )


class Planted:
    """Answers as the world says; the setting is the request's limit."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        found = re.search(r"Problem (p\d+)\.", request.messages[-1].content)
        name, setting = str(found and found[1]), (request.max_tokens or 0) - LIMIT
        answer = 7 if self.world.is_right(setting, name) else 8
        usage = Usage(prompt_tokens=50, completion_tokens=self.world.count_tokens(setting, name))
        return Completion(text=f"\\boxed{{{answer}}}", finish_reason="stop", usage=usage)


def make_world(seed: int, gap: float) -> World:
    """Setting 0 is what all are compared with, as chain of thought is. The best is any other one."""
    chance = Random(f"world {seed}")
    best = chance.randrange(1, SETTINGS)
    accuracies = [chance.uniform(WORST, BEST - gap) for _ in range(SETTINGS)]
    accuracies[best] = BEST
    tokens = [100 * 10 ** chance.random() for _ in range(SETTINGS)]
    return World(seed, tuple(accuracies), tuple(tokens), best)


def make_problems() -> list[Problem]:
    return [Problem(id=f"p{n}", text=f"Problem p{n}.", answer="7") for n in range(PROBLEMS)]


def make_manifest(seed: int) -> Manifest:
    cells = [{"name": "cot", "system2_max_tokens": LIMIT + n, "answers": "boxed"} for n in range(SETTINGS)]
    rounds, held_out = plan_rounds(PROBLEMS, 1 / 3)
    plan = manifest(cells, samples=1, reuse=False)
    return replace(plan, seed=seed, tuning=Tuning(rounds=rounds, held_out=held_out))


def tune_by_outcomes(world: World) -> tuple[int, int]:
    """The chosen setting and the tokens spent, by the decisions without a run."""
    plan, order = make_manifest(world.seed), [each.id for each in shuffle(make_problems(), world.seed)]
    had: list[dict[str, Outcome]] = [{} for _ in range(SETTINGS)]
    while (standing := decide(had, order, plan.require_tuning())).needs:
        for cell, names in standing.needs.items():
            for name in names:
                if name not in had[cell]:
                    usage = Usage(prompt_tokens=50, completion_tokens=world.count_tokens(cell, name))
                    had[cell][name] = outcome(name, correct=world.is_right(cell, name), usage=usage)
    spent = sum(each.usage.completion_tokens or 0 for own in had for each in own.values())
    return (tabulate(had, order, plan, standing).chosen or 0) - 1, spent


def tune_by_run(world: World, folder: Path) -> tuple[int, int]:
    """The same by a whole run, over its journal."""
    with create(folder, make_manifest(world.seed), {"d": shuffle(make_problems(), world.seed)}) as store:
        models = {MODEL: endpoints(Planted(world), "sim")}
        while (standing := find_standing(store)).needs:
            goal = Attempts(store, standing.needs)
            run_virtual(run(store, models, goal=goal, on_outcome=goal.count_outcome))
        tuned = tabulate(read_outcomes(store), read_order(store), store.manifest, standing)
    with reading(folder) as store:
        return (tuned.chosen or 0) - 1, store.paid().tokens


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    for gap in (0.10, 0.05):
        found, shares = 0, list[float]()
        for seed in range(seeds):
            world = make_world(seed, gap)
            chosen, spent = tune_by_outcomes(world)
            found += chosen == world.best
            whole = sum(world.count_tokens(cell, each.id) for cell in range(SETTINGS) for each in make_problems())
            shares.append(spent / whole)
            if seed < WHOLE and gap == 0.10:
                with tempfile.TemporaryDirectory() as name:
                    assert tune_by_run(world, Path(name) / "run") == (chosen, spent)
        cheap = sum(share <= 0.2 for share in shares)
        span = f"{median(shares):.3f} of the exhaustive search's tokens ({min(shares):.3f} to {max(shares):.3f})"
        print(f"{gap * 100:.0f} points: planted best chosen in {found} of {seeds} seeds, for {span}; at most a fifth "
              f"in {cheap}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
