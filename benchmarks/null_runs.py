"""Whether 95 % intervals hold the truth 95 times in 100 and two runs alike are told apart at most 5 times in 100.

    python benchmarks/null_runs.py [--runs 1000] [--seed 0] [--only 30x8] [--no-bootstrap]

Draws runs of known truth and puts them through report/intervals.py, which tables, comparisons and plots use. A
problem's chance of being solved is logistic in a normal difficulty, the same for all its samples; the two runs of a
pair have the difficulties in common, up to a part of their own (`apart`), and `shared` of their attempts, as cells of a
sweep do. The truth is the mean over all problems that there could be. Prints Markdown tables; "bootstrap" is the
percentile bootstrap over problems (400 resamples), "plain t" Student's t on the same differences with nothing added.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, sqrt
from random import Random
from statistics import NormalDist, fmean, stdev

from scale_reasoning.report.intervals import ALPHA, compare_paired, estimate_ratio, estimate_share, t_quantile

SIZES = ((30, 8), (30, 1), (6, 4), (100, 1))
RESAMPLES = 400
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models on problems whose difficulty has the deviation `spread`, in logits."""

    before: float
    after: float
    spread: float
    apart: float = 0.0
    shared: float = 0.0


NULLS = (
    Pair(before=0.6, after=0.6, spread=3),
    Pair(before=0.6, after=0.6, spread=3, apart=1.5),
    Pair(before=0.75, after=0.75, spread=2, apart=0.7, shared=0.5),
    Pair(before=0.9, after=0.9, spread=2.5, apart=0.7),
    Pair(before=0.1, after=0.1, spread=3, apart=1),
    Pair(before=0.5, after=0.5, spread=0),
)
OTHERS = (
    Pair(before=0.6, after=0.75, spread=3, apart=1),
    Pair(before=0.6, after=0.7, spread=3, apart=0.5),
    Pair(before=0.9, after=0.97, spread=2.5, apart=0.7),
    Pair(before=0.05, after=0.3, spread=3, apart=1),
)
ACCURACIES = (0.01, 0.03, 0.1, 0.3, 0.5, 0.75, 0.9, 0.97, 0.99)
SPREADS = (0.0, 1.0, 2.0, 4.0)
TOKENS = ((0.4, 0.3, 0.8), (0.6, 0.4, 0.6), (0.3, 0.6, 0.9))
"""Deviations of log tokens between and within problems, and the correlation of the two runs' problems."""


@cache
def middle(accuracy: float, spread: float) -> float:
    """The logit around which difficulties lie, so that the mean chance over all problems is the accuracy."""
    points = [NormalDist().inv_cdf((n + 0.5) / 2000) for n in range(2000)]
    low, high = -40.0, 40.0
    for _ in range(60):
        half = (low + high) / 2
        mean = fmean(chance(half + spread * point) for point in points)
        low, high = (half, high) if mean < accuracy else (low, half)
    return low


def chance(logit: float) -> float:
    return 1 / (1 + exp(-logit))


def runs(pair: Pair, problems: int, samples: int, draws: Random) -> tuple[list[float], list[float]]:
    """The problems' means under each of the two."""
    total = sqrt(pair.spread**2 + pair.apart**2)
    logits = [middle(accuracy, total) for accuracy in (pair.before, pair.after)]
    means: tuple[list[float], list[float]] = ([], [])
    for _ in range(problems):
        difficulty = draws.gauss(0, pair.spread)
        chances = [chance(logit + difficulty + draws.gauss(0, pair.apart)) for logit in logits]
        right = [0, 0]
        for _ in range(samples):
            luck = draws.random()
            other = luck if draws.random() < pair.shared else draws.random()
            right[0] += luck < chances[0]
            right[1] += other < chances[1]
        for side, count in zip(means, right, strict=True):
            side.append(count / samples)
    return means


def bootstrap(values: Sequence[float], draws: Random) -> Interval:
    n = len(values)
    means = sorted(sum(draws.choices(values, k=n)) / n for _ in range(RESAMPLES))
    return means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]


def plain(values: Sequence[float], draws: Random) -> Interval:
    n, mean = len(values), fmean(values)
    half = t_quantile(n - 1) * stdev(values) / sqrt(n)
    return mean - half, mean + half


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Shares of runs: whose interval holds the truth, and whose interval leaves out 0."""

    held: float
    apart: float


def tally(intervals: Sequence[Interval], truth: float) -> Tally:
    n = len(intervals)
    held = sum(low - 1e-12 <= truth <= high + 1e-12 for low, high in intervals) / n
    return Tally(held=held, apart=sum(low > 0 or high < 0 for low, high in intervals) / n)


def pairs(pair: Pair, size: tuple[int, int], args: argparse.Namespace) -> dict[str, Tally]:
    draws = Random(f"{args.seed} {pair} {size}")
    found: dict[str, list[Interval]] = {"report": [], "plain t": [], "bootstrap": []}
    for _ in range(args.runs):
        before, after = runs(pair, *size, draws)
        differences = [y - x for x, y in zip(before, after, strict=True)]
        ours = compare_paired(differences, [size[1]] * size[0])
        assert ours is not None
        assert (ours.p_value <= ALPHA) is (ours.low > 0 or ours.high < 0)
        found["report"].append((ours.low, ours.high))
        found["plain t"].append(plain(differences, draws))
        if args.bootstrap:
            found["bootstrap"].append(bootstrap(differences, draws))
    return {name: tally(intervals, pair.after - pair.before) for name, intervals in found.items() if intervals}


def accuracies(accuracy: float, spread: float, size: tuple[int, int], args: argparse.Namespace) -> dict[str, Tally]:
    draws = Random(f"{args.seed} {accuracy} {spread} {size}")
    found: dict[str, list[Interval]] = {"report": [], "bootstrap": []}
    alone = Pair(before=accuracy, after=accuracy, spread=spread)
    for _ in range(args.runs):
        means, _ = runs(alone, *size, draws)
        ours = estimate_share(means)
        assert ours is not None
        assert ours.low is not None
        assert ours.high is not None
        found["report"].append((ours.low, ours.high))
        if args.bootstrap:
            found["bootstrap"].append(bootstrap(means, draws))
    return {name: tally(intervals, accuracy) for name, intervals in found.items() if intervals}


def token_ratios(shape: tuple[float, float, float], size: tuple[int, int], args: argparse.Namespace) -> Tally:
    """The truth is 0.6."""
    draws, (between, within, alike) = Random(f"{args.seed} {shape} {size}"), shape
    found: list[Interval] = []
    for _ in range(args.runs):
        sides: tuple[list[float], list[float]] = ([], [])
        for _ in range(size[0]):
            common = draws.gauss(0, 1)
            for side, factor in zip(sides, (1000, 600), strict=True):
                own = between * (alike * common + sqrt(1 - alike**2) * draws.gauss(0, 1))
                side.append(fmean(factor * exp(own + draws.gauss(0, within)) for _ in range(size[1])))
        ours = estimate_ratio(sides[1], sides[0])
        assert ours is not None
        found.append((ours.low or 0, ours.high or 0))
    return tally(found, 0.6)


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(heads) + " |")
    print("| --- |" + " --: |" * (len(heads) - 1))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def worst(cells: Sequence[float], pick: Callable[[Sequence[float]], float]) -> str:
    return f"{fmean(cells):.1%} ({pick(cells):.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="30x8", help="one size: problems x samples")
    parser.add_argument("--no-bootstrap", dest="bootstrap", action="store_false")
    args = parser.parse_args()
    sizes = [size for size in SIZES if args.only in (None, f"{size[0]}x{size[1]}")]
    names = ["report", "plain t", *(["bootstrap"] if args.bootstrap else [])]
    nulls = {size: [pairs(pair, size, args) for pair in NULLS] for size in sizes}
    others = {size: [pairs(pair, size, args) for pair in OTHERS] for size in sizes}
    print(f"{args.runs:,} runs per kind and size; mean over kinds (worst kind in brackets)\n")
    print(f"Paired difference, {len(NULLS)} kinds of pairs without and {len(OTHERS)} with a difference\n")
    heads = ["problems x samples", "interval", "type I", "coverage, no difference", "coverage, a difference"]
    lines = [
        [
            f"{size[0]} x {size[1]}",
            name,
            worst([kind[name].apart for kind in nulls[size]], max),
            worst([kind[name].held for kind in nulls[size]], min),
            worst([kind[name].held for kind in others[size]], min),
            *(f"{kind[name].apart:.0%}" for kind in others[size]),
        ]
        for size in sizes
        for name in names
    ]
    table([*heads, *(f"power {p.before:.0%} to {p.after:.0%}" for p in OTHERS)], lines)
    print(f"Accuracy of one run: coverage at {len(ACCURACIES)} accuracies x {len(SPREADS)} spreads of difficulty\n")
    lines = []
    for size in sizes:
        kinds = [accuracies(accuracy, spread, size, args) for accuracy in ACCURACIES for spread in SPREADS]
        shown = [worst([kind[name].held for kind in kinds], min) for name in names if name != "plain t"]
        lines.append([f"{size[0]} x {size[1]}", *shown])
    table(["problems x samples", *(name for name in names if name != "plain t")], lines)
    print(f"Ratio of response tokens: coverage at {len(TOKENS)} spreads of lengths\n")
    lines = [
        [f"{size[0]} x {size[1]}", worst([token_ratios(shape, size, args).held for shape in TOKENS], min)]
        for size in sizes
    ]
    table(["problems x samples", "report"], lines)


if __name__ == "__main__":
    main()
