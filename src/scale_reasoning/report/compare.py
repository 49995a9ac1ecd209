"""Two cells on the same problems, paired: the difference, whether it could be chance, and what it would take to know.

Refuses cells whose problems differ: unpaired differences of benchmark scores mislead. Differences are B minus A.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean

import msgspec

from scale_reasoning.datasets.dataset import normalise_text
from scale_reasoning.errors import ConfigError
from scale_reasoning.report.formats import NOTHING, UNKNOWN, Column, Grid, percent, plain, span
from scale_reasoning.report.intervals import ALPHA, Difference, Estimate, amount, paired, problems_needed
from scale_reasoning.report.metrics import Cell, telling
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import Problem

NAMED, LONGEST = 5, 60
"""Problems named in an error, and letters of a name."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename={"pending_a": "owed_a", "pending_b": "owed_b"}):
    """B against A on one dataset. Shares are in [0, 1]; `difference` is Acc of B minus Acc of A over the `compared`
    problems (those that both scored), with its 95 % interval, clustered standard error and p-value: p is at most 0.05
    exactly where the interval excludes 0.

    token_ratio: B's response tokens over A's on the problems that both finished. uncounted_a, uncounted_b: attempts on
    them whose server reported no response tokens; any makes the ratio unknown. needed: about how many problems a 5 %
    test needs to find this difference with 80 % power. pending_a, pending_b: attempts not scored yet; any makes the
    comparison incomplete. None is unknown.
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


def compare(a: Cell, b: Cell) -> Comparison:
    """Compares two cells over their problems: each problem's mean over A's scored samples against that over B's.

    Model failures are wrong; pending attempts are left out and make it incomplete. Raises ConfigError when the datasets
    or the problems' ids differ; `refuse_other_problems` looks at texts and answers too.
    """
    _refuse_strangers(a, b)
    before, after = _scores(a), _scores(b)
    shared = sorted(before.keys() & after.keys())
    left, right = [fmean(before[name]) for name in shared], [fmean(after[name]) for name in shared]
    attempts = [2 / (1 / len(before[name]) + 1 / len(after[name])) for name in shared]
    found = paired([y - x for x, y in zip(left, right, strict=True)], attempts)
    needed = _needed(found, len(shared))
    tokens = _Tokens(a, b)
    pending_a, pending_b = _pending(a), _pending(b)
    return Comparison(
        dataset=a.dataset,
        a=_label(a, b),
        b=_label(b, a),
        problems=a.problems,
        compared=len(shared),
        acc_a=fmean(left) if left else None,
        acc_b=fmean(right) if right else None,
        difference=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        se=found.se if found else None,
        p_value=found.p_value if found else None,
        token_ratio=tokens.ratio.value if tokens.ratio else None,
        token_low=tokens.ratio.low if tokens.ratio else None,
        token_high=tokens.ratio.high if tokens.ratio else None,
        needed=needed,
        pending_a=pending_a,
        pending_b=pending_b,
        complete=not (pending_a or pending_b),
        verdict=" ".join((_verdict(found, needed), *_incomplete(a, b, len(shared)), *tokens.notes())),
        uncounted_a=tokens.uncounted[0],
        uncounted_b=tokens.uncounted[1],
    )


def refuse_other_problems(a: Cell, b: Cell, mine: Sequence[Problem], theirs: Sequence[Problem]) -> None:
    """Refuses cells whose runs hold different problems: `mine` are those of A's run, `theirs` of B's.

    Raises ConfigError that names the first ids which only one has, or whose texts or gold answers differ (spacing
    aside).
    """
    left, right = ({problem.id: problem for problem in problems} for problems in (mine, theirs))
    if not left.keys() & right.keys():
        raise ConfigError(
            f"{a.run} and {b.run} share no problem of {a.dataset}: one has {_some(left)}, the other {_some(right)}: "
            "compare runs on the same problems"
        )
    _refuse_other_ids(a, b, left.keys(), right.keys())
    texts = [name for name in left if normalise_text(left[name].text) != normalise_text(right[name].text)]
    golds = [name for name in left if _gold(left[name]) != _gold(right[name])]
    if texts or golds:
        found = (("texts", texts), ("gold answers", golds))
        differ = "; ".join(f"the {what} of {_some(names)}" for what, names in found if names)
        raise ConfigError(
            f"{a.run} and {b.run} have different problems of {a.dataset} under the same ids ({differ} differ): "
            "evaluate one of them again on the other's problems, then compare"
        )


def _gold(problem: Problem) -> str | None:
    return None if problem.answer is None else normalise_text(problem.answer)


def _refuse_strangers(a: Cell, b: Cell) -> None:
    if a.dataset != b.dataset:
        raise ConfigError(f"{a.run} is on {a.dataset}, {b.run} on {b.dataset}: only runs on one dataset are compared")
    mine, theirs = (dict.fromkeys(outcome.problem_id for outcome in cell.outcomes) for cell in (a, b))
    # what one run lacks it may not have attempted yet
    if a.problems != b.problems or len({*mine, *theirs}) > a.problems:
        _refuse_other_ids(a, b, mine, theirs)
        raise ConfigError(_counts(a, b))


def _refuse_other_ids(a: Cell, b: Cell, mine: Collection[str], theirs: Collection[str]) -> None:
    alone = ((a, [name for name in mine if name not in theirs]), (b, [name for name in theirs if name not in mine]))
    only = [f"only in {cell.run}: {_some(names)}" for cell, names in alone if names]
    if only:
        raise ConfigError("; ".join([_counts(a, b), *only]))


def _counts(a: Cell, b: Cell) -> str:
    return (
        f"the problems differ: {a.run} has {a.problems} problems of {a.dataset}, {b.run} has {b.problems}: compare "
        "runs with the same data, --limit and split"
    )


def _some(ids: Iterable[str]) -> str:
    named = list(ids)
    return ", ".join(plain(name)[:LONGEST] for name in named[:NAMED]) + (
        f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    )


def _scores(cell: Cell) -> Mapping[str, list[float]]:
    """Whether each scored attempt was right, by problem."""
    scores: dict[str, list[float]] = {}
    for outcome in cell.outcomes:
        if not outcome.pending and outcome.correct is not None:
            scores.setdefault(outcome.problem_id, []).append(float(outcome.correct))
    return scores


class _Tokens:
    """B's response tokens over A's on the problems that both finished, where every attempt on them was counted."""

    def __init__(self, a: Cell, b: Cell) -> None:
        left, right = _finished(a), _finished(b)
        shared = sorted(left.keys() & right.keys())
        self.attempts = tuple(sum(len(side[name]) for name in shared) for side in (left, right))
        counted = [[[_tokens(one) for one in side[name]] for name in shared] for side in (left, right)]
        self.uncounted = tuple(sum(one is None for group in side for one in group) for side in counted)
        self.ratio: Estimate | None = None
        if not any(self.uncounted):
            before, after = ([fmean(one or 0 for one in group) for group in side] for side in counted)
            self.ratio = amount(after, before)

    def notes(self) -> list[str]:
        """Why the ratio is unknown."""
        sides = zip("AB", self.uncounted, self.attempts, strict=True)
        missing = [f"{count} of {attempts} attempts in {side}" for side, count, attempts in sides if count]
        return [f"Tok B / A is unknown: the server reported no tokens for {', '.join(missing)}."] if missing else []


def _finished(cell: Cell) -> Mapping[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in cell.outcomes:
        if not outcome.pending:
            groups.setdefault(outcome.problem_id, []).append(outcome)
    return groups


def _tokens(outcome: Outcome) -> int | None:
    return outcome.usage.completion_tokens


def _pending(cell: Cell) -> int:
    return max(0, cell.planned - sum(not outcome.pending for outcome in cell.outcomes))


def _needed(found: Difference | None, n: int) -> int | None:
    if found is None or found.se is None:
        return None
    needed = problems_needed(found.value, found.se * sqrt(n))
    # these problems did not show it, so it takes more than these
    return needed if needed is None or found.p_value <= ALPHA else max(needed, n + 1)


def _verdict(found: Difference | None, needed: int | None) -> str:
    if found is None:
        return "Nothing to compare: no problem was scored in both."
    chance, points = f"p {_p(found.p_value)}", f"{abs(found.value) * 100:.2f} points"
    if found.p_value <= ALPHA:
        return f"B is {'better' if found.value > 0 else 'worse'} than A by {points} ({chance})."
    if found.value == 0:
        alike = "every problem came out alike" if found.se == 0 else "no difference on average"
        room = f"there is room for {found.high * 100:.1f} points either way"
        return f"Not distinguishable: {alike}, but {room} ({chance})."
    how_many = "" if needed is None else f"; about {needed} problems would show such a difference (80 % power)"
    return f"Not distinguishable: {points} may be chance ({chance}){how_many}."


def _p(p_value: float) -> str:
    return f"= {p_value:.4f}" if p_value >= 0.0001 else "< 0.0001"


def _incomplete(a: Cell, b: Cell, compared: int) -> list[str]:
    pending = [
        f"{count} of {cell.planned} in {name}" for name, cell in (("A", a), ("B", b)) if (count := _pending(cell))
    ]
    told = [f"Incomplete: attempts are pending ({', '.join(pending)})."] if pending else []
    left_out = a.problems - compared
    return [*told, f"{left_out} of {a.problems} problems are left out: not scored in both."] if left_out else told


def _label(cell: Cell, other: Cell) -> str:
    """Run, strategy and model, and the settings in which two cells of one strategy differ."""
    own, theirs = telling(cell.strategy), telling(other.strategy)
    name = str(cell.strategy.get("name", ""))
    apart = [f"{k} {v}" for k, v in own.items() if theirs.get(k) != v] if name == other.strategy.get("name") else []
    return f"{cell.run}: {' '.join([name, *apart])}, {cell.model}"


def grid(comparisons: Sequence[Comparison]) -> Grid:
    """The comparisons as a table, a line each."""
    texts = ["dataset", "A", "B"]
    numbers = ["Acc A", "Acc B", "B - A [95 %]", "p", "Tok B / A [95 %]", "compared"]
    columns = [*(Column(name=name) for name in texts), *(Column(name=name, number=True) for name in numbers)]
    legend = "Acc and B - A in %, over the problems that both scored; p: paired t test over problems."
    notes = [legend, *(f"{comparison.dataset}: {comparison.verdict}" for comparison in comparisons)]
    return Grid(columns=columns, rows=[_row(comparison) for comparison in comparisons], notes=notes)


def _row(c: Comparison) -> tuple[str, ...]:
    return (
        c.dataset,
        c.a,
        c.b,
        percent(c.acc_a),
        percent(c.acc_b),
        NOTHING if c.difference is None else f"{c.difference * 100:+.2f} {span(c.low, c.high)}",
        NOTHING if c.p_value is None else _p(c.p_value).removeprefix("= "),
        _ratio(c),
        f"{c.compared}/{c.problems}",
    )


def _ratio(c: Comparison) -> str:
    if c.token_ratio is None:
        return UNKNOWN if c.uncounted_a or c.uncounted_b else NOTHING
    interval = "" if c.token_low is None or c.token_high is None else f" [{c.token_low:.3f}, {c.token_high:.3f}]"
    return f"{c.token_ratio:.3f}{interval}"
