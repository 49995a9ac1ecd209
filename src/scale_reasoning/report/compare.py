"""Two cells on the same problems, paired: the difference, whether it could be chance, and what it would take to know.

Refuses cells whose problems differ: unpaired differences of benchmark scores mislead. Differences are B minus A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.estimators import Estimate, estimate, problems_needed, sign_flip
from scale_reasoning.report.formats import UNKNOWN, Column, Grid, percent, span
from scale_reasoning.report.metrics import Cell, telling
from scale_reasoning.runs.outcome import Outcome

SIGNIFICANT = 0.05
NAMED = 5
"""Problems named in an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """B against A on one dataset. Shares are in [0, 1]; `difference` is Acc of B minus Acc of A over the `compared`
    problems (those that both scored), with its 95 % interval, clustered standard error and permutation p-value.

    token_ratio: B's response tokens over A's on the problems that both finished. needed: about how many problems a 5 %
    test needs to find this difference with 80 % power. owed_a, owed_b: attempts not scored yet; any makes the
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
    owed_a: int
    owed_b: int
    complete: bool
    verdict: str


def compare(a: Cell, b: Cell, *, seed: int = 0, resamples: int = 2000) -> Comparison:
    """Compares two cells over their problems: each problem's mean over A's scored samples against that over B's.

    Model failures are wrong; owed attempts are left out and make it incomplete. Raises ConfigError when the datasets
    or the problems differ.
    """
    _refuse_strangers(a, b)
    left, right = _paired(a, b, _right)
    differences = [after - before for before, after in zip(left, right, strict=True)]
    found = estimate(differences, seed=seed, resamples=resamples)
    p_value = sign_flip(differences, seed=seed) if found else None
    needed = _needed(found, len(differences))
    tokens = estimate(*reversed(_paired(a, b, _tokens)), seed=seed, resamples=resamples)
    owed_a, owed_b = _owed(a), _owed(b)
    return Comparison(
        dataset=a.dataset,
        a=_label(a, b),
        b=_label(b, a),
        problems=a.problems,
        compared=len(differences),
        acc_a=fmean(left) if left else None,
        acc_b=fmean(right) if right else None,
        difference=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        se=found.se if found else None,
        p_value=p_value,
        token_ratio=tokens.value if tokens else None,
        token_low=tokens.low if tokens else None,
        token_high=tokens.high if tokens else None,
        needed=needed,
        owed_a=owed_a,
        owed_b=owed_b,
        complete=not (owed_a or owed_b),
        verdict=" ".join((_verdict(found, p_value, needed), *_incomplete(a, b, len(differences)))),
    )


def _refuse_strangers(a: Cell, b: Cell) -> None:
    if a.dataset != b.dataset:
        raise ConfigError(f"{a.run} is on {a.dataset}, {b.run} on {b.dataset}: only runs on one dataset are compared")
    mine, theirs = ({outcome.problem_id for outcome in cell.outcomes} for cell in (a, b))
    if a.problems == b.problems and len(mine | theirs) <= a.problems:
        return  # what one run lacks it has not attempted yet
    only = [f"only in {cell.run}: {_some(ids)}" for cell, ids in ((a, mine - theirs), (b, theirs - mine)) if ids]
    counts = f"{a.run} has {a.problems} problems of {a.dataset}, {b.run} has {b.problems}"
    raise ConfigError("; ".join([f"the problems differ: {counts}", *only]))


def _some(ids: set[str]) -> str:
    named = sorted(ids)[:NAMED]
    return ", ".join(named) + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")


def _paired(a: Cell, b: Cell, measure: Callable[[Outcome], float | None]) -> tuple[list[float], list[float]]:
    """Problem by problem, A's mean and B's, of the problems where both are known."""
    mine, theirs = _means(a, measure), _means(b, measure)
    shared = sorted(mine.keys() & theirs.keys())
    return [mine[name] for name in shared], [theirs[name] for name in shared]


def _means(cell: Cell, measure: Callable[[Outcome], float | None]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for outcome in sorted(cell.outcomes, key=lambda outcome: outcome.sample):
        value = None if outcome.owed else measure(outcome)
        if value is not None:
            values.setdefault(outcome.problem_id, []).append(value)
    return {name: fmean(known) for name, known in values.items()}


def _right(outcome: Outcome) -> float | None:
    return None if outcome.correct is None else float(outcome.correct)


def _tokens(outcome: Outcome) -> float | None:
    return outcome.usage.completion_tokens


def _owed(cell: Cell) -> int:
    return max(0, cell.planned - sum(not outcome.owed for outcome in cell.outcomes))


def _needed(found: Estimate | None, n: int) -> int | None:
    if found is None or found.se is None:
        return None
    return problems_needed(found.value, found.se * sqrt(n))


def _verdict(found: Estimate | None, p_value: float | None, needed: int | None) -> str:
    if found is None or p_value is None:
        return "Nothing to compare: no problem was scored in both."
    points = f"{abs(found.value) * 100:.2f} points"
    if p_value <= SIGNIFICANT:
        return f"B is {'better' if found.value > 0 else 'worse'} than A by {points} (p {_p(p_value)})."
    if found.value == 0:
        return f"Not distinguishable: no difference on average (p {_p(p_value)})."
    how_many = "" if needed is None else f"; about {needed} problems would show such a difference (80 % power)"
    return f"Not distinguishable: {points} may be chance (p {_p(p_value)}){how_many}."


def _p(p_value: float) -> str:
    return f"= {p_value:.4f}" if p_value >= 0.0001 else "< 0.0001"


def _incomplete(a: Cell, b: Cell, compared: int) -> list[str]:
    owed = [f"{count} of {cell.planned} in {name}" for name, cell in (("A", a), ("B", b)) if (count := _owed(cell))]
    told = [f"Incomplete: attempts are owed ({', '.join(owed)})."] if owed else []
    left_out = a.problems - compared
    return [*told, f"{left_out} of {a.problems} problems are left out: not scored in both."] if left_out else told


def _label(cell: Cell, other: Cell) -> str:
    """Run, strategy and model, and the settings in which two cells of one strategy differ."""
    own, theirs = telling(cell.strategy), telling(other.strategy)
    name = str(cell.strategy.get("name", ""))
    apart = [f"{k} {v}" for k, v in own.items() if theirs.get(k) != v] if name == other.strategy.get("name") else []
    return f"{cell.run}: {' '.join([name, *apart])}, {cell.model}"


def grid(comparisons: Sequence[Comparison]) -> Grid:
    """The comparisons as a table, a row each."""
    texts = ["dataset", "A", "B"]
    numbers = ["Acc A", "Acc B", "B - A [95 %]", "p", "Tok B / A [95 %]", "compared"]
    columns = [*(Column(name=name) for name in texts), *(Column(name=name, number=True) for name in numbers)]
    legend = "Acc and B - A in %, over the problems that both scored; p: paired sign-flip permutation test."
    notes = [legend, *(f"{comparison.dataset}: {comparison.verdict}" for comparison in comparisons)]
    return Grid(columns=columns, rows=[_row(comparison) for comparison in comparisons], notes=notes)


def _row(c: Comparison) -> tuple[str, ...]:
    return (
        c.dataset,
        c.a,
        c.b,
        percent(c.acc_a),
        percent(c.acc_b),
        UNKNOWN if c.difference is None else f"{c.difference * 100:+.2f} {span(c.low, c.high)}",
        UNKNOWN if c.p_value is None else _p(c.p_value).removeprefix("= "),
        UNKNOWN if c.token_ratio is None else f"{c.token_ratio:.3f} [{c.token_low:.3f}, {c.token_high:.3f}]",
        f"{c.compared}/{c.problems}",
    )
