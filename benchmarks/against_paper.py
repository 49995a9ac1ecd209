"""How often `scale reproduce` gives which verdict, if the truth is known.

    python benchmarks/against_paper.py [--runs 2000] [--seed 0]

Draws two runs on the same problems, one of which becomes the published number: rounded, without its attempts. A
problem's chance of being solved is logistic in a normal difficulty (see null_runs.py); its tokens are log-normal, with
a mean of its own. "apart" is how far the two expectations lie from each other: points of Acc, a factor of Tok. Prints
Markdown tables with the shares of verdicts: the mean over kinds, the worst kind in brackets.
"""

from __future__ import annotations

import argparse
from collections import Counter
from math import exp, log
from random import Random
from statistics import fmean

from null_runs import chance, middle

from scale_reasoning.report.unpaired import (
    FACTOR,
    MARGIN,
    Verdict,
    compare_means,
    compare_shares,
    judge,
    measure_repeats,
)

SIZES = ((30, 8), (40, 8), (30, 1))
ACCURACIES = (0.3, 0.5, 0.75, 0.9, 0.98)
SPREADS = (0.0, 1.5, 3.0, 5.0)
SHIFTS = (0.0, 0.05, 0.10)
FACTORS = (1.0, 1.1, 1.25)
DEVIATIONS = ((0.4, 0.3), (0.6, 0.6), (0.3, 1.0))
"""Of log tokens between and within problems."""


def draw_shares(problems: int, samples: int, accuracy: float, spread: float, shift: float, draws: Random) -> Verdict:
    """The verdict on two runs whose expected accuracies on these very problems are `shift` apart."""
    logits = [middle(accuracy, spread) + spread * draws.gauss(0, 1) for _ in range(problems)]
    theirs = [chance(logit) for logit in logits]
    ours = list(map(chance, lower(logits, fmean(theirs) - shift))) if shift else theirs
    right = [[float(draws.random() < each) for _ in range(samples)] for each in ours]
    printed = round(fmean(draws.random() < each for each in theirs for _ in range(samples)), 4)
    found = measure_repeats([[(one, 1.0) for one in group] for group in right], by_problem=True)
    assert found is not None
    gap = compare_shares(found, printed, problems * samples, 0.00005)
    return judge(gap, lowest=-MARGIN, highest=MARGIN, same=0)


def lower(logits: list[float], mean: float) -> list[float]:
    """The logits, moved together so that their mean chance is `mean`."""
    low, high = -40.0, 40.0
    for _ in range(50):
        half = (low + high) / 2
        low, high = (half, high) if fmean(chance(each + half) for each in logits) < mean else (low, half)
    return [each + low for each in logits]


def draw_tokens(problems: int, samples: int, between: float, within: float, factor: float, draws: Random) -> Verdict:
    means = [8 + between * draws.gauss(0, 1) for _ in range(problems)]
    ours, theirs = (
        [[(exp(mean + log(times) + within * draws.gauss(0, 1)), 1.0) for _ in range(samples)] for mean in means]
        for times in (factor, 1.0)
    )
    found = measure_repeats(ours, by_problem=True)
    assert found is not None
    gap = compare_means(found, round(fmean(one for group in theirs for one, _ in group)), problems * samples, 0.5)
    assert gap is not None
    return judge(gap, lowest=1 / FACTOR, highest=FACTOR, same=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="per kind (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    heading = "compatible | above or below | cannot tell |\n| --- | --: | --: | --: | --: |"
    print(f"| Acc | apart | {heading}")
    for problems, samples in SIZES:
        for shift in SHIFTS:
            kinds = [(a, s) for a in ACCURACIES for s in SPREADS if a - shift > 0.02]
            rows = [
                Counter(
                    draw_shares(problems, samples, *kind, shift, Random(f"{args.seed} {n}")) for n in range(args.runs)
                )
                for kind in kinds
            ]
            print_row(f"{problems} x {samples}", f"{shift * 100:g}", rows, args.runs)
    print(f"\n| Tok | factor | {heading}")
    for problems, samples in SIZES:
        for factor in FACTORS:
            rows = [
                Counter(
                    draw_tokens(problems, samples, *kind, factor, Random(f"{args.seed} {n}")) for n in range(args.runs)
                )
                for kind in DEVIATIONS
            ]
            print_row(f"{problems} x {samples}", f"{factor:g}", rows, args.runs)


def print_row(size: str, apart: str, rows: list[Counter[Verdict]], runs: int) -> None:
    groups: tuple[tuple[Verdict, ...], ...] = (("compatible",), ("above", "below"), ("cannot tell",))
    cells = [[100 * sum(row[verdict] for verdict in group) / runs for row in rows] for group in groups]
    shown = " | ".join(f"{fmean(cell):.1f} % ({max(cell):.1f})" for cell in cells)
    print(f"| {size} | {apart} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
