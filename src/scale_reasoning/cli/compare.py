"""`scale compare`: two stored runs against each other. Decides which cells are compared; report decides numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scale_reasoning.cli.costs import add_prices, read_prices_flag
from scale_reasoning.cli.options import Commands, say
from scale_reasoning.cli.report import RUN, read_cells, read_problems, write_text
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.metrics import Cell


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "compare",
        help="compare two runs on the same problems",
        description="Run B against run A on the same problems, paired. Exit codes: 0 done, 1 attempts are pending (the "
        "comparison says so), 2 usage or configuration.",
    )
    parser.add_argument("a", metavar="RUN_A", help=f"{RUN}, on all its datasets")
    parser.add_argument("b", metavar="RUN_B", help="another run, or another row of the same")
    parser.add_argument("--format", choices=("md", "json"), default="md", help="default md")
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
    from scale_reasoning.report.formats import WRITERS

    one, other = ([cell for _, cell in read_cells(name)] for name in (args.a, args.b))
    pairs = pair(one, other)
    if alone := len(one) + len(other) - 2 * len(pairs):
        say(f"{alone} cells have no counterpart in the other run and are not compared")
    for a, b in pairs:
        paired.refuse_other_problems(a, b, read_problems(a), read_problems(b))
    costing = choose_costing([cell for each in pairs for cell in each], read_prices_flag(args.prices))
    comparisons = [paired.compare(a, b, costing) for a, b in pairs]
    if args.format == "json":
        text = msgspec.json.format(msgspec.json.encode(comparisons), indent=2).decode() + "\n"
    else:
        text = WRITERS["md"](build_grid(comparisons))
    write_text(text, None)
    return 0 if all(comparison.complete for comparison in comparisons) else 1


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
