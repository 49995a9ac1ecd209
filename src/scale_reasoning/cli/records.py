"""`scale grade`, `scale merge` and `scale export`: work on stored records, without a model."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import Commands, add_answers, say

if TYPE_CHECKING:
    from scale_reasoning.runs.regrade import RegradeCounts
    from scale_reasoning.runs.store import Store
    from scale_reasoning.strategies.solving import Answers

MOST_LINES = 5
"""Messages about records that could not be graded."""


def add(commands: Commands) -> None:
    """Adds the verbs."""
    grade = commands.add_parser("grade", help="grade and vote again on stored replies; needs no model")
    grade.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    grade.add_argument("--grader", metavar="NAME", help="integer or symbolic (default: the run's, else chosen by "
                       "each gold answer)")  # fmt: skip
    add_answers(grade)
    grade.add_argument("--dry-run", action="store_true", help="print what would change, write nothing")
    grade.set_defaults(run=run_grade)
    merge = commands.add_parser("merge", help="make one run of shards, or of copies that were resumed separately")
    merge.add_argument("out", type=Path, metavar="OUT", help="the merged run's folder")
    merge.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    merge.set_defaults(run=run_merge)
    export = commands.add_parser("export", help="a run's records as JSON lines or Parquet")
    export.add_argument("folder", type=Path, metavar="RUN")
    export.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: RUN/records.FORMAT")
    export.set_defaults(run=run_export)


def run_grade(args: argparse.Namespace) -> int:
    """Prints how many grades changed in each run, and how; 1 where some records could not be graded."""
    from scale_reasoning.graders import check_name
    from scale_reasoning.runs.store import reading, resume

    check_name(args.grader, "--grader")
    code = 0
    for folder in args.runs:
        with (reading if args.dry_run else resume)(folder) as store:
            result = asyncio.run(_grade(store, args.grader, args.answers, dry_run=args.dry_run))
        print(f"{folder}: {_describe(result, dry_run=args.dry_run)}")
        for line in result.ungraded[:MOST_LINES]:
            say(f"not graded, and left as it was: {line}")
        if len(result.ungraded) > MOST_LINES:
            say(f"and {len(result.ungraded) - MOST_LINES:,} more")
        code = 1 if result.ungraded else code
    return code


async def _grade(store: Store, grader: str | None, answers: Answers | None, *, dry_run: bool) -> RegradeCounts:
    from scale_reasoning.runs.regrade import RegradeCounts, regrade, regrade_each

    if not dry_run:
        return await regrade(store, grader, answers)
    result = RegradeCounts()
    async for _ in regrade_each(store, result, grader, answers):
        pass
    return result


def _describe(result: RegradeCounts, *, dry_run: bool) -> str:
    kinds = {"from wrong to right": result.to_right, "from right to wrong": result.to_wrong, "new": result.first}
    ways = ", ".join(f"{count:,} {way}" for way, count in kinds.items() if count)
    graded, changed = ("would be graded", "would change") if dry_run else ("graded", "changed")
    text = f"{result.records:,} records {graded} again, {result.changed:,} grades {changed}"
    return f"{text}: {ways}" if ways else text


def run_merge(args: argparse.Namespace) -> int:
    """Prints what the merged run holds, and how to resume it when attempts are pending."""
    from scale_reasoning.runs.merge import merge
    from scale_reasoning.runs.store import reading

    merge(args.out, args.runs)
    with reading(args.out) as store:
        done, planned = len(store.done()), store.planned
    print(f"{args.out}: {done:,} of {planned:,} attempts, from {len(args.runs)} runs")
    if done < planned:
        print(f"{planned - done:,} attempts are pending: scale eval --resume {args.out}", file=sys.stderr)
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Writes the file."""
    from scale_reasoning.runs.export import to_jsonl, to_parquet
    from scale_reasoning.runs.store import reading

    file = args.out or args.folder / f"records.{args.format}"
    with reading(args.folder) as store:
        count = (to_jsonl if args.format == "jsonl" else to_parquet)(store, file)
    print(f"{count} records in {file}", file=sys.stderr)
    return 0
