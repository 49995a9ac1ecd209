"""Which cell of a run is which of the paper: by model, dataset, strategy and the options that the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.chain_votes import CHAINS, is_counted
from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.paper import BASE, PROBLEMS, TRAINING, Table, find_papers_model, read_rows
from scale_reasoning.report.paper_models import has_papers_system1
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.types import JSON

TABLES: tuple[Table, ...] = ("table1", "table2", "figure2", "table3")
KEYS: Mapping[Table, Mapping[str, Mapping[str, JSON]]] = {
    "table1": {"cot": {}, "inftythink": {}, "vote": {}, "scale": {"tau": 0.2}},
    "table2": {"scale": {}},
    "figure2": {"scale": {"tau": 0.2}},
    "table3": {"cot": {}},
}
"""By table and strategy, the options that a row has besides those printed in the paper's row."""
MOST_NAMED = 12
"""Cells named in an error."""
LIMITS: Mapping[Table, tuple[int | None, ...]] = {"table1": (None, 32_768), "table2": (16_384,)}
"""The limits of System 2 in new tokens that SCALE's rows of a table may have; None is the family's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A cell of a run with its summary; `name` is its row as other commands take it."""

    summary: Summary
    cell: Cell
    name: str


def find_table(ours: Sequence[Ours]) -> Table:
    """The table that most of the cells are of. Raises ConfigError if there is none, or several have as many."""
    counts: dict[Table, int] = {
        table: sum(bool(list_candidates(table, row, ours)) for row in read_rows(table)) for table in TABLES
    }
    most = max(counts.values())
    best: list[Table] = [table for table in TABLES if counts[table] == most]
    if not most:
        raise ConfigError(explain_none(ours))
    if len(best) > 1:
        raise ConfigError(f"the runs have as many cells of {' as of '.join(best)}: choose with --table")
    return best[0]


def explain_none(ours: Sequence[Ours]) -> str:
    """A message on cells of which none is the paper's: what was looked for and what was found."""
    models = dict.fromkeys(row.model for table in TABLES for row in read_rows(table))
    mine = dict.fromkeys(f"{each.summary.model} on {each.summary.dataset}, {describe(each.summary)}" for each in ours)
    shown = [*list(mine)[:MOST_NAMED], *([f"{len(mine) - MOST_NAMED} more"] if len(mine) > MOST_NAMED else [])]
    return (
        f"no cell of these runs is one of the paper's. Its models are {', '.join(models)} (by their names on the Hub, "
        f"also of quantised copies), its datasets {', '.join(PROBLEMS)}, and its cells: cot, inftythink, vote over cot "
        "and scale at tau 0.2 with no limit or 32768 (table1); scale with system2_max_tokens 16384 and tau 0.2 to 0.9 "
        "(table2); scale at tau 0.2 with system2_max_tokens 4096 to 32768 (figure2); cot with a base model and a "
        f"fine-tuned one (table3). The runs have: {'; '.join(shown)}"
    )


def choose(table: Table, row: Summary, ours: Sequence[Ours]) -> Ours | None:
    """Our cell of the paper's row, a paid vote before a counted one; None if there is none.

    Raises ConfigError if there are several.
    """
    found = list_candidates(table, row, ours) or list_candidates(table, row, ours, strict=False)
    found = [each for each in found if not is_counted(each.summary)] or found
    if len(found) > 1:
        raise ConfigError(
            f"several rows are the paper's {describe_paper(row)} on {row.dataset} ({row.model}): "
            f"{', '.join(each.name for each in found)}: name the rows to compare, as FOLDER:N"
        )
    return found[0] if found else None


def list_candidates(table: Table, row: Summary, ours: Sequence[Ours], *, strict: bool = True) -> list[Ours]:
    """The cells that are the paper's row; with `strict`, those that have its token limit too."""
    return [
        each
        for each in ours
        if _is_cell(table, row, each.summary) and not (strict and find_other_limit(table, each.summary))
    ]


def _is_cell(table: Table, row: Summary, mine: Summary) -> bool:
    if (row.dataset, row.strategy, row.model) != (mine.dataset, mine.strategy, find_papers_model(mine)):
        return False
    wanted = {**KEYS[table][row.strategy], **row.options}
    if table != "table3" and mine.options.get(TRAINING, "none") != "none":
        return False
    if any(mine.options.get(option) != value for option, value in wanted.items()):
        return False
    if row.strategy == "vote":
        base = cast("Mapping[str, JSON] | None", mine.options.get("base"))
        return base is not None and base.get("name") == "cot"
    return row.strategy != "scale" or has_papers_system1(mine.model)


def find_other_limit(table: Table, mine: Summary) -> str:
    """What is not as in the table: SCALE's token limit, a vote's chains; empty if all is."""
    allowed, limit = LIMITS.get(table), mine.options.get("system2_max_tokens")
    if mine.strategy == "scale" and allowed and limit not in allowed:
        return f"system2_max_tokens is {limit or 'the family own'}, the paper's {allowed[-1]}"
    if mine.strategy == "vote" and (chains := mine.options.get("samples")) != CHAINS:
        return f"{chains} chains, the paper's {CHAINS}"
    return ""


def describe_paper(row: Summary) -> str:
    """A row of the paper in words: `scale, tau 0.2`."""
    return ", ".join([row.strategy, *(f"{key} {value}" for key, value in row.options.items())])


def describe(mine: Summary) -> str:
    """A cell of ours in words: its strategy and what tells it from others."""
    hidden = {BASE, *([TRAINING] if mine.label.get(TRAINING) == "none" else [])}
    return ", ".join([mine.strategy, *(f"{key} {value}" for key, value in mine.label.items() if key not in hidden)])
