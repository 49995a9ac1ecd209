"""Metrics of one cell (one strategy on one dataset with one model), each with its denominators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import Literal, TypeAlias, cast

import msgspec

from scale_reasoning.answers import answer_class
from scale_reasoning.prices import Price
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.estimators import Ballot, maj_at_k, pass_at_k, sample_maj_at_k
from scale_reasoning.report.intervals import Estimate, estimate_share
from scale_reasoning.runs.outcome import Cell, Outcome
from scale_reasoning.strategies import label, shorten
from scale_reasoning.types import JSON, NO_USAGE, Form, Mode, Stage, Usage

Denominator: TypeAlias = Literal["planned", "completed"]


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename={"pending": "owed", "options": "knobs"}):
    """The metrics of one cell. Shares are in [0, 1]; tokens are means per attempt; None is unknown.

    run_name, run_created: the name that `--name` gave the run, and when it was begun. row: the number of the cell's row
    in its run's report. label: the options that tell the strategy from others, and
    `budget_by`: what enforced its thinking budget.
    completed: final attempts. scored: attempts in the denominator of acc. pending: attempts without a final record
    (planned - completed). uncounted: attempts whose server reported no response tokens; any makes the means unknown.
    tpi, hard: tokens, and System 2 iterations, over iterations; ratios of sums. cost is a mean
    per attempt in `cost_unit` (None: none was asked for), cost_note why it is unknown. prices: those that it was
    computed with, if both modes have the same; else prices_by_mode.
    """

    run: str
    row: int | None = None
    dataset: str
    model: str
    strategy: str
    options: Mapping[str, JSON]
    label: Mapping[str, JSON] = {}
    denominator: Denominator
    acc: float | None
    acc_low: float | None
    acc_high: float | None
    acc_se: float | None
    tok: float | None
    tpi: float | None
    hard: float | None
    planned: int
    completed: int
    scored: int
    pending: int
    problems: int
    samples: int
    pass_at: Mapping[int, float] = {}
    maj_at: Mapping[int, float] = {}
    tok_by_stage: Mapping[str, float | None] = {}
    tok_by_mode: Mapping[str, float | None] = {}
    prompt_tokens: float | None = None
    cached_tokens: float | None = None
    steps: float | None = None
    truncated: float | None = None
    unparsed: float | None = None
    unanswered: float | None = None
    stated: float | None = None
    asked: float | None = None
    model_seconds: float | None = None
    cost: float | None = None
    uncounted: int = 0
    prices: Price | None = None
    cost_unit: str | None = None
    cost_note: str = ""
    prices_by_mode: Mapping[str, Price | None] = {}
    run_name: str | None = None
    run_created: str | None = None

    @property
    def named_options(self) -> dict[str, JSON]:
        """The options that a name may show: those of the label, and numbers at their defaults, because other rows may
        have others.
        """
        numbers = {option: value for option, value in self.options.items() if isinstance(value, int | float)}
        return numbers | dict(self.label)


def flatten(tree: Mapping[str, JSON], prefix: str = "") -> dict[str, JSON]:
    """A tree as one table; keys are joined by dots."""
    flat: dict[str, JSON] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(cast("Mapping[str, JSON]", value), f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


_ABSENT = object()


def find_swept(cells: Iterable[tuple[Hashable, Mapping[str, JSON]]]) -> list[str]:
    """The options that differ between cells with the same key, in the order of their first appearance.

    `cells` are pairs of a key and options. An option that only some of them have differs.
    """
    groups: dict[Hashable, list[Mapping[str, JSON]]] = {}
    for key, options in cells:
        groups.setdefault(key, []).append(options)
    return list(
        dict.fromkeys(
            option
            for group in groups.values()
            for option in dict.fromkeys(option for options in group for option in options)
            if len({str(options.get(option, _ABSENT)) for options in group}) > 1
        )
    )


def summarise(
    cell: Cell,
    *,
    row: int | None = None,
    denominator: Denominator = "planned",
    costing: Costing | None = None,
    seed: int = 0,
) -> Summary:
    """Computes the cell's metrics. `row` is its row in its run's report; `seed` is for maj@k's draws.

    Pending attempts are never scored. "planned": every other attempt counts, a model error as wrong; means are over a
    problem's attempts, then over problems. "completed", the paper's practice: attempts with a model error are left out
    of Acc, pass@k, maj@k and all means, which weigh the remaining attempts equally (the paper's 79.40 is 185 / 233).
    So Acc is pass@1 either way. Truncated, unparsed and unanswered are shares of `completed` either way.
    Intervals: see intervals.estimate_share and docs/statistics.md.
    """
    final = [outcome for outcome in cell.outcomes if not outcome.pending]
    groups = group_counted(cell.outcomes, denominator)
    counted = [outcome for group in groups for outcome in group]
    mean = _Mean(groups=groups, denominator=denominator)
    graded = group_by_problem(outcome for outcome in counted if outcome.correct is not None)
    acc = estimate_accuracy(graded, denominator)
    tok, steps = mean(lambda o: o.usage.completion_tokens), mean(lambda o: o.iterations)
    ks = _choose_ks(cell.samples, graded)
    cost = None if costing is None else mean(lambda o: costing.compute(cell, o))
    priced = {} if costing is None else costing.list_prices(cell)
    weights = [len(group) if denominator == "completed" else 1 for group in graded]
    return Summary(
        run=cell.run,
        run_name=cell.name,
        run_created=cell.created,
        row=row,
        dataset=cell.dataset,
        model=cell.model,
        strategy=str(cell.strategy.get("name", "")),
        options=shorten(cell.strategy),
        label=label(cell.strategy) | ({"budget_by": cell.budget_by} if cell.budget_by else {}),
        denominator=denominator,
        acc=acc.value if acc else None,
        acc_low=acc.low if acc else None,
        acc_high=acc.high if acc else None,
        acc_se=acc.se if acc else None,
        tok=tok,
        tpi=_divide(tok, steps),
        hard=_divide(mean(lambda o: o.hard), steps),
        planned=cell.planned,
        completed=len(final),
        scored=sum(map(len, graded)),
        pending=max(0, cell.planned - len(final)),
        problems=cell.problems,
        samples=cell.samples,
        pass_at=_compute_pass_at(graded, weights, ks),
        maj_at=_compute_maj_at(graded, weights, ks, seed),
        tok_by_stage=_mean_tokens(mean, counted, lambda outcome: outcome.by_stage),
        tok_by_mode=_mean_tokens(mean, counted, lambda outcome: outcome.by_mode),
        prompt_tokens=mean(lambda o: o.usage.prompt_tokens),
        cached_tokens=mean(lambda o: o.usage.cached_tokens),
        steps=steps,
        truncated=_compute_share(o.truncated for o in final),
        unparsed=_compute_share(o.unparsed for o in final),
        unanswered=_compute_share(o.answer is None for o in final),
        stated=_compute_form_share(final, "stated"),
        asked=_compute_form_share(final, "asked"),
        model_seconds=mean(lambda o: o.model_seconds),
        cost=cost,
        uncounted=sum(outcome.usage.completion_tokens is None for outcome in counted),
        prices=next(iter(priced.values())) if len(set(priced.values())) == 1 else None,
        cost_unit=None if costing is None else costing.unit,
        cost_note="" if costing is None or cost is not None else costing.explain(cell, counted),
        prices_by_mode={str(mode): price for mode, price in priced.items()} if len(set(priced.values())) > 1 else {},
    )


def estimate_accuracy(graded: Sequence[Sequence[Outcome]], denominator: Denominator) -> Estimate | None:
    """Acc of graded outcomes, a list per problem: the mean over problems ("planned") or over attempts ("completed")."""
    right = [sum(outcome.correct is True for outcome in group) for group in graded]
    sizes = [len(group) for group in graded]
    if denominator == "completed":
        return estimate_share(right, sizes)
    return estimate_share([top / size for top, size in zip(right, sizes, strict=True)])


def group_counted(outcomes: Iterable[Outcome], denominator: Denominator) -> list[list[Outcome]]:
    """The outcomes that the denominator counts, a list per problem."""
    return group_by_problem(o for o in outcomes if not o.pending and (denominator == "planned" or o.failure is None))


def group_by_problem(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    """The outcomes in a list per problem, by the problems' ids."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.problem_id, []).append(outcome)
    return [groups[name] for name in sorted(groups)]  # so seeded numbers do not depend on the order of completion


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    """The mean of a measure over a cell's attempts; one unknown value makes it unknown."""

    groups: Sequence[Sequence[Outcome]]
    denominator: Denominator

    def __call__(self, measure: Callable[[Outcome], float | None]) -> float | None:
        sums: list[float] = []
        for group in self.groups:
            values = [value for value in map(measure, group) if value is not None]
            if len(values) < len(group):
                return None
            sums.append(sum(values))
        if not sums:
            return None
        sizes = [len(group) for group in self.groups]
        if self.denominator == "completed":
            return sum(sums) / sum(sizes)
        return fmean(total / size for total, size in zip(sums, sizes, strict=True))


def _mean_tokens(
    mean: _Mean, outcomes: Iterable[Outcome], parts: Callable[[Outcome], Mapping[str, Usage]]
) -> dict[str, float | None]:
    """Mean response tokens per stage or per mode, in the order of Stage and Mode."""
    order = [str(member) for member in (*Stage, *Mode)]
    found = dict.fromkeys(str(name) for outcome in outcomes for name in parts(outcome))
    names = sorted(found, key=lambda name: order.index(name) if name in order else len(order))
    return {name: mean(lambda o, name=name: parts(o).get(name, NO_USAGE).completion_tokens) for name in names}


def _divide(top: float | None, bottom: float | None) -> float | None:
    return None if top is None or not bottom else top / bottom


def _compute_share(flags: Iterable[bool]) -> float | None:
    known = list(flags)
    return sum(known) / len(known) if known else None


def _compute_form_share(outcomes: Iterable[Outcome], form: Form) -> float | None:
    """The share of the chains whose answer was read so; None if some outcome is from before there were forms."""
    forms = [outcome.forms for outcome in outcomes]
    return None if () in forms else _compute_share(each == form for chains in forms for each in chains)


def _choose_ks(samples: int, graded: Sequence[Sequence[Outcome]]) -> list[int]:
    """Powers of two and `samples`, up to the fewest scored attempts of a problem."""
    least = min(map(len, graded), default=0)
    powers = {1 << bit for bit in range(samples.bit_length())}
    return sorted(k for k in {*powers, samples} if k <= min(least, samples))


def _compute_pass_at(
    graded: Sequence[Sequence[Outcome]], weights: Sequence[int], ks: Sequence[int]
) -> dict[int, float]:
    counts = Counter[tuple[int, int]]()
    for group, weight in zip(graded, weights, strict=True):
        counts[len(group), sum(outcome.correct is True for outcome in group)] += weight
    return {k: sum(pass_at_k(n, c, k) * weight for (n, c), weight in counts.items()) / sum(weights) for k in ks}


def _compute_maj_at(
    graded: Sequence[Sequence[Outcome]], weights: Sequence[int], ks: Sequence[int], seed: int
) -> dict[int, float]:
    """Exact up to 8 samples per problem (16 for up to 500 problems), for k = 1 and all samples; else Monte Carlo."""
    problems = [[Ballot(_find_vote(outcome), outcome.correct is True) for outcome in group] for group in graded]
    most = max(map(len, problems), default=0)
    small = most <= 8 or (most <= 16 and len(problems) <= 500)
    exact = [k for k in ks if small or k == 1 or all(len(ballots) == k for ballots in problems)]
    found = {k: fmean((maj_at_k(ballots, k) for ballots in problems), weights) for k in exact}
    if drawn := [k for k in ks if k not in found]:
        random, draws = Random(seed), max(8, min(512, 500_000 // sum(map(len, problems))))
        shares = [sample_maj_at_k(ballots, drawn, random=random, draws=draws) for ballots in problems]
        found |= {k: fmean((each[place] for each in shares), weights) for place, k in enumerate(drawn)}
    return {k: found[k] for k in ks}


def _find_vote(outcome: Outcome) -> str | None:
    """The class of the attempt's answer; of a voting attempt, the class of the answer that won."""
    if len(outcome.answers) == 1 or outcome.answer is None:
        return outcome.answers[0] if outcome.answer is not None else None
    return answer_class(outcome.answer)
