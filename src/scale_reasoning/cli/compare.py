"""`scale compare`: two stored runs against each other. Decides which cells are compared; report decides numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.costs import add_prices, read_prices_flag
from scale_reasoning.cli.options import Commands, say
from scale_reasoning.cli.output import add_output, choose_format, make_writers, write_text
from scale_reasoning.cli.runs import (
    RUN,
    choose_names,
    look_at_all,
    read_cells,
    read_problems,
    split_name,
    tabulate_runs,
)
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.compare import Comparison
    from scale_reasoning.report.metrics import Cell


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "compare",
        help="compare two runs on the same problems",
        description="Run B against run A on the same problems, paired. Exit codes: 0 done, 1 attempts are pending (the "
        "comparison says so), 2 usage or configuration.",
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"A and B: {RUN}; or one folder of two runs, or one run "
                        "of two rows (default: runs)")  # fmt: skip
    add_output(parser)
    parser.add_argument("--metric", choices=("acc",), default="acc", help="what is compared (default acc)")
    add_prices(parser, "adds the cost")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)  # unused; old commands give it
    parser.set_defaults(run=compare)


def compare(args: argparse.Namespace) -> int:
    """Prints the comparison; 1 where attempts are pending."""
    import msgspec

    from scale_reasoning.report import compare as paired
    from scale_reasoning.report.compare_table import build_grid
    from scale_reasoning.report.cost import choose_costing
    from scale_reasoning.report.tables import build_flat

    sides = [read_cells(name) for name in choose_two(args.runs)]
    rows = {id(cell): row for side in sides for row, cell in side}
    one, other = ([cell for _, cell in side] for side in sides)
    pairs = pair(one, other)
    if alone := len(one) + len(other) - 2 * len(pairs):
        say(f"{alone} cells have no counterpart in the other run and are not compared")
    for a, b in pairs:
        paired.refuse_other_problems(a, b, read_problems(a), read_problems(b))
    costing = choose_costing([cell for each in pairs for cell in each], read_prices_flag(args.prices))
    comparisons = [_name_sides(paired.compare(a, b, costing), a, b, rows) for a, b in pairs]
    format_, writers = choose_format(args.format, args.out), make_writers(args.out)
    if format_ == "json":
        text = msgspec.json.format(msgspec.json.encode(comparisons), indent=2).decode() + "\n"
    elif format_ == "csv":
        text = writers["csv"](build_flat([msgspec.to_builtins(each) for each in comparisons]))
    else:
        text = writers[format_](build_grid(comparisons))
    write_text(text, args.out)
    return 0 if all(comparison.complete for comparison in comparisons) else 1


def _name_sides(comparison: Comparison, a: Cell, b: Cell, rows: Mapping[int, int]) -> Comparison:
    """The comparison with the places of both rows, and what differs between them."""
    from msgspec.structs import replace

    from scale_reasoning.report.apart import find_apart
    from scale_reasoning.report.compare import Side
    from scale_reasoning.runs.folder import read_manifest

    mine, theirs = (Side(run=c.run, row=rows[id(c)], name=c.name, created=c.created) for c in (a, b))
    apart = find_apart(a, b, read_manifest(Path(a.run)), read_manifest(Path(b.run)))
    return replace(comparison, side_a=mine, side_b=theirs, differences=apart)


def choose_two(names: Sequence[str]) -> list[str]:
    """A and B: the two that are named, or the two runs of a folder, the older one first, or the two rows of a run.

    Raises ConfigError, after a list of what there is, where they are not two.
    """
    if len(names) > 2:
        raise ConfigError(f"{len(names)} runs are named: compare takes two, A and B")
    found = [each for name in names for each in choose_names([name], "compare")] or choose_names((), "compare")
    if len(found) == 2:
        return found
    if len(found) == 1:
        folder, row = split_name(found[0])
        rows = sorted({number for number, _ in read_cells(found[0])})
        if row is None and len(rows) == 2:
            return [f"{folder}:{number}" for number in rows]
        has = f"{len(rows)} row{'s' * (len(rows) > 1)}"
        raise ConfigError(f"{found[0]} has {has}, and nothing else is named: name A and B, two runs or two rows, as "
                          f"{folder}:1 {folder}:2")  # fmt: skip
    listed = tabulate_runs(look_at_all(dict.fromkeys(split_name(name)[0] for name in found)))
    print(make_writers(stream=sys.stderr)["terminal"](listed), file=sys.stderr)
    raise ConfigError(f"{len(found)} runs were found: name two of them, A and B")


def pair(mine: Sequence[Cell], theirs: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """Pairs of cells of two runs on the same dataset; of one model and strategy too, where a run has several there.

    Raises ConfigError where there is no pair, or no clear one.
    """
    chosen: list[tuple[Cell, Cell]] = []
    for dataset in dict.fromkeys(cell.dataset for cell in mine):
        pairs = [(a, b) for a in mine for b in theirs if a.dataset == b.dataset == dataset]
        alike = [(a, b) for a, b in pairs if (a.model, a.strategy) == (b.model, b.strategy)]
        if len(pairs) > 1 and not alike:
            raise ConfigError(
                f"several cells are on {dataset}, and no model and strategy are in both runs: name one row of each, as "
                "FOLDER:N (`scale report` numbers them)"
            )
        chosen += pairs if len(pairs) == 1 else alike
    if not chosen:
        names = (" and ".join(dict.fromkeys(cell.dataset for cell in cells)) for cells in (mine, theirs))
        raise ConfigError(f"the runs share no dataset: one is on {', the other on '.join(names)}")
    return chosen
