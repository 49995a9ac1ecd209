"""`scale calibrate`: the number of an allocator that loses at most so much, with confidence, as a policy file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import Commands, say
from scale_reasoning.cli.output import add_format, choose_format, make_writers, write_text
from scale_reasoning.cli.runs import RUN, choose_names, read_all_cells
from scale_reasoning.errors import ConfigError

if TYPE_CHECKING:
    from scale_reasoning.report.calibrated_rows import Grid
    from scale_reasoning.report.calibration import Calibration, Tested
    from scale_reasoning.types import JSON


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "calibrate",
        help="a threshold with a guarantee, from the rows of a run",
        description="Of the rows of a run that differ in the number of their allocator (tau, accept, share), finds the "
        "one that spends least and, with the given confidence, loses at most the given share of problems that all "
        "System 2 solves. Writes it as a policy for --policy. Exit codes: 0 certified, 1 nothing can be certified, "
        "2 usage or configuration.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=f"{RUN}; with a row of all System 2")
    parser.add_argument("--loss", type=float, default=0.05, metavar="SHARE", help="default 0.05")
    parser.add_argument("--confidence", type=float, default=0.9, metavar="SHARE", help="default 0.9")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the policy there, for example policy.toml")
    add_format(parser, formats=("terminal", "md", "json"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the tests, and writes the policy."""
    from scale_reasoning.report.calibrated_rows import find_grid
    from scale_reasoning.report.calibration import calibrate

    for flag, share in (("--loss", args.loss), ("--confidence", args.confidence)):
        if not 0 < share < 1:
            raise ConfigError(f"{flag} {share:g}: must be above 0 and below 1")
    if args.out is not None and args.out.exists():
        raise ConfigError(f"--out {args.out}: it exists already; name another file, or remove it")
    numbered = read_all_cells(choose_names(args.runs, "calibrate"))
    _refuse_tunings({cell.run for _, cell in numbered})
    grid = find_grid(numbered)
    found = calibrate(grid.list_losses(), args.loss, args.confidence, several=grid.several)
    write_text(_render(found, grid, choose_format(args.format)), None)
    if found.chosen is None:
        return 1
    if args.out is not None:
        _write(found, found.chosen, grid, args.out)
        say(f"wrote {args.out}: scale eval DATASET --policy {args.out}")
    return 0


def _refuse_tunings(runs: Iterable[str]) -> None:
    from scale_reasoning.runs.folder import read_manifest

    for run in sorted(runs):
        if read_manifest(Path(run)).tuning is not None:
            raise ConfigError(f"{run}: scale tune made this run and ended rows where they were beaten, so no "
                              "certificate would hold: make a run with scale eval or scale sweep")  # fmt: skip


def _render(found: Calibration, grid: Grid, format: str) -> str:  # noqa: A002 - the flag's name
    import msgspec

    from scale_reasoning.report.compare import compare
    from scale_reasoning.report.formats import NOTHING, Column, percent
    from scale_reasoning.report.formats import Grid as Table

    if format == "json":
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    cells = {(value, row): cell for value, row, cell in grid.values}
    lines: list[list[str]] = []
    for each in found.tested:
        ratio = compare(grid.base, cells[each.value, each.row])
        interval = "" if ratio.token_low is None else f" [{ratio.token_low:.3f}, {ratio.token_high:.3f}]"
        tokens = NOTHING if ratio.token_ratio is None else f"{ratio.token_ratio:.3f}{interval}"
        verdict = "yes" if each.certified else "no"
        lines.append([str(each.row), f"{each.value:g}", percent(each.loss), f"{each.p_value:.4f}", verdict, tokens])
    heads = ("row", grid.number.option, "loss", "p", "certified", "Tok / all System 2")
    columns = [Column(name=name, number=name != "certified") for name in heads]
    return make_writers()[format](Table(columns=columns, rows=lines, notes=_explain(found, grid)))


def _explain(found: Calibration, grid: Grid) -> list[str]:
    """What the table means, and what follows from it."""
    loss, confidence = f"{found.alpha * 100:g}%", f"{found.confidence * 100:g}%"
    legend = (
        f"loss: % of {found.tested[0].problems} problems that all System 2 solves and the row does not. p: of a loss "
        f"of {loss} or more. The tests begin at the safest value and end at the first p above {1 - found.confidence:g}."
    )
    if found.chosen is not None:
        promise = (
            f"{grid.number.option} {found.chosen.value:g} loses at most {loss} of problems like these, with "
            f"{confidence} confidence. This holds for this model, these prompts and problems of this kind only."
        )
        return [legend, promise]
    needed = "no number of problems would do at this loss"
    if found.needed is not None:
        needed = f"it would take about {found.needed:,} problems at this loss"
    lack = (
        f"Cannot certify: the safest value, {found.tested[0].value:g}, is not shown to lose less than {loss} of "
        f"problems; {needed}."
    )
    return [legend, lack]


def _write(found: Calibration, chosen: Tested, grid: Grid, out: Path) -> None:
    from scale_reasoning.report.compare import compare
    from scale_reasoning.runs.folder import read_manifest
    from scale_reasoning.runs.policy_file import make_policy, write_policy

    cell = next(cell for value, row, cell in grid.values if (value, row) == (chosen.value, chosen.row))
    resolved: Mapping[str, JSON] = read_manifest(Path(cell.run)).resolved
    tokens = compare(grid.base, cell)
    evidence: dict[str, JSON] = {
        "how": "scale calibrate: Learn-then-Test, fixed sequence",
        "number": grid.number.option,
        "value": chosen.value,
        "loss_at_most": found.alpha,
        "confidence": found.confidence,
        "loss_found": chosen.loss,
        "problems": chosen.problems,
        "samples": cell.samples,
        "tokens_of_all_system2": tokens.token_ratio,
        "tokens_low": tokens.token_low,
        "tokens_high": tokens.token_high,
    }
    write_policy(out, make_policy(cell.strategy, cell.model, cell.dataset, resolved, evidence))
