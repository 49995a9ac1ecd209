"""Which candidates of a tuning go on, and which are dropped and why: decided by their outcomes alone.

A resumed tuning therefore decides as an uninterrupted one. Candidates are the cells of a run, by number from 0; the
first is what all others are compared with and always gets to the problems that are held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean, stdev
from typing import Literal, TypeAlias

import msgspec

from scale_reasoning.report.calibration import binomial_tail
from scale_reasoning.report.intervals import t_p
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.rounds import Tuning

Outcomes: TypeAlias = Mapping[str, Outcome]
"""The final outcomes of a candidate, by problem."""


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """Why a candidate was dropped after a round, counted from 1.

    worse: candidate `by` is right on `wins` problems that it gets wrong, and wrong on `losses` that it gets right.
    tokens: it spends more than the limit. dominated: on all problems that are tuned on, `by` is at least as accurate
    for no more tokens. p_value: of worse and tokens.
    """

    round: int
    reason: Literal["worse", "tokens", "dominated"]
    by: int | None = None
    wins: int | None = None
    losses: int | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a tuning stands. round: the one whose attempts are to be made, None for the problems that are held out.

    needs: the problems that each candidate must still have before the next decision, those it has included; empty at
    the end. live: the candidates that may be chosen. finalists: those with the held-out problems, as far as known.
    planned: the attempts that each cell needs, as far as that is decided.
    """

    round: int | None
    needs: Mapping[int, Sequence[str]]
    live: tuple[int, ...]
    finalists: tuple[int, ...]
    drops: Mapping[int, Drop]
    planned: tuple[int, ...]


def decide(outcomes: Sequence[Outcomes], order: Sequence[str], tuning: Tuning) -> Standing:
    """Where a tuning stands. `outcomes`: of each candidate; `order`: the problems in the order of their use."""
    live, drops = tuple(range(len(outcomes))), dict[int, Drop]()
    held_out = order[tuning.rounds[-1] : tuning.problems]
    level = find_level(len(outcomes), tuning)
    last = 0
    for number, size in enumerate(tuning.rounds, 1):
        if len(live) <= 1:
            break
        last, had = size, order[:size]
        if any(name not in outcomes[cell] for cell in live for name in had):
            planned = _plan(len(outcomes), tuning, drops, None)
            needs = dict.fromkeys(live, had)
            return Standing(round=number, needs=needs, live=live, finalists=(), drops=drops, planned=planned)
        found = _test_all({cell: [outcomes[cell][name] for name in had] for cell in live}, number, tuning, level)
        live = tuple(cell for cell in live if cell not in found)
        drops |= found
    found = _find_dominated({cell: [outcomes[cell][name] for name in order[:last]] for cell in live}, tuning)
    live = tuple(cell for cell in live if cell not in found)
    drops |= found
    finalists = tuple(sorted({0, *live}))
    needs = {cell: held_out for cell in finalists if any(name not in outcomes[cell] for name in held_out)}
    planned = _plan(len(outcomes), tuning, drops, (finalists, last))
    return Standing(round=None, needs=needs, live=live, finalists=finalists, drops=drops, planned=planned)


def compute_sign_p(wins: int, losses: int) -> float:
    """The exact one-sided sign test: P(at least `wins` of wins + losses fair tosses), McNemar's for paired answers."""
    return binomial_tail(wins + losses, losses, 0.5)


def compute_mean_p(values: Sequence[float | None], limit: float) -> float:
    """The one-sided p-value, by Student's t, of a mean of at most `limit`; 1 where a value is unknown."""
    known = [value for value in values if value is not None]
    if len(known) < max(2, len(values)) or fmean(known) <= limit:
        return 1.0
    error = stdev(known) / sqrt(len(known))
    return t_p((fmean(known) - limit) / error, len(known) - 1) / 2 if error else 0.0


def find_level(candidates: int, tuning: Tuning) -> float:
    """The level of each test, by Bonferroni's inequality: the tuning's over all tests that could drop one candidate.

    These are, in each round and once more on all problems, that of each other candidate's answers and, with a limit of
    tokens, those of its own tokens and of each other's.
    """
    each = 2 * candidates if tuning.tokens is not None else candidates - 1
    return tuning.level / ((len(tuning.rounds) + 1) * max(1, each))


def _test_all(had: Mapping[int, Sequence[Outcome]], number: int, tuning: Tuning, level: float) -> dict[int, Drop]:
    """The candidates that a round drops: those shown to spend too much, and those shown to be worse than another."""
    drops: dict[int, Drop] = {}
    useful = {cell: own for cell, own in had.items() if _keeps_limit(own, tuning, level)}
    for cell, own in had.items():
        if tuning.tokens is not None and (p_value := compute_mean_p(list_tokens(own), tuning.tokens)) <= level:
            drops[cell] = Drop(round=number, reason="tokens", p_value=p_value)
            continue
        worse = [_compare(own, other, by, number) for by, other in useful.items() if by != cell]
        shown = [drop for drop in worse if drop.p_value is not None and drop.p_value <= level]
        if shown:
            drops[cell] = min(shown, key=lambda drop: drop.p_value or 0.0)
    return drops


def _keeps_limit(own: Sequence[Outcome], tuning: Tuning, level: float) -> bool:
    """Whether a candidate is shown to keep the limit of tokens. Without that, one that is more accurate makes none
    useless, because it may turn out to spend too much.
    """
    if tuning.tokens is None:
        return True
    spared = [None if tokens is None else -tokens for tokens in list_tokens(own)]
    return compute_mean_p(spared, -tuning.tokens) <= level


def _compare(own: Sequence[Outcome], other: Sequence[Outcome], by: int, number: int) -> Drop:
    pairs = [(one.correct, two.correct) for one, two in zip(own, other, strict=True)]
    wins, losses = pairs.count((False, True)), pairs.count((True, False))
    p_value = compute_sign_p(wins, losses)
    return Drop(round=number, reason="worse", by=by, wins=wins, losses=losses, p_value=p_value)


def _find_dominated(had: Mapping[int, Sequence[Outcome]], tuning: Tuning) -> dict[int, Drop]:
    """The candidates that are not on the frontier of accuracy and tokens; of equal ones the first is on it.

    Unknown tokens are more than any that are known, and neither more nor less than others that are unknown.
    """
    places = {cell: (-_count_right(own), rank_tokens(mean_tokens(own)), cell) for cell, own in had.items()}
    drops: dict[int, Drop] = {}
    for cell, (wrong, tokens, _) in places.items():
        better = [
            by
            for by, (other, fewer, _) in places.items()
            if by != cell and other <= wrong and fewer <= tokens and fewer < inf and places[by] < places[cell]
        ]
        if better:
            by = min(better, key=places.__getitem__)
            drops[cell] = Drop(round=len(tuning.rounds), reason="dominated", by=by)
    return drops


def _count_right(own: Sequence[Outcome]) -> int:
    return sum(outcome.correct is True for outcome in own)


def list_tokens(own: Sequence[Outcome]) -> list[int | None]:
    """The new tokens of each outcome, None where they are unknown."""
    return [outcome.usage.completion_tokens for outcome in own]


def mean_tokens(own: Sequence[Outcome]) -> float | None:
    """The mean new tokens; None where some are unknown."""
    known = [tokens for tokens in list_tokens(own) if tokens is not None]
    return fmean(known) if known and len(known) == len(own) else None


def rank_tokens(tokens: float | None) -> float:
    """A mean of tokens for comparisons: infinite where it is unknown, so that it is more than any other."""
    return inf if tokens is None else tokens


def _plan(
    cells: int, tuning: Tuning, drops: Mapping[int, Drop], end: tuple[Sequence[int], int] | None
) -> tuple[int, ...]:
    """The attempts that each cell needs. end: the finalists, and how many problems candidates had before that."""
    planned: list[int] = []
    for cell in range(cells):
        drop = drops.get(cell)
        had = tuning.rounds[-1] if drop is None else tuning.rounds[drop.round - 1]
        finals = tuning.held_out if drop is None or cell == 0 else 0
        if end is not None:
            finalists, last = end
            had = last if drop is None or drop.reason == "dominated" else had
            finals = tuning.held_out if cell in finalists else 0
        planned.append(had + finals)
    return tuple(planned)
