"""`scale grade`, `scale merge` and `scale export`: what is done with saved records, no model needed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError


def add(commands: Commands) -> None:
    """Adds the verbs."""
    grade = commands.add_parser("grade", help="grade and vote anew over a run's saved text, no model needed")
    grade.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    grade.add_argument("--grader", metavar="NAME", help="integer or symbolic (default: as each gold answer asks)")
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
    """Prints how many verdicts changed in each run."""
    from scale_reasoning.graders import GRADERS
    from scale_reasoning.runs.regrade import regrade
    from scale_reasoning.runs.store import resume

    if args.grader is not None and args.grader not in GRADERS:
        raise ConfigError(f"--grader {args.grader}: must be one of {', '.join(GRADERS)}")
    for folder in args.runs:
        with resume(folder) as store:
            graded, changed = asyncio.run(regrade(store, args.grader))
        print(f"{folder}: {graded} records graded anew, {changed} verdicts changed")
    return 0


def run_merge(args: argparse.Namespace) -> int:
    """Says what the merged run holds, and how to go on when attempts are owed."""
    from scale_reasoning.runs.merge import merge
    from scale_reasoning.runs.store import reading

    merge(args.out, args.runs)
    with reading(args.out) as store:
        done, planned = len(store.done()), store.planned
    print(f"{args.out}: {done:,} of {planned:,} attempts, from {len(args.runs)} runs")
    if done < planned:
        print(f"{planned - done:,} attempts are owed: scale eval --resume {args.out}", file=sys.stderr)
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
