"""Whether a threshold that `scale calibrate` certifies keeps its promise: the loss exceeds it in at most 1 of 10 cases.

    python benchmarks/certificates.py [--calibrations 2000] [--seed 0]

Draws calibrations at a loss of 5 % and a confidence of 90 %. The true losses of the values are known: either they rise
over the promise (1 to 10 %), or the safest value already loses a little more than was promised, which is the hardest
case, because any certificate is then wrong. A value's losses contain those of the values before it, as in a run whose
rows share their calls. "clustered": only one problem in five ever loses anything. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from random import Random

from scale_reasoning.report.calibration import calibrate

ALPHA, CONFIDENCE = 0.05, 0.9
LADDERS: Mapping[str, Sequence[float]] = {
    "rising": (0.01, 0.02, 0.03, 0.04, 0.0501, 0.07, 0.1),
    "over at once": (0.0501, 0.07, 0.1),
}
SIZES = ((100, 1), (300, 1), (100, 4), (300, 4))
"""Problems, and samples of each."""
FRAGILE: Mapping[str, float] = {"even": 1.0, "clustered": 0.2}
"""The share of problems that can lose anything."""


def draw_losses(
    chance: Random, losses: Sequence[float], fragile: float, problems: int, samples: int
) -> dict[tuple[float, int], list[float]]:
    """One calibration's data: by value and row, each problem's share of lost samples."""
    luck = [
        [chance.random() for _ in range(samples)] if chance.random() < fragile else [1.0] * samples
        for _ in range(problems)
    ]
    return {
        (float(number), number): [sum(each < loss / fragile for each in of) / samples for of in luck]
        for number, loss in enumerate(losses)
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calibrations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("| true losses | problems | samples | who loses | certified | promise exceeded |")
    print("| --- | --- | --- | --- | --- | --- |")
    for ladder, losses in LADDERS.items():
        for problems, samples in SIZES:
            for kind, fragile in FRAGILE.items():
                chance = Random(f"{asked.seed} {ladder} {problems} {samples} {kind}")
                certified = exceeded = 0
                for _ in range(asked.calibrations):
                    data = draw_losses(chance, losses, fragile, problems, samples)
                    chosen = calibrate(data, ALPHA, CONFIDENCE, several=samples > 1).chosen
                    certified += chosen is not None
                    exceeded += chosen is not None and losses[chosen.row] > ALPHA
                shares = f"{certified / asked.calibrations:.1%} | {exceeded / asked.calibrations:.1%}"
                print(f"| {ladder} | {problems} | {samples} | {kind} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
