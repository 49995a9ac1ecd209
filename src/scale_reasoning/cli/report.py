"""`scale report`: tables of stored runs on stdout or in a file.

Decides which cells are shown and the exit codes; report decides numbers and layouts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.costs import add_prices, read_prices_flag
from scale_reasoning.cli.options import Commands, add_answers, add_denominator, add_truth, say
from scale_reasoning.cli.output import add_output, choose_format, make_writers, write_text
from scale_reasoning.cli.runs import (
    RUNS,
    NumberedCell,
    choose_names,
    list_runs_of,
    read_all_cells,
    read_problems,
    split_name,
)
from scale_reasoning.cli.trained import add_tuned, find_trained
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.cost import Costing
    from scale_reasoning.report.metrics import Cell, Summary

LAYOUTS = ("auto", "table1", "table2", "table3", "cells")
MOST_NAMED = 12
"""Problems named in a line on a terminal by `--losses`."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "report",
        help="tables of runs",
        description="Accuracy, tokens and routing of stored runs, with intervals and denominators. Exit codes: 0 done, "
        "1 attempts are pending (the table says how many), 2 usage or configuration.",
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help=RUNS)
    add_output(parser)
    parser.add_argument(
        "--compact", action="store_true", help="accuracies and tokens alone, short, for a narrow column"
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        default="auto",
        help="table1: strategies by datasets, with the majority vote of chain-of-thought rows; table2: a swept option "
        "by datasets; table3: models before and after fine-tuning; cells: every number (default auto)",
    )
    add_tuned(parser)
    add_denominator(parser)
    add_answers(parser)
    parser.add_argument(
        "--with-paper", action="store_true", help="the paper's numbers for the same models and datasets"
    )
    add_prices(parser, "adds the cost")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws for maj@k of many samples (default 0)")
    parser.add_argument(
        "--losses",
        action="store_true",
        help="where attempts are lost: by decomposition (chain of thought against all System 2), by routing (all "
        "System 2 against a threshold), by the answer's form; names the problems",
    )
    parser.add_argument(
        "--assessor",
        action="store_true",
        help="how well difficulties predict that System 1 fails, per assessor, of a run that scale draft made",
    )
    add_truth(parser)
    parser.set_defaults(run=report)


def report(args: argparse.Namespace) -> int:
    """Prints the table; 1 where attempts are pending."""
    from scale_reasoning.report import paper
    from scale_reasoning.report.cost import choose_costing
    from scale_reasoning.report.tables import render

    args.names = choose_names(args.runs, "report")
    args.format = choose_format(args.format, args.out)
    if args.tuned and args.layout != "table3":
        raise ConfigError("--tuned: belongs to --layout table3")
    if args.assessor:
        from scale_reasoning.cli.assessed import report_assessors

        return report_assessors(args)
    if args.truth is not None:
        raise ConfigError(f"--truth {args.truth}: belongs to --assessor")
    if args.losses:
        return _report_losses(args)
    _check_compact(args)
    prices = read_prices_flag(args.prices)
    numbered = read_all_cells(args.names, args.answers)
    costing = choose_costing([cell for _, cell in numbered], prices)
    summaries = _summarise(args, numbered, costing)
    papers = paper.find_counterparts(summaries) if args.with_paper else ()
    if args.with_paper and not papers:
        say("the paper has no numbers for these models on these datasets")
    writers = make_writers(args.out)
    text = render([*summaries, *papers], args.format, args.layout, compact=args.compact, writers=writers)
    if args.format == "terminal" and (listed := list_runs_of(numbered)) is not None:
        text = f"{writers['terminal'](listed)}\n{text}"
    write_text(text, args.out)
    for folder in dict.fromkeys(folder for folder, row in map(split_name, args.runs) if row is None):
        if str(folder) in args.names:  # a run itself, not a folder of runs
            _print_savings(folder, [cell for _, cell in numbered if cell.run == str(folder)])
    _say_tunings({cell.run for _, cell in numbered})
    return 1 if any(summary.pending for summary in summaries) else 0


def _check_compact(args: argparse.Namespace) -> None:
    """Raises ConfigError for `--compact` where there is nothing to shorten."""
    if args.compact and (args.format == "json" or args.layout == "cells"):
        what = "--format json" if args.format == "json" else "--layout cells"
        raise ConfigError(f"--compact: {what} has every number; leave out one of the two")


def _summarise(args: argparse.Namespace, numbered: Sequence[NumberedCell], costing: Costing | None) -> list[Summary]:
    """The summaries of the cells that the layout shows; in table1 with the votes over chains of thought."""
    from scale_reasoning.report.chain_votes import count_votes, has_paid_vote, mark_counted
    from scale_reasoning.report.metrics import summarise
    from scale_reasoning.report.training import mark_training, note_trained

    measure = partial(summarise, denominator=args.denominator, costing=costing, seed=args.seed)
    cells = [cell for _, cell in numbered]
    summaries: list[Summary] = []
    for row, cell in numbered:
        summaries.append(measure(cell, row=row))
        if args.layout == "table1" and not has_paid_vote(cell, cells) and (votes := count_votes(cell)) is not None:
            summaries.append(mark_counted(measure(votes)))
    if args.layout != "table3":
        return summaries
    trained = find_trained(cells, args.tuned)
    for note in note_trained(trained):
        say(note)
    return mark_training(summaries, trained)


def _report_losses(args: argparse.Namespace) -> int:
    """Prints where attempts are lost; 1 where attempts are pending."""
    from scale_reasoning.report.losses import find_losses
    from scale_reasoning.report.losses_table import render_losses

    refuse_flags_of_tables(args, "--losses")
    numbered = read_all_cells(args.names, args.answers)
    _refuse_other_problems([cell for _, cell in numbered])
    found = find_losses(numbered)
    if not found.losses:
        raise ConfigError("--losses needs rows of chain of thought and of SCALE: name runs that have them")
    most = MOST_NAMED if args.format == "terminal" else None
    write_text(render_losses(found, args.format, most=most, writers=make_writers(args.out)), args.out)
    if args.format == "csv":
        for note in found.missing:
            say(note)
    return 1 if found.pending else 0


def refuse_flags_of_tables(args: argparse.Namespace, flag: str) -> None:
    """Raises ConfigError for flags of the tables of rows together with a flag that has its own table."""
    usual: dict[str, object] = {"layout": "auto", "denominator": "planned", "with_paper": False, "prices": None,
                               "compact": False}  # fmt: skip
    if given := [f"--{name.replace('_', '-')}" for name, value in usual.items() if getattr(args, name) != value]:
        raise ConfigError(f"{flag} has its own table, so leave out {', '.join(given)}")


def _refuse_other_problems(cells: Sequence[Cell]) -> None:
    """Refuses runs with other problems of the same dataset for the same model."""
    from scale_reasoning.report.compare import refuse_other_problems
    from scale_reasoning.report.roles import find_role

    firsts: dict[tuple[str, str], Cell] = {}
    checked: set[tuple[str, str, str]] = set()
    for cell in cells:
        if find_role(cell.strategy) is None:
            continue
        first = firsts.setdefault((cell.dataset, cell.model), cell)
        if cell.run != first.run and (cell.run, cell.dataset, cell.model) not in checked:
            checked.add((cell.run, cell.dataset, cell.model))
            try:
                refuse_other_problems(first, cell, read_problems(first), read_problems(cell))
            except ConfigError as error:
                raise ConfigError(f"{error}; or name one of the runs") from error


def _say_tunings(runs: set[str]) -> None:
    """Says on stderr which runs have rows that cannot be compared by their accuracy alone."""
    from scale_reasoning.runs.folder import read_manifest

    for run in sorted(runs):
        if read_manifest(Path(run)).tuning is not None:
            say(f"{run}: scale tune made this run and ended rows where they were beaten, so rows are on more or fewer "
                f"problems, and low ones partly by chance: scale tune --resume {run} compares them")  # fmt: skip


def _print_savings(folder: Path, cells: Sequence[Cell]) -> None:
    """Prints on stderr how many calls and tokens the cells of a whole run shared."""
    from scale_reasoning.runs.store import reading

    outcomes = [outcome for cell in cells for outcome in cell.outcomes]
    calls, counts = sum(o.calls for o in outcomes), [o.usage.completion_tokens for o in outcomes]
    with reading(folder) as store:
        paid = store.paid()
    if calls <= paid.calls:
        return
    if missing := counts.count(None) or paid.uncounted:
        tokens = f"tokens unknown ({missing} not counted by the server)"
        say(f"{folder}: {calls:,} calls were answered, {paid.calls:,} of them made; {tokens}")
        return
    tokens = sum(count or 0 for count in counts)
    say(
        f"{folder}: {calls:,} calls of {tokens:,} new tokens were answered, {paid.calls:,} of {paid.tokens:,} "
        f"paid for: {1 - paid.tokens / max(tokens, 1):.0%} of the tokens saved by sharing"
    )
