"""`scale grade`, `scale merge` and `scale export`: what is done with saved records, no model needed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import Commands

if TYPE_CHECKING:
    from scale_reasoning.runs.regrade import RegradeCounts
    from scale_reasoning.runs.store import Store

MOST_LINES = 5
"""Records named that could not be graded."""


def add(commands: Commands) -> None:
    """Adds the verbs."""
    grade = commands.add_parser(
        "grade", help="bring a run's verdicts up to date: graded and voted anew, no model needed"
    )
    grade.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    grade.add_argument("--grader", metavar="NAME", help="integer or symbolic (default: the run's, else as each gold "
                       "answer asks)")  # fmt: skip
    grade.add_argument("--dry-run", action="store_true", help="print what would change, write nothing")
    grade.set_defaults(run=run_grade)
    merge = commands.add_parser("merge", help="one run of a run's shards, or of copies that went on apart")
    merge.add_argument("out", type=Path, metavar="OUT", help="the merged run's folder")
    merge.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    merge.set_defaults(run=run_merge)
    export = commands.add_parser("export", help="a run's records as JSON lines or Parquet")
    export.add_argument("folder", type=Path, metavar="RUN")
    export.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: RUN/records.FORMAT")
    export.set_defaults(run=run_export)


def run_grade(args: argparse.Namespace) -> int:
    """Prints how many verdicts changed in each run, and which way; 1 where some could not be given."""
    from scale_reasoning.graders import check_name
    from scale_reasoning.runs.store import reading, resume

    check_name(args.grader, "--grader")
    code = 0
    for folder in args.runs:
        with (reading if args.dry_run else resume)(folder) as store:
            found = asyncio.run(_grade(store, args.grader, dry_run=args.dry_run))
        print(f"{folder}: {_verdicts(found, dry_run=args.dry_run)}")
        for line in found.ungraded[:MOST_LINES]:
            print(f"scale: not graded, and kept as it was: {line}", file=sys.stderr)
        if len(found.ungraded) > MOST_LINES:
            print(f"scale: and {len(found.ungraded) - MOST_LINES:,} more", file=sys.stderr)
        code = 1 if found.ungraded else code
    return code


async def _grade(store: Store, grader: str | None, *, dry_run: bool) -> RegradeCounts:
    from scale_reasoning.runs.regrade import RegradeCounts, regrade, regraded

    if not dry_run:
        return await regrade(store, grader)
    found = RegradeCounts()
    async for _ in regraded(store, found, grader):
        pass
    return found


def _verdicts(found: RegradeCounts, *, dry_run: bool) -> str:
    kinds = {"from wrong to right": found.to_right, "from right to wrong": found.to_wrong, "given at all": found.first}
    ways = ", ".join(f"{count:,} {way}" for way, count in kinds.items() if count)
    graded, changed = ("would be graded", "would change") if dry_run else ("graded", "changed")
    said = f"{found.records:,} records {graded} anew, {found.changed:,} verdicts {changed}"
    return f"{said}: {ways}" if ways else said


def run_merge(args: argparse.Namespace) -> int:
    """Says what the merged run holds, and how to go on when attempts are pending."""
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
    """Writes the file and says so."""
    from scale_reasoning.runs.export import to_jsonl, to_parquet
    from scale_reasoning.runs.store import reading

    file = args.out or args.folder / f"records.{args.format}"
    with reading(args.folder) as store:
        count = (to_jsonl if args.format == "jsonl" else to_parquet)(store, file)
    print(f"{count} records in {file}", file=sys.stderr)
    return 0
