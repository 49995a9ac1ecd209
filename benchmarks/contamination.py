"""Builds the hashes of the benchmarks that the package ships, and measures what they find.

    python benchmarks/contamination.py DIR [OTHER.jsonl ...] [--write]

DIR has NAME.jsonl of every benchmark (rows of id, problem, answer), OTHER.jsonl problems of none of them. Prints how
many planted problems are found though spacing, case and dollars change, and how many of the others and of 2,000
arithmetic problems are flagged, with and without the exclusion of boilerplate. `--write` replaces the package's file.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scale_reasoning.datasets import load
from scale_reasoning.datasets.benchmarks import BENCHMARKS
from scale_reasoning.synth import contamination
from scale_reasoning.synth.contamination import ProblemHashes, describe_overlap, encode, hash_lists
from scale_reasoning.synth.words import split_words
from scale_reasoning.types import Problem

SPACES = (" ", "  ", "\n", " \t", "\u00a0", "~")


def disguised(text: str, seed: int) -> str:
    """The same problem: other spacing, other case, no dollars."""
    dice = random.Random(seed)
    spaced = re.sub(r"\s+", lambda _: dice.choice(SPACES), text.replace("$", ""))
    return spaced.upper() if dice.random() < 0.5 else spaced.swapcase()


def within(text: str) -> str:
    """The problem's words inside another text, without its last one."""
    return f"Your teacher asks you this. {text.rpartition(' ')[0]} Show all your work."


def every_run(lists: Mapping[str, Sequence[Problem]]) -> dict[int, str]:
    """Boilerplate too: hash_lists problem by problem, nothing is shared."""
    return {run: name for name, rows in lists.items() for row in rows for run in hash_lists({name: [row]}).runs}


def report(
    lists: Mapping[str, Sequence[Problem]], others: Mapping[str, Sequence[Problem]], known: ProblemHashes
) -> None:
    dull = replace(known, runs=every_run(lists))
    for name, rows in lists.items():
        found = sum(describe_overlap(disguised(row.text, seed), known) is not None for seed, row in enumerate(rows))
        inside = [row for row in rows if len(split_words(row.text.rpartition(" ")[0])) >= contamination.RUN]
        caught = sum(describe_overlap(within(row.text), known) is not None for row in inside)
        print(f"{name}: {found} of {len(rows)} found disguised, {caught} of {len(inside)} inside another text")
    for name, rows in others.items():
        flagged = [(row, reason) for row in rows if (reason := describe_overlap(row.text, known))]
        everything = sum(describe_overlap(row.text, dull) is not None for row in rows)
        print(f"{name}: {len(flagged)} of {len(rows)} flagged, {everything} with boilerplate")
        for row, reason in flagged[:40]:
            print(f"    {row.id}: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("others", type=Path, nargs="*")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lists = {name: load(name, data_dir=args.folder).problems for name in BENCHMARKS}
    known = hash_lists(lists)
    others = {path.stem: load(str(path)).problems for path in args.others}
    others["arithmetic"] = load("arithmetic", count=2_000, split="train").problems
    report(lists, others, known)
    data = encode(known)
    print(f"{len(data):,} bytes: {len(known.runs):,} runs, {len(known.texts):,} texts, {len(known.phrases):,} phrases")
    if args.write:
        Path(contamination.__file__).with_name(contamination.FILE).write_bytes(data)


if __name__ == "__main__":
    main()
