"""`scale reproduce`: finished runs against the paper's numbers. report.reproduce decides what is compared, and how."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import Commands, add_answers, add_denominator, say
from scale_reasoning.cli.output import add_output, choose_format, make_writers, write_text
from scale_reasoning.cli.runs import RUN, choose_names, read_all_cells
from scale_reasoning.cli.trained import add_tuned, find_trained
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.paper_cells import Ours

TABLES = ("table1", "table2", "figure2", "table3")


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "reproduce",
        help="runs against the paper's numbers",
        description="Compares finished runs with a table of the SCALE paper: each number, ours, the interval of their "
        "gap, and a verdict: compatible, above, below or cannot tell. Exit codes: 0 done, whatever the verdicts, "
        "1 attempts are pending (the table says how many), 2 usage or configuration.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=f"{RUN}, or a folder of runs; several make one table")
    parser.add_argument(
        "--table", choices=TABLES, help="of the paper (default: the one that most cells of the runs are of)"
    )
    add_output(parser)
    parser.add_argument(
        "--margin", type=float, default=10, metavar="POINTS", help="of accuracy, up to which the two are compatible "
        "(default 10; tokens: a factor of 1.25)",
    )  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draws the table as .png, .svg or .pdf, too")
    add_denominator(parser)
    add_answers(parser)
    add_tuned(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the table; 1 where attempts are pending."""
    from scale_reasoning.report.paper_cells import find_table
    from scale_reasoning.report.reproduce import reproduce
    from scale_reasoning.report.reproduce_table import render_reproduction

    if not 0 < args.margin < 100:
        raise ConfigError(f"--margin {args.margin:g}: must be above 0 and below 100 points")
    _check_plot(args.plot)
    ours = _read_ours(args)
    table = args.table or find_table(ours)
    found = reproduce(ours, table, denominator=args.denominator, margin=args.margin / 100)
    write_text(render_reproduction(found, choose_format(args.format, args.out), make_writers(args.out)), args.out)
    if args.plot is not None:
        from scale_reasoning.report.plots import draw_reproduction

        draw_reproduction(found, args.plot)
        say(f"drew {args.plot}")
    return 1 if any(line.pending for line in found.lines) else 0


def _check_plot(file: Path | None) -> None:
    """Raises ConfigError for a plot that could not be written."""
    from scale_reasoning.report.plots import check_ending

    if file is None:
        return
    check_ending(file)
    if file.exists():
        raise ConfigError(f"--plot {file}: File exists")


def _read_ours(args: argparse.Namespace) -> list[Ours]:
    """The cells of the runs with their summaries, and the votes counted over those of chain of thought."""
    from scale_reasoning.report.chain_votes import count_votes, has_paid_vote, mark_counted
    from scale_reasoning.report.metrics import summarise
    from scale_reasoning.report.paper_cells import Ours
    from scale_reasoning.report.training import mark_training, note_trained

    numbered = read_all_cells(choose_names(args.runs, "reproduce"), args.answers)
    cells = [cell for _, cell in numbered]
    trained = find_trained(cells, args.tuned)
    for note in note_trained(trained):
        say(note)
    measure = partial(summarise, denominator=args.denominator)
    several = len({cell.run for cell in cells}) > 1
    ours: list[Ours] = []
    for row, cell in numbered:
        name = f"{cell.run}:{row}" if several else str(row)
        (summary,) = mark_training([measure(cell, row=row)], trained)
        ours.append(Ours(summary=summary, cell=cell, name=name))
        if not has_paid_vote(cell, cells) and (votes := count_votes(cell)) is not None:
            ours.append(Ours(summary=mark_counted(measure(votes)), cell=votes, name=name))
    return ours
