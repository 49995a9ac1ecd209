"""Which finalist of a tuning is chosen, and one sentence of advice, from outcomes on problems that were held out.

Whatever differs from chain of thought must be worth it: more tokens for an accuracy that is shown to be higher, or
fewer tokens for one that is not behind by more than the margin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import msgspec

from scale_reasoning.report.intervals import (
    ALPHA,
    Difference,
    Estimate,
    compare_paired,
    count_problems_needed,
    estimate_ratio,
    estimate_share,
)
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.rounds import Tuning
from scale_reasoning.tuning.drops import Outcomes, compute_sign_p, list_tokens, mean_tokens, rank_tokens

FIRST = 0
"""The candidate that all are compared with."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate on some problems. Shares are in [0, 1], tokens per problem; None is unknown.

    difference: its accuracy less that of the first candidate on the same problems. The intervals of the finalists'
    differences hold together with 95 % confidence; the others have 95 % each.
    """

    problems: int
    acc: float | None = None
    acc_low: float | None = None
    acc_high: float | None = None
    tokens: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    token_ratio: float | None = None
    token_low: float | None = None
    token_high: float | None = None

    @property
    def is_cheaper(self) -> bool:
        """Whether it is shown to spend fewer tokens than the first."""
        return self.token_high is not None and self.token_high < 1


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate against the first on all problems that both have had, those that were tuned on included.

    wins: problems that only the candidate solves; losses: those that only the first solves. p_value: of the exact
    one-sided sign test. shown: whether it is shown to be more accurate. needed: where it is ahead and not shown to be,
    the problems that would show such a difference with 80 % power.
    """

    problems: int
    wins: int
    losses: int
    p_value: float
    shown: bool
    needed: int | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen, None if nothing keeps the limit.

    rival: where the first is chosen, the most accurate other one that keeps the limit; of those that are shown to be
    more accurate than the first, if any is. beaten: whether the first was dropped as worse before.
    """

    chosen: int | None
    rival: int | None
    beaten: bool
    measured: Mapping[int, Measured]
    evidence: Mapping[int, Evidence]


def weigh(own: Outcomes, first: Outcomes, level: float) -> Evidence:
    """What all outcomes say of a candidate against the first, tested at a level."""
    shared = [name for name in own if name in first]
    pairs = [(own[name].correct, first[name].correct) for name in shared]
    wins, losses = pairs.count((True, False)), pairs.count((False, True))
    p_value = compute_sign_p(wins, losses)
    shown = p_value <= level
    return Evidence(
        problems=len(shared),
        wins=wins,
        losses=losses,
        p_value=p_value,
        shown=shown,
        needed=None if shown or wins <= losses else _count_needed(len(shared), wins, losses, level),
    )


def _count_needed(problems: int, wins: int, losses: int, level: float) -> int | None:
    mean = (wins - losses) / problems
    spread = sqrt((wins + losses) / problems - mean**2)
    return count_problems_needed(mean, spread, alpha=2 * level)  # the sign test is one-sided


def choose(
    finalists: Mapping[int, Sequence[Outcome]],
    evidence: Mapping[int, Evidence],
    tuning: Tuning,
    *,
    beaten: bool = False,
) -> Choice:
    """The choice among finalists, by their outcomes on the same problems, in the same order. The first is among them.

    What keeps the limit can be chosen, and besides the first only what is shown to be more accurate than the first, or
    to spend fewer tokens. Of these, with a limit, the most accurate is chosen; without one, the cheapest that is at
    most the margin behind the most accurate and is not shown to be worse. If the first was `beaten` in the rounds, that
    is shown already: all others can be chosen, and the first only where it is the most accurate after all.
    """
    alpha = ALPHA / max(1, len(finalists) - 1)
    measured = {cell: measure(own, finalists[FIRST], alpha) for cell, own in finalists.items()}
    spent = {cell: rank_tokens(each.tokens) for cell, each in measured.items()}
    allowed = [cell for cell in finalists if tuning.tokens is None or spent[cell] <= tuning.tokens]
    if not allowed:
        return Choice(chosen=None, rival=None, beaten=beaten, measured=measured, evidence=evidence)
    ranked = sorted(allowed, key=lambda cell: (-(measured[cell].acc or 0.0), spent[cell], cell))
    if FIRST not in allowed or (beaten and ranked[0] != FIRST):
        worth = [cell for cell in ranked if cell != FIRST]
    else:
        worth = [cell for cell in ranked if cell == FIRST or evidence[cell].shown or measured[cell].is_cheaper]
    chosen = worth[0]
    if tuning.tokens is None:
        near = [cell for cell in worth if _is_near(finalists[cell], finalists[chosen], tuning.margin, alpha)]
        chosen = min(near, key=spent.__getitem__)  # of equal ones the most accurate, which comes first
    others = sorted((cell for cell in ranked if cell != FIRST), key=lambda cell: not evidence[cell].shown)
    rival = next(iter(others), None) if chosen == FIRST else None
    return Choice(chosen=chosen, rival=rival, beaten=beaten, measured=measured, evidence=evidence)


def measure(own: Sequence[Outcome], first: Sequence[Outcome], alpha: float = ALPHA) -> Measured:
    """A candidate's numbers on some problems, and against the first candidate on the same ones, in the same order."""
    graded = [float(outcome.correct) for outcome in own if outcome.correct is not None]
    acc = estimate_share(graded)
    found = _compare(own, first, alpha) if own is not first else None
    ratio = _divide_tokens(own, first) if own is not first else None
    return Measured(
        problems=len(own),
        acc=acc and acc.value,
        acc_low=acc and acc.low,
        acc_high=acc and acc.high,
        tokens=mean_tokens(own),
        difference=found and found.value,
        low=found and found.low,
        high=found and found.high,
        token_ratio=ratio and ratio.value,
        token_low=ratio and ratio.low,
        token_high=ratio and ratio.high,
    )


def advise(choice: Choice, names: Mapping[int, str], tuning: Tuning) -> str:
    """What to use and why, in one or two sentences of figures."""
    measured, limit = choice.measured, "" if tuning.tokens is None else f"{tuning.tokens:g} tokens per problem"
    if choice.chosen is None:
        cheapest = min(measured, key=lambda cell: rank_tokens(measured[cell].tokens))
        spent = measured[cheapest].tokens
        least = "their tokens are unknown" if spent is None else f"{names[cheapest]} spends {spent:,.0f}, the fewest"
        return f"No candidate keeps to {limit}: {least}."
    if choice.chosen != FIRST:
        return _advise_other(choice, choice.chosen, names[choice.chosen], tuning)
    if choice.rival is None:
        return "Use chain of thought: no other candidate is left that could be better."
    rival, name = measured[choice.rival], names[choice.rival]
    if rival.difference is not None and rival.difference < 0:
        return f"Use chain of thought: {name} is {-rival.difference * 100:.1f} points behind{_write_cost(rival)}."
    if choice.evidence[choice.rival].shown:
        return (
            f"Use chain of thought: {name} is {_write_difference(rival)}{_write_interval(rival)}{_write_cost(rival)}, "
            f"and up to {tuning.margin * 100:g} points are not worth more tokens."
        )
    return (
        f"Nothing here is shown to beat chain of thought, so use that: {name} is {_write_difference(rival)}"
        f"{_write_interval(rival)}{_write_cost(rival)}. {_write_evidence(choice.evidence[choice.rival])}"
    )


def _advise_other(choice: Choice, chosen: int, name: str, tuning: Tuning) -> str:
    own, first = choice.measured[chosen], choice.measured[FIRST]
    what = f"{_write_difference(own)}{_write_interval(own)}{_write_cost(own)}"
    if choice.evidence[chosen].shown:
        return f"Use {name}: it is {what}. {_write_evidence(choice.evidence[chosen])}"
    if tuning.tokens is not None and rank_tokens(first.tokens) > tuning.tokens:
        return (
            f"Use {name}, the most accurate within {tuning.tokens:g} tokens per problem, which chain of thought does "
            f"not keep to: it is {what}."
        )
    if choice.beaten:
        return f"Use {name}: it is {what}, and the rounds have shown chain of thought to be worse than another."
    return f"Use {name}: it is {what}, and it is not shown to be worse."


def _is_near(own: Sequence[Outcome], best: Sequence[Outcome], margin: float, alpha: float) -> bool:
    """Whether a candidate is at most `margin` behind the best one, and not shown to be worse."""
    if own is best:
        return True
    found = _compare(own, best, alpha)
    return found is not None and found.value >= -margin - 1e-9 and found.high >= 0


def _compare(own: Sequence[Outcome], other: Sequence[Outcome], alpha: float) -> Difference | None:
    pairs = zip(own, other, strict=True)
    graded = [(one.correct, two.correct) for one, two in pairs if one.correct is not None and two.correct is not None]
    return compare_paired([float(one) - float(two) for one, two in graded], [1.0] * len(graded), alpha)


def _divide_tokens(own: Sequence[Outcome], other: Sequence[Outcome]) -> Estimate | None:
    tops, bottoms = list_tokens(own), list_tokens(other)
    if None in tops or None in bottoms:
        return None
    return estimate_ratio([float(each or 0) for each in tops], [float(each or 0) for each in bottoms])


def _write_difference(own: Measured) -> str:
    if own.difference is None:
        return "not comparable"
    if own.difference == 0:
        return "as accurate as chain of thought"
    points = f"{abs(own.difference) * 100:.1f} points"
    return f"{points} {'ahead of' if own.difference > 0 else 'behind'} chain of thought"


def _write_interval(own: Measured) -> str:
    return "" if own.low is None or own.high is None else f" ({own.low * 100:+.1f} to {own.high * 100:+.1f})"


def _write_evidence(found: Evidence) -> str:
    verdict = "is more than chance" if found.shown else "may be chance"
    needed = f" About {found.needed:,} problems would show such a difference." if found.needed is not None else ""
    return (
        f"Of {found.problems:,} problems in all it solves {found.wins} that chain of thought does not, and the reverse "
        f"{found.losses}, which {verdict}.{needed}"
    )


def _write_cost(own: Measured) -> str:
    if own.token_ratio is None:
        return ", for tokens that are unknown"
    times = f"{float(f'{own.token_ratio:.2g}'):,g}"  # without an exponent
    return ", for the same tokens" if times == "1" else f", at {times} times the tokens"
