"""Metrics of one cell (one strategy on one dataset with one model), each with its denominators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias

import msgspec

from scale_reasoning.answers import answer_class
from scale_reasoning.report.estimators import Ballot, maj_at_k, pass_at_k, sampled_maj, seeded
from scale_reasoning.report.intervals import Estimate, share
from scale_reasoning.runs.outcome import Cell, Outcome
from scale_reasoning.types import JSON, NO_USAGE, Mode, Stage

Denominator: TypeAlias = Literal["planned", "completed"]

LOOKED_AT_BY = {"tau": "threshold", "random_share": "random"}
"""Options that one of SCALE's routes looks at, and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Price per million tokens, in one currency: read anew, read from the cache, written."""

    prompt: float
    cached: float
    completion: float


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename={"pending": "owed", "options": "knobs"}):
    """One cell in numbers. Shares are in [0, 1]; tokens are means per attempt; None is unknown.

    row: the cell's number in its run, as in FOLDER:N; None where it is in no run. completed: attempts with a final
    record. scored: attempts in the denominator of acc. pending: attempts that have not run yet, or that an
    infrastructure error ended (planned - completed). uncounted: attempts in the means whose server reported no
    response tokens: any makes their mean unknown. tpi and hard are ratios of sums: tokens and System 2 iterations
    over iterations.
    prices: those that `cost` was computed with.
    """

    run: str
    row: int | None = None
    dataset: str
    model: str
    strategy: str
    options: Mapping[str, JSON]
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
    pass_at: Mapping[int, float]
    maj_at: Mapping[int, float]
    tok_by_stage: Mapping[str, float | None]
    tok_by_mode: Mapping[str, float | None]
    prompt_tokens: float | None
    cached_tokens: float | None
    steps: float | None
    truncated: float | None
    unparsed: float | None
    unanswered: float | None
    model_seconds: float | None
    cost: float | None
    uncounted: int = 0
    prices: Prices | None = None


def telling(strategy: Mapping[str, JSON]) -> dict[str, JSON]:
    """A strategy's options, but for those that its route does not look at: a control has no tau."""
    route = strategy.get("route")
    idle = {option for option, its in LOOKED_AT_BY.items() if route is not None and route != its}
    return {option: value for option, value in strategy.items() if option != "name" and option not in idle}


def summarise(
    cell: Cell,
    *,
    row: int | None = None,
    denominator: Denominator = "planned",
    prices: Prices | None = None,
    seed: int = 0,
) -> Summary:
    """The cell's numbers. `row` is its number in its run, `seed` that of maj@k's draws.

    Pending attempts are never scored. "planned": every other attempt counts, a model failure as wrong; means are over a
    problem's attempts, then over problems. "completed", the paper's practice: attempts that failed (`failure` is set:
    nothing parsed, cut off, no answer) are left out of Acc, pass@k, maj@k, Tok and all other means, which weigh the
    attempts left alike (the paper's 79.40 is 185 / 233). So Acc is pass@1 either way. Truncated, unparsed and
    unanswered are shares of `completed` either way. Intervals: see intervals.share and docs/statistics.md.
    """
    final = [outcome for outcome in cell.outcomes if not outcome.pending]
    counted = final if denominator == "planned" else [outcome for outcome in final if outcome.failure is None]
    mean = _Mean(groups=_by_problem(counted), denominator=denominator)
    graded = _by_problem(outcome for outcome in counted if outcome.correct is not None)
    acc = accuracy(graded, denominator)
    tok, steps = mean(lambda o: o.usage.completion_tokens), mean(lambda o: o.iterations)
    ks = _ks(cell.samples, graded)
    weights = [len(group) if denominator == "completed" else 1 for group in graded]
    return Summary(
        run=cell.run,
        row=row,
        dataset=cell.dataset,
        model=cell.model,
        strategy=str(cell.strategy.get("name", "")),
        options=telling(cell.strategy),
        denominator=denominator,
        acc=acc.value if acc else None,
        acc_low=acc.low if acc else None,
        acc_high=acc.high if acc else None,
        acc_se=acc.se if acc else None,
        tok=tok,
        tpi=_ratio(tok, steps),
        hard=_ratio(mean(lambda o: o.hard), steps),
        planned=cell.planned,
        completed=len(final),
        scored=sum(map(len, graded)),
        pending=max(0, cell.planned - len(final)),
        problems=cell.problems,
        samples=cell.samples,
        pass_at=_pass_at(graded, weights, ks),
        maj_at=_maj_at(graded, weights, ks, seed),
        tok_by_stage={name: mean(_tokens_of("by_stage", name)) for name in _names("by_stage", counted)},
        tok_by_mode={name: mean(_tokens_of("by_mode", name)) for name in _names("by_mode", counted)},
        prompt_tokens=mean(lambda o: o.usage.prompt_tokens),
        cached_tokens=mean(lambda o: o.usage.cached_tokens),
        steps=steps,
        truncated=_share(o.truncated for o in final),
        unparsed=_share(o.unparsed for o in final),
        unanswered=_share(o.answer is None for o in final),
        model_seconds=mean(lambda o: o.model_seconds),
        cost=None if prices is None else mean(lambda o: cost_of(o, prices)),
        uncounted=sum(outcome.usage.completion_tokens is None for outcome in counted),
        prices=prices,
    )


def accuracy(graded: Sequence[Sequence[Outcome]], denominator: Denominator) -> Estimate | None:
    """Acc of graded outcomes, a list per problem: of problems' means ("planned") or of attempts ("completed")."""
    right = [sum(outcome.correct is True for outcome in group) for group in graded]
    sizes = [len(group) for group in graded]
    if denominator == "completed":
        return share(right, sizes)
    return share([top / size for top, size in zip(right, sizes, strict=True)])


def cost_of(outcome: Outcome, prices: Prices) -> float | None:
    """What an attempt cost; None where its tokens are unknown. Unknown cached tokens matter if their price differs."""
    usage = outcome.usage
    cached = 0 if usage.cached_tokens is None and prices.cached == prices.prompt else usage.cached_tokens
    if usage.prompt_tokens is None or usage.completion_tokens is None or cached is None:
        return None
    fresh = usage.prompt_tokens - cached
    return (fresh * prices.prompt + cached * prices.cached + usage.completion_tokens * prices.completion) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    """The mean of a measure over a cell's attempts; one unknown value makes it unknown."""

    groups: Sequence[Sequence[Outcome]]
    denominator: Denominator

    def __call__(self, measure: Callable[[Outcome], float | None]) -> float | None:
        means: list[float] = []
        total, count = 0.0, 0
        for group in self.groups:
            values = [value for value in map(measure, group) if value is not None]
            if len(values) < len(group):
                return None
            part = sum(values)
            means.append(part / len(group))
            total, count = total + part, count + len(group)
        if not count:
            return None
        return fmean(means) if self.denominator == "planned" else total / count


def _by_problem(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.problem_id, []).append(outcome)
    return [groups[name] for name in sorted(groups)]  # sorted: the seeded numbers do not depend on who finished first


def _ratio(top: float | None, bottom: float | None) -> float | None:
    return None if top is None or not bottom else top / bottom


def _share(flags: Iterable[bool]) -> float | None:
    known = list(flags)
    return sum(known) / len(known) if known else None


def _names(kind: Literal["by_stage", "by_mode"], outcomes: Iterable[Outcome]) -> list[str]:
    names = dict.fromkeys(str(name) for outcome in outcomes for name in getattr(outcome, kind))
    order = [str(member) for member in (*Stage, *Mode)]
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _tokens_of(kind: Literal["by_stage", "by_mode"], name: str) -> Callable[[Outcome], int | None]:
    def tokens(outcome: Outcome) -> int | None:
        shares = outcome.by_stage if kind == "by_stage" else outcome.by_mode
        return shares.get(name, NO_USAGE).completion_tokens

    return tokens


def _ks(samples: int, graded: Sequence[Sequence[Outcome]]) -> list[int]:
    """Powers of two and `samples`, as far as every problem has so many scored attempts."""
    least = min(map(len, graded), default=0)
    powers = {1 << bit for bit in range(samples.bit_length())}
    return sorted(k for k in {*powers, samples} if k <= min(least, samples))


def _pass_at(graded: Sequence[Sequence[Outcome]], weights: Sequence[int], ks: Sequence[int]) -> dict[int, float]:
    counts = Counter[tuple[int, int]]()
    for group, weight in zip(graded, weights, strict=True):
        counts[len(group), sum(outcome.correct is True for outcome in group)] += weight
    return {k: sum(pass_at_k(n, c, k) * weight for (n, c), weight in counts.items()) / sum(weights) for k in ks}


def _maj_at(
    graded: Sequence[Sequence[Outcome]], weights: Sequence[int], ks: Sequence[int], seed: int
) -> dict[int, float]:
    """Exact up to 8 samples per problem (or 16, and 500 problems) and at both ends; else bounded Monte Carlo."""
    problems = [[Ballot(_choice(outcome), outcome.correct is True) for outcome in group] for group in graded]
    most = max(map(len, problems), default=0)
    small = most <= 8 or (most <= 16 and len(problems) <= 500)
    exact = [k for k in ks if small or k == 1 or all(len(ballots) == k for ballots in problems)]
    found = {k: fmean((maj_at_k(ballots, k) for ballots in problems), weights) for k in exact}
    if drawn := [k for k in ks if k not in found]:
        random, draws = seeded(seed), max(8, min(512, 500_000 // sum(map(len, problems))))
        shares = [sampled_maj(ballots, drawn, random=random, draws=draws) for ballots in problems]
        found |= {k: fmean((each[place] for each in shares), weights) for place, k in enumerate(drawn)}
    return {k: found[k] for k in ks}


def _choice(outcome: Outcome) -> str | None:
    """The class of the attempt's answer; of a vote's, that of the answer elected."""
    if len(outcome.answers) == 1 or outcome.answer is None:
        return outcome.answers[0] if outcome.answer is not None else None
    return answer_class(outcome.answer)
