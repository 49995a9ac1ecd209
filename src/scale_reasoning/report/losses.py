"""Where attempts are lost: by decomposition, by routing, or because the answer's form could not be read.

Decides what lost and won mean and their intervals. roles.py decides which rows are compared, losses_table.py the
layout.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeAlias

import msgspec

from scale_reasoning.report.compare import compare
from scale_reasoning.report.intervals import compare_paired, estimate_share
from scale_reasoning.report.roles import Pair, Ranked, Role, group_cells
from scale_reasoning.runs.outcome import Cell, Outcome

FORM = "the answer's form"
Key: TypeAlias = tuple[str, int]
"""A problem's id and a sample: an attempt of a cell, or a pair of attempts of two."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A problem and the samples (from 0) that were lost or won on it."""

    id: str
    samples: tuple[int, ...]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of the method loses and wins. Shares are in [0, 1]; None is unknown or does not exist.

    For decomposition, routing and System 1 alone, an attempt of row B is paired with the attempt of row A at the same
    problem with the same sample number. lost: pairs in which A is right and B wrong; won: the reverse. Shares are means
    over a problem's pairs, then over problems; net is won - lost, with the paired interval and p-value. token_ratio:
    response tokens of B over those of A, as `scale compare` has it.

    For the answer's form there is no A. lost: attempts without an answer although their last solution was not cut off;
    won: right attempts whose answer was found in another form than a box (None if a record does not say).

    a, b: the rows in words. planned: attempts or pairs of the manifest; counted: those compared; pending, ungraded:
    those left out.
    """

    dataset: str
    model: str
    by: str
    a: str | None
    b: str
    role_a: Role | None = None
    role_b: Role
    run_a: str | None = None
    run_b: str
    row_a: int | None = None
    row_b: int
    planned: int
    counted: int
    pending: int
    ungraded: int
    problems: int
    lost: int
    lost_share: float | None
    lost_low: float | None
    lost_high: float | None
    won: int | None
    won_share: float | None
    won_low: float | None
    won_high: float | None
    net: float | None = None
    net_low: float | None = None
    net_high: float | None = None
    p_value: float | None = None
    token_ratio: float | None = None
    token_low: float | None = None
    token_high: float | None = None
    uncounted: int = 0
    lost_on: tuple[Changed, ...]
    won_on: tuple[Changed, ...]


class Losses(msgspec.Struct, frozen=True, kw_only=True):
    """All losses of some rows; `missing` says which comparisons are not there, and how to add them."""

    losses: tuple[Loss, ...]
    missing: tuple[str, ...]

    @property
    def pending(self) -> bool:
        """Whether any attempt was left out because it is pending."""
        return any(loss.pending for loss in self.losses)


def find_losses(numbered: Sequence[tuple[int, Cell]]) -> Losses:
    """Finds what is lost for each dataset and model. `numbered` are rows, and their cells, on the same problems."""
    several = len({cell.run for _, cell in numbered}) > 1
    groups = group_cells(numbered)
    return Losses(
        losses=tuple(
            loss
            for group in groups
            for loss in (
                *(_compare_pair(pair, several=several) for pair in group.pairs),
                *(_read_forms(ranked, several=several) for ranked in group.cells),
            )
        ),
        missing=tuple(note for group in groups for note in group.missing),
    )


class _Tally:
    """Some of the attempts or pairs that count: their problems, their number, and their share."""

    def __init__(self, counted: Iterable[Key], chosen: Collection[Key]) -> None:
        groups: dict[str, list[int]] = {}
        for name, sample in counted:
            groups.setdefault(name, []).append(sample)
        self.sizes = [len(samples) for samples in groups.values()]
        found = {name: tuple(sorted(n for n in samples if (name, n) in chosen)) for name, samples in groups.items()}
        self.on = tuple(Changed(id=name, samples=samples) for name, samples in found.items() if samples)
        self.count = len(chosen)
        self.shares = [len(found[name]) / len(samples) for name, samples in groups.items()]
        share = estimate_share(self.shares)
        self.value, self.low, self.high = (share.value, share.low, share.high) if share else (None, None, None)


def _compare_pair(pair: Pair, *, several: bool) -> Loss:
    by, one, other = pair
    a, b = one.cell, other.cell
    befores, afters = _collect_final(a), _collect_final(b)
    shared = {key: (before, afters[key]) for key, before in befores.items() if key in afters}
    graded = {key: (x, y) for key, (x, y) in shared.items() if x.correct is not None and y.correct is not None}
    lost = _Tally(graded, {key for key, (x, y) in graded.items() if x.correct and not y.correct})
    won = _Tally(graded, {key for key, (x, y) in graded.items() if y.correct and not x.correct})
    net = compare_paired([w - v for w, v in zip(won.shares, lost.shares, strict=True)], lost.sizes)
    tokens = compare(a, b)
    planned = min(a.planned, b.planned)
    return Loss(
        dataset=b.dataset,
        model=b.model,
        by=by,
        a=one.describe(several=several),
        b=other.describe(several=several),
        role_a=one.role,
        role_b=other.role,
        run_a=a.run,
        run_b=b.run,
        row_a=one.row,
        row_b=other.row,
        planned=planned,
        counted=len(graded),
        pending=max(0, planned - len(shared)),
        ungraded=len(shared) - len(graded),
        problems=len(lost.sizes),
        lost=lost.count,
        lost_share=lost.value,
        lost_low=lost.low,
        lost_high=lost.high,
        won=won.count,
        won_share=won.value,
        won_low=won.low,
        won_high=won.high,
        net=net.value if net else None,
        net_low=net.low if net else None,
        net_high=net.high if net else None,
        p_value=net.p_value if net else None,
        token_ratio=tokens.token_ratio,
        token_low=tokens.token_low,
        token_high=tokens.token_high,
        uncounted=tokens.uncounted_a + tokens.uncounted_b,
        lost_on=lost.on,
        won_on=won.on,
    )


def _read_forms(ranked: Ranked, *, several: bool) -> Loss:
    cell = ranked.cell
    final = _collect_final(cell)
    lost = _Tally(final, {key for key, o in final.items() if o.answer is None and o.failure == "unanswered"})
    won: _Tally | None = None
    right = {key: _find_form(outcome) for key, outcome in final.items() if outcome.correct}
    if all(right.values()):
        won = _Tally(final, {key for key, form in right.items() if form != "boxed"})
    return Loss(
        dataset=cell.dataset,
        model=cell.model,
        by=FORM,
        a=None,
        b=ranked.describe(several=several),
        role_b=ranked.role,
        run_b=cell.run,
        row_b=ranked.row,
        planned=cell.planned,
        counted=len(final),
        pending=max(0, cell.planned - len(final)),
        ungraded=0,
        problems=len(lost.sizes),
        lost=lost.count,
        lost_share=lost.value,
        lost_low=lost.low,
        lost_high=lost.high,
        won=won.count if won else None,
        won_share=won.value if won else None,
        won_low=won.low if won else None,
        won_high=won.high if won else None,
        lost_on=lost.on,
        won_on=won.on if won else (),
    )


def _find_form(outcome: Outcome) -> str | None:
    """How the answer of an attempt without a vote was found; None if its record does not say."""
    return next(iter(outcome.forms), None)


def _collect_final(cell: Cell) -> dict[Key, Outcome]:
    """The outcomes that are not pending, by problem and sample, in the order of the dataset."""
    return {(outcome.problem_id, outcome.sample): outcome for outcome in cell.outcomes if not outcome.pending}
