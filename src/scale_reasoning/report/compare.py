"""Compares two cells on the same problems, paired: the difference, its p-value and the problems needed to show it.

Refuses cells whose problems differ, because unpaired differences of benchmark scores mislead. Differences are B - A.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import sqrt
from statistics import fmean
from typing import Any

import msgspec

from scale_reasoning.datasets.dataset import normalise_text
from scale_reasoning.errors import ConfigError
from scale_reasoning.report.apart import Apart
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.formats import plain
from scale_reasoning.report.intervals import (
    ALPHA,
    Difference,
    compare_paired,
    count_problems_needed,
)
from scale_reasoning.report.metrics import group_by_problem
from scale_reasoning.report.paired import Paired, pair_amounts
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.strategies import label
from scale_reasoning.types import Problem

NAMED, LONGEST = 5, 60
"""Problems named in an error, and characters of a name."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two rows: its run, the row's number in the run's report, the run's name and when it was begun."""

    run: str
    row: int
    name: str | None
    created: str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename={"pending_a": "owed_a", "pending_b": "owed_b"}):
    """B against A on one dataset. Shares are in [0, 1]; None is unknown.

    difference: Acc of B - Acc of A over the `compared` problems (those that both scored), with its 95 % interval,
    clustered standard error and p-value; p is at most 0.05 exactly if the interval excludes 0. token_ratio: B's
    response tokens over A's on the problems that both finished. uncounted_a, uncounted_b: attempts on them whose server
    reported no response tokens; any makes the ratio unknown. needed: about how many problems a 5 % test needs to find
    this difference with 80 % power. cost_a, cost_b: means per attempt in `cost_unit` on the problems that both
    finished; cost_difference: B - A, cost_ratio: B / A, both paired, with intervals; cost_note: why costs are unknown.
    pending_a, pending_b: pending attempts; any makes the comparison incomplete. side_a, side_b, differences: where the
    rows are, and what differs between them, if the caller says so.
    """

    dataset: str
    a: str
    b: str
    problems: int
    compared: int
    acc_a: float | None
    acc_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    se: float | None
    p_value: float | None
    token_ratio: float | None
    token_low: float | None
    token_high: float | None
    needed: int | None
    pending_a: int
    pending_b: int
    complete: bool
    verdict: str
    uncounted_a: int = 0
    uncounted_b: int = 0
    cost_unit: str | None = None
    cost_a: float | None = None
    cost_b: float | None = None
    cost_difference: float | None = None
    cost_difference_low: float | None = None
    cost_difference_high: float | None = None
    cost_ratio: float | None = None
    cost_low: float | None = None
    cost_high: float | None = None
    cost_note: str = ""
    side_a: Side | None = None
    side_b: Side | None = None
    differences: Sequence[Apart] = ()


def compare(a: Cell, b: Cell, costing: Costing | None = None) -> Comparison:
    """Compares two cells over their problems: each problem's mean over A's scored samples against that over B's.

    Model errors are wrong; pending attempts are left out and make the comparison incomplete. Raises ConfigError when
    the datasets or the problems' ids differ; `refuse_other_problems` compares texts and answers too.
    """
    _refuse_other_datasets(a, b)
    before, after = _collect_scores(a), _collect_scores(b)
    shared = sorted(before.keys() & after.keys())
    left, right = [fmean(before[name]) for name in shared], [fmean(after[name]) for name in shared]
    attempts = [2 / (1 / len(before[name]) + 1 / len(after[name])) for name in shared]
    found = compare_paired([y - x for x, y in zip(left, right, strict=True)], attempts)
    needed = _count_needed(found, len(shared))
    tokens = pair_amounts(a, b, lambda _, outcome: outcome.usage.completion_tokens)
    ratio = tokens.ratio
    pending_a, pending_b = _count_pending(a), _count_pending(b)
    return Comparison(
        dataset=a.dataset,
        a=_name_cell(a, b),
        b=_name_cell(b, a),
        problems=a.problems,
        compared=len(shared),
        acc_a=fmean(left) if left else None,
        acc_b=fmean(right) if right else None,
        difference=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        se=found.se if found else None,
        p_value=found.p_value if found else None,
        token_ratio=ratio.value if ratio else None,
        token_low=ratio.low if ratio else None,
        token_high=ratio.high if ratio else None,
        needed=needed,
        pending_a=pending_a,
        pending_b=pending_b,
        complete=not (pending_a or pending_b),
        verdict=" ".join((_write_verdict(found, needed), *_list_missing(a, b, len(shared)), *_note_uncounted(tokens))),
        uncounted_a=tokens.uncounted[0],
        uncounted_b=tokens.uncounted[1],
        **_compare_costs(a, b, costing),
    )


def _compare_costs(a: Cell, b: Cell, costing: Costing | None) -> dict[str, Any]:
    """The fields of a comparison that are about cost."""
    if costing is None:
        return {}
    costs = pair_amounts(a, b, costing.compute)
    difference, ratio = costs.difference, costs.ratio
    return {
        "cost_unit": costing.unit,
        "cost_a": costs.mean(0),
        "cost_b": costs.mean(1),
        "cost_difference": difference.value if difference else None,
        "cost_difference_low": difference.low if difference else None,
        "cost_difference_high": difference.high if difference else None,
        "cost_ratio": ratio.value if ratio else None,
        "cost_low": ratio.low if ratio else None,
        "cost_high": ratio.high if ratio else None,
        "cost_note": next(filter(None, (costing.explain(cell, cell.outcomes) for cell in (a, b))), "")
        if any(costs.uncounted)
        else "",
    }


def refuse_other_problems(a: Cell, b: Cell, mine: Sequence[Problem], theirs: Sequence[Problem]) -> None:
    """Refuses cells whose runs have different problems: `mine` are the problems of A's run, `theirs` those of B's.

    Raises ConfigError that names the first ids that only one run has, or whose texts or gold answers differ (spacing
    aside).
    """
    left, right = ({problem.id: problem for problem in problems} for problems in (mine, theirs))
    if not left.keys() & right.keys():
        raise ConfigError(
            f"{a.run} and {b.run} share no problem of {a.dataset}: one has {_name_some(left)}, the other "
            f"{_name_some(right)}: compare runs on the same problems"
        )
    _refuse_other_ids(a, b, left.keys(), right.keys())
    texts = [name for name in left if normalise_text(left[name].text) != normalise_text(right[name].text)]
    golds = [name for name in left if _normalise_gold(left[name]) != _normalise_gold(right[name])]
    if texts or golds:
        found = (("texts", texts), ("gold answers", golds))
        differ = "; ".join(f"the {what} of {_name_some(names)}" for what, names in found if names)
        raise ConfigError(
            f"{a.run} and {b.run} have different problems of {a.dataset} under the same ids ({differ} differ): "
            "evaluate one of them again on the other's problems, then compare"
        )


def _normalise_gold(problem: Problem) -> str | None:
    return None if problem.answer is None else normalise_text(problem.answer)


def _refuse_other_datasets(a: Cell, b: Cell) -> None:
    if a.dataset != b.dataset:
        raise ConfigError(f"{a.run} is on {a.dataset}, {b.run} on {b.dataset}: only runs on one dataset are compared")
    mine, theirs = (dict.fromkeys(outcome.problem_id for outcome in cell.outcomes) for cell in (a, b))
    # A run may not have attempted every problem yet, so ids alone do not tell.
    if a.problems != b.problems or len({*mine, *theirs}) > a.problems:
        _refuse_other_ids(a, b, mine, theirs)
        raise ConfigError(_count_problems(a, b))


def _refuse_other_ids(a: Cell, b: Cell, mine: Collection[str], theirs: Collection[str]) -> None:
    alone = ((a, [name for name in mine if name not in theirs]), (b, [name for name in theirs if name not in mine]))
    only = [f"only in {cell.run}: {_name_some(names)}" for cell, names in alone if names]
    if only:
        raise ConfigError("; ".join([_count_problems(a, b), *only]))


def _count_problems(a: Cell, b: Cell) -> str:
    return (
        f"the problems differ: {a.run} has {a.problems} problems of {a.dataset}, {b.run} has {b.problems}: compare "
        "runs with the same data, --limit and split"
    )


def _name_some(ids: Iterable[str]) -> str:
    named = list(ids)
    return ", ".join(plain(name)[:LONGEST] for name in named[:NAMED]) + (
        f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    )


def _collect_scores(cell: Cell) -> dict[str, list[float]]:
    """The scores of a cell's scored attempts (1 right, 0 wrong) per problem."""
    scored = group_by_problem(o for o in cell.outcomes if not o.pending and o.correct is not None)
    return {group[0].problem_id: [float(outcome.correct is True) for outcome in group] for group in scored}


def _note_uncounted(tokens: Paired) -> list[str]:
    """Why the ratio of tokens is unknown."""
    sides = zip("AB", tokens.uncounted, tokens.attempts, strict=True)
    missing = [f"{count} of {attempts} attempts in {side}" for side, count, attempts in sides if count]
    return [f"Tok B / A is unknown: the server reported no tokens for {', '.join(missing)}."] if missing else []


def _count_pending(cell: Cell) -> int:
    return max(0, cell.planned - sum(not outcome.pending for outcome in cell.outcomes))


def _count_needed(found: Difference | None, n: int) -> int | None:
    if found is None or found.se is None:
        return None
    needed = count_problems_needed(found.value, found.se * sqrt(n))
    # These problems did not show the difference, so it needs more of them.
    return needed if needed is None or found.p_value <= ALPHA else max(needed, n + 1)


def _write_verdict(found: Difference | None, needed: int | None) -> str:
    if found is None:
        return "Nothing to compare: no problem was scored in both."
    chance, points = f"p {format_p(found.p_value)}", f"{abs(found.value) * 100:.2f} points"
    if found.p_value <= ALPHA:
        return f"B is {'better' if found.value > 0 else 'worse'} than A by {points} ({chance})."
    if found.value == 0:
        same = "both score the same on every problem" if found.se == 0 else "no difference on average"
        return f"Not distinguishable: {same}, but {found.high * 100:.1f} points either way are possible ({chance})."
    how_many = "" if needed is None else f"; about {needed} problems would show such a difference (80 % power)"
    return f"Not distinguishable: {points} may be chance ({chance}){how_many}."


def format_p(p_value: float) -> str:
    """A p-value after the letter p: `= 0.0123`, `< 0.0001`."""
    return f"= {p_value:.4f}" if p_value >= 0.0001 else "< 0.0001"


def _list_missing(a: Cell, b: Cell, compared: int) -> list[str]:
    pending = [
        f"{count} of {cell.planned} in {name}" for name, cell in (("A", a), ("B", b)) if (count := _count_pending(cell))
    ]
    notes = [f"Incomplete: attempts are pending ({', '.join(pending)})."] if pending else []
    left_out = a.problems - compared
    why = "in other shards, not needed, or not scored in both" if a.elsewhere or b.elsewhere else "not scored in both"
    return [*notes, f"{left_out} of {a.problems} problems are left out: {why}."] if left_out else notes


def _name_cell(cell: Cell, other: Cell) -> str:
    """Run, strategy and model of a cell, and what tells its strategy from the other's."""
    own, theirs, name = label(cell.strategy), label(other.strategy), str(cell.strategy.get("name", ""))
    alike = name == other.strategy.get("name")
    apart = [f"{key} {value}" for key, value in own.items() if not alike or theirs.get(key) != value]
    return f"{cell.run}: {' '.join([name, *apart])}, {cell.model}"
