"""`scale plot`: pictures of stored runs. Prints the file's path; report.plots decides what is drawn."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.costs import add_prices, read_prices_flag
from scale_reasoning.cli.options import Commands, add_denominator, add_truth, say
from scale_reasoning.cli.runs import RUNS, choose_names, find_default, read_all_cells, split_name
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.cost import Costing
    from scale_reasoning.report.plots import Drawn, Frame

SMALLEST, LARGEST = 1.5, 20.0
"""Inches of a side of a plot."""
KINDS = {
    "budget": "accuracy by System 2 token limit, or by thinking budget",
    "tau": "accuracy, tokens and hard share by tau",
    "frontier": "accuracy by tokens, all cells of all runs",
    "difficulty": "assessed difficulties by outcome",
    "stages": "tokens by stage",
}
LOSS = "loss"
"""The kind that takes folders of fine-tuned models instead of runs."""
RELIABILITY = "reliability"
"""The kind that needs the steps of runs that `scale draft` made."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "plot",
        help="pictures of runs",
        description="Draws stored runs: " + "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items()) + "; "
        "reliability: failures of System 1 by difficulty, of runs that `scale draft` made; "
        "loss: training loss by step, of folders that `scale sft` made. "
        "Exit codes: 0 done, 1 attempts are pending (the caption says how many), 2 usage or configuration.",
    )
    parser.add_argument(
        "kind", choices=(*KINDS, RELIABILITY, LOSS), metavar="KIND", help=", ".join([*KINDS, RELIABILITY, LOSS])
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help=RUNS)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=".png, .svg or .pdf; an existing file is an error (default: RUN/KIND.png, which is replaced)",
    )
    parser.add_argument(
        "--with-paper", action="store_true", help="the paper's numbers for the same models, dashed and hollow"
    )
    parser.add_argument("--x", choices=("tokens", "cost"), default="tokens", help="of frontier: the x axis (default "
                        "tokens); cost: at --prices, or else 2 x active parameters x tokens")  # fmt: skip
    add_prices(parser, "for --x cost")
    parser.add_argument("--size", type=_read_size, metavar="WxH", help="inches, e.g. 3.4x2.4 (default: 3.3 wide, as "
                        "high as needed)")  # fmt: skip
    parser.add_argument("--no-title", action="store_true", help="for a paper, whose caption has it")
    parser.add_argument("--no-caption", action="store_true", help="for a paper; the caption is printed on stderr")
    add_denominator(parser)
    add_truth(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draws, and prints the file's path; 1 where attempts are pending."""
    from scale_reasoning.report.plots import draw, draw_loss

    if args.out is not None and args.out.exists():
        raise ConfigError(f"--out {args.out}: File exists")
    folders = args.runs or ([] if args.kind == LOSS else [str(find_default("plot"))])
    if not folders:
        raise ConfigError("plot loss: name the folder of a fine-tuned model, which scale sft made")
    file = args.out or split_name(folders[0])[0] / f"{args.kind}.png"
    names = list(dict.fromkeys(args.runs)) if args.kind == LOSS else choose_names(args.runs, "plot")
    costing = _read_costing(args)
    if args.kind == LOSS:
        _end(args, draw_loss([Path(name) for name in names], file, _make_frame(args)), file)
        return 0
    if args.kind == RELIABILITY:
        return _draw_reliability(args, names, file)
    if args.truth is not None:
        raise ConfigError(f"--truth {args.truth}: belongs to {RELIABILITY}")
    numbered = read_all_cells(names)
    rows, cells = [row for row, _ in numbered], [cell for _, cell in numbered]
    drawn = draw(
        args.kind,
        cells,
        file,
        rows=None if args.no_caption else rows,  # a paper has no use for the numbers of rows
        denominator=args.denominator,
        with_paper=args.with_paper,
        costing=costing,
        frame=_make_frame(args),
    )
    if args.with_paper and not drawn.with_paper:
        say("the paper has no such numbers for these models on these datasets")
    _end(args, drawn, file)
    pending = any(outcome.pending for cell in cells for outcome in cell.outcomes)
    return 1 if pending or any(len(cell.outcomes) < cell.planned for cell in cells) else 0


def _read_costing(args: argparse.Namespace) -> Costing | None:
    """How costs are computed; None where tokens are drawn. Raises ConfigError."""
    from scale_reasoning.report.cost import Costing

    if args.x == "tokens":
        if args.prices is not None:
            raise ConfigError(f"--prices {args.prices}: belongs to --x cost")
        return None
    if args.kind != "frontier":
        raise ConfigError("--x cost: belongs to frontier")
    if args.with_paper:
        raise ConfigError("--x cost: the paper has no costs; leave out --with-paper")
    return Costing(prices=read_prices_flag(args.prices))


def _make_frame(args: argparse.Namespace) -> Frame:
    from scale_reasoning.report.plots import Frame

    size = {} if args.size is None else dict(zip(("width", "height"), args.size, strict=True))
    return Frame(title=not args.no_title, caption=not args.no_caption, **size)


def _end(args: argparse.Namespace, drawn: Drawn, file: Path) -> None:
    """Prints the file's path, and the caption if the plot is without it."""
    if args.no_caption:
        say(f"caption: {drawn.caption}")
    print(file, flush=True)


def _read_size(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"([0-9]{1,2}(?:\.[0-9]+)?)x([0-9]{1,2}(?:\.[0-9]+)?)", text)
    sides = tuple(map(float, match.groups())) if match else ()
    if len(sides) != 2 or not all(SMALLEST <= side <= LARGEST for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r}: must be WxH in inches, each from {SMALLEST} to {LARGEST}, such as "
                                         "3.4x2.4")  # fmt: skip
    return sides


def _draw_reliability(args: argparse.Namespace, names: Sequence[str], file: Path) -> int:
    from scale_reasoning.cli.assessed import read_all_assessed
    from scale_reasoning.report.assessors.truths import SYSTEM2
    from scale_reasoning.report.plots import draw_reliability

    truth = args.truth or SYSTEM2
    cells = read_all_assessed(names, truth)
    _end(args, draw_reliability(cells, file, truth, _make_frame(args)), file)
    return 1 if any(each.found.pending for each in cells if each.found.assessors) else 0
