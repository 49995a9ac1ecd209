"""`scale plot`: pictures of stored runs. Prints the file's path; report.plots decides what is drawn."""

from __future__ import annotations

import argparse
from pathlib import Path

from scale_reasoning.cli.options import Commands, add_denominator, say
from scale_reasoning.cli.report import RUN, read_all_cells, split_name
from scale_reasoning.errors import ConfigError

KINDS = {
    "budget": "accuracy by System 2 token limit",
    "tau": "accuracy, tokens and hard share by tau",
    "frontier": "accuracy by tokens, all cells of all runs",
    "difficulty": "assessed difficulties by outcome",
    "stages": "tokens by stage",
}
LOSS = "loss"
"""The kind that takes folders of fine-tuned models instead of runs."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "plot",
        help="pictures of runs",
        description="Draws stored runs: " + "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items()) + "; "
        "loss: training loss by step, of folders that `scale sft` made. "
        "Exit codes: 0 done, 1 attempts are pending (the caption says how many), 2 usage or configuration.",
    )
    parser.add_argument("kind", choices=(*KINDS, LOSS), metavar="KIND", help=", ".join([*KINDS, LOSS]))
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=".png, .svg or .pdf; an existing file is an error (default: RUN/KIND.png, which is replaced)",
    )
    parser.add_argument(
        "--with-paper", action="store_true", help="the paper's numbers for the same models, dashed and hollow"
    )
    add_denominator(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draws, and prints the file's path; 1 where attempts are pending."""
    from scale_reasoning.report.plots import draw, draw_loss

    if args.out is not None and args.out.exists():
        raise ConfigError(f"--out {args.out}: File exists")
    file = args.out or split_name(args.runs[0])[0] / f"{args.kind}.png"
    names = list(dict.fromkeys(args.runs))
    if args.kind == LOSS:
        draw_loss([Path(name) for name in names], file)
        print(file, flush=True)
        return 0
    numbered = read_all_cells(names)
    rows, cells = [row for row, _ in numbered], [cell for _, cell in numbered]
    papers = draw(args.kind, cells, file, rows=rows, denominator=args.denominator, with_paper=args.with_paper)
    if args.with_paper and not papers:
        say("the paper has no such numbers for these models on these datasets")
    print(file, flush=True)
    pending = any(outcome.pending for cell in cells for outcome in cell.outcomes)
    return 1 if pending or any(len(cell.outcomes) < cell.planned for cell in cells) else 0
