"""A tuning that is done: its table, its policy file and its plot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scale_reasoning.cli.options import say
from scale_reasoning.cli.output import choose_format, make_writers, write_text

if TYPE_CHECKING:
    from scale_reasoning.runs.manifest import Manifest
    from scale_reasoning.runs.store import Store
    from scale_reasoning.tuning.drops import Standing
    from scale_reasoning.tuning.table import Tuned


def finish(
    store: Store,
    standing: Standing,
    format: Literal["terminal", "md", "json"] | None,  # noqa: A002 - the flag's name
    *,
    policy_file: Path | None,
    plot: Path | None,
) -> int:
    """Prints the table, writes the policy and draws the plot; 1 if there is no choice. Raises ConfigError."""
    from scale_reasoning.tuning.goal import read_order, read_outcomes
    from scale_reasoning.tuning.table import render, tabulate

    tuned = tabulate(read_outcomes(store), read_order(store), store.manifest, standing)
    write_text(render(tuned, choose_format(format), make_writers()), None)
    if policy_file is not None and tuned.chosen is not None:
        _write_policy(policy_file, tuned, store.manifest)
        say(f"wrote {policy_file}: scale solve --policy {policy_file}")
    if plot is not None:  # last, because it may fail: without matplotlib, or without any known tokens
        _draw(plot, tuned, store)
    return 0 if tuned.chosen is not None else 1


def _draw(file: Path, tuned: Tuned, store: Store) -> None:
    from scale_reasoning.report.plots import draw
    from scale_reasoning.runs.cells import read_cell
    from scale_reasoning.tuning.goal import read_order

    held_out = set(read_order(store)[-tuned.held_out :])
    rows = [row.row for row in tuned.rows if row.on == "held out"]
    cells = [read_cell(store, row - 1) for row in rows]
    finals = [
        replace(cell, problems=len(held_out), elsewhere=0,
                outcomes=tuple(each for each in cell.outcomes if each.problem_id in held_out))
        for cell in cells
    ]  # fmt: skip
    draw("frontier", finals, file, rows=rows)
    say(f"drew {file}")


def _write_policy(file: Path, tuned: Tuned, manifest: Manifest) -> None:
    import msgspec

    from scale_reasoning.runs.policy_file import make_policy, write_policy

    row = next(each for each in tuned.rows if each.row == tuned.chosen)
    evidence = {
        "how": "scale tune: rounds of problems with exact sign tests, then problems that were held out",
        "advice": tuned.advice,
        "candidates": len(tuned.rows),
        "tuned_on": tuned.tuned_on,
        "tokens_at_most": tuned.tokens,
        "margin": tuned.margin,
        **msgspec.to_builtins(row.measured),
    }
    write_policy(file, make_policy(row.strategy, tuned.model, tuned.dataset, manifest.resolved, evidence))
