"""`scale draft`: what System 1 and the assessors make of the steps of a run, as a new run that can be resumed."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from scale_reasoning.cli import estimate, options, running
from scale_reasoning.cli.costs import read_caps
from scale_reasoning.cli.flags import RunFlags, StrategyFlags
from scale_reasoning.cli.manifest import require_unchanged
from scale_reasoning.cli.options import Commands, say
from scale_reasoning.cli.values import read_number
from scale_reasoning.runs.manifest import DatasetSpec, Manifest


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "draft",
        help="draft and assess the steps of a run, to see how good assessors are",
        description="Makes a new run with the SCALE rows of RUN. Every step is solved as before, from RUN's own "
        "completions; then System 1 drafts are made and the assessors are asked. Only those calls are paid for. "
        "scale report --assessor NEW shows what they say. To resume: scale eval --resume NEW.",
    )
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run's folder; it is only read")
    parser.add_argument("--out", type=Path, metavar="NEW", required=True, help="the new run's folder")
    parser.add_argument("--drafts", type=read_number(1), metavar="N", help="System 1 drafts of a step "
                        "(default 3)")  # fmt: skip
    parser.add_argument("--assessors", nargs="+", metavar="NAME", help="assessors that are asked about every step "
                        "(default rated expected draft agreement)")  # fmt: skip
    parser.add_argument("--attempts-in-flight", type=read_number(1), metavar="N", help="attempts at a time")
    parser.add_argument("--dry-run", action="store_true", help="print the most that it would cost; write nothing")
    parser.add_argument("--trust-manifest", action="store_true", help="send keys to the servers that RUN names")
    options.add_name(parser)
    options.add_caps(parser)
    options.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Makes the new run; exit code 1 when attempts are pending."""
    from scale_reasoning.runs.folder import read_manifest
    from scale_reasoning.runs.merge import start_from
    from scale_reasoning.runs.probing import probe_manifest
    from scale_reasoning.runs.store import reading, resume

    folder, flags = args.run_folder, _read_flags(args)
    old = read_manifest(folder)
    require_unchanged(flags, old)
    running.require_unchanged_code(folder, old)
    read_caps(flags, old)
    new = probe_manifest(old, _read_options(args))
    _say_left_out(folder, old)
    if args.dry_run:
        with reading(folder) as store:
            problems = {cell.dataset.name: store.problems(cell.dataset.name) for cell in new.cells}
            paid = store.paid().calls
        print(estimate.estimate(new, problems))
        print(f"the {paid:,} calls that {folder} has paid for are not made again")
        return 0
    with reading(folder) as store:
        problems = {cell.dataset.name: store.problems(cell.dataset.name) for cell in new.cells}
    start_from([folder], args.out, running.date(running.prepare_stored(new), flags.name), problems)
    again, after = f"scale eval --resume {args.out}", f"scale report --assessor {args.out}"
    with resume(args.out) as store:
        return running.work(flags, store, again=again, after=after)


def _read_options(args: argparse.Namespace) -> dict[str, object]:
    """The options of `probe` that were given."""
    drafts = {} if args.drafts is None else {"drafts": args.drafts}
    return drafts if args.assessors is None else {**drafts, "assessors": " ".join(args.assessors)}


def _read_flags(args: argparse.Namespace) -> RunFlags:
    """The flags of a run, as for a resume: what the run does is not among them."""
    return options.read(
        RunFlags,
        args,
        strategy=StrategyFlags(options={}),
        model=options.read_model(args),
        data=DatasetSpec(name=""),
        **dict.fromkeys(("samples", "seed", "grader", "shard", "ray")),
        reuse=True,
        ray_workers=options.RAY_WORKERS,
    )


def _say_left_out(folder: Path, manifest: Manifest) -> None:
    """Says which rows have no steps to look at, and what else is paid for."""
    from scale_reasoning.runs.store import reading

    left = dict.fromkeys(str(cell.strategy["name"]) for cell in manifest.cells if cell.strategy["name"] != "scale")
    if left:
        say(f"left out, because they have no steps that are assessed: the rows of {', '.join(left)}")
    scale = replace(manifest, cells=tuple(cell for cell in manifest.cells if cell.strategy["name"] == "scale"))
    with reading(folder) as store:
        numbers = [n for n, cell in enumerate(manifest.cells) if cell in scale.cells]
        pending = sum(map(store.planned_of, numbers)) - sum(cell in numbers for cell, _, _ in store.done())
    if pending:
        say(f"{pending:,} attempts of {folder} are pending: here they are made in full")
