"""Writes losses as a table with a note per list of problems, as JSON, or as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from scale_reasoning.report.formats import NOTHING, UNKNOWN, Column, Grid, percent, span
from scale_reasoning.report.losses import FORM, Changed, Loss, Losses
from scale_reasoning.report.tables import build_flat
from scale_reasoning.report.writers import WRITERS, Format, Writers
from scale_reasoning.types import JSON

TEXTS = frozenset({"dataset", "model", "lost by", "A", "B"})
"""Headings of columns that are not numbers."""
SPARE = frozenset({"won % [95 %]", "counted"})
"""Headings of columns that a narrow terminal leaves out first."""
LEGEND = (
    "lost: A right and B wrong at the same problem and sample; won: the reverse; net: won - lost in points, with its "
    "paired interval. Both lost and won count chance too; net shows whether there is more. Tok B / A: response tokens. "
    f"{FORM.capitalize()}: lost are attempts without an answer that were not cut off, won are right attempts whose "
    "answer was not in a box."
)


def render_losses(
    found: Losses,
    format: Format,  # noqa: A002 - the flag's name
    *,
    most: int | None = None,
    writers: Writers = WRITERS,
) -> str:
    """Writes the losses as one text. Notes name at most `most` problems each; JSON and CSV name all.

    JSON is an object with Losses' keys; CSV has a line per Loss and no notes.
    """
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    if format == "csv":
        rows = [cast("dict[str, JSON]", msgspec.to_builtins(loss)) for loss in found.losses]
        return writers["csv"](build_flat(rows))
    return writers[format](build_losses_grid(found, most=most))


def build_losses_grid(found: Losses, *, most: int | None = None) -> Grid:
    """Puts the losses into a table, a line each; notes name the problems, at most `most` each."""
    names = list(write_loss(found.losses[0])) if found.losses else []
    notes = [LEGEND, *list_notes(found)]
    lists = [
        f"{loss.dataset}, {loss.model}: {title}: {_name_problems(problems, most)}"
        for loss in found.losses
        for title, problems in list_problems(loss)
    ]
    return Grid(
        columns=[Column(name=name, number=name not in TEXTS, spare=name in SPARE) for name in names],
        rows=[list(write_loss(loss).values()) for loss in found.losses],
        notes=[*notes, *lists, *found.missing],
    )


def list_problems(loss: Loss) -> list[tuple[str, Sequence[Changed]]]:
    """The problems on which attempts were lost, and won, under a title each; none if there are none."""
    if loss.by == FORM:
        titles = (f"no answer found, {loss.b}", f"right without a box, {loss.b}")
    else:
        titles = tuple(f"{word} by {loss.by}, {loss.a} to {loss.b}" for word in ("lost", "won"))
    lists = (loss.lost_on, loss.won_on)
    return [(title, problems) for title, problems in zip(titles, lists, strict=True) if problems]


def list_notes(found: Losses) -> list[str]:
    """Says what the lines leave out and what is unknown."""
    notes = [note for loss in found.losses for note in _list_left_out(loss)]
    if any(loss.won is None for loss in found.losses):
        notes.append(f"won is {UNKNOWN} where the run does not have the forms of its right answers (an older run).")
    return notes


def _list_left_out(loss: Loss) -> list[str]:
    what = "attempts" if loss.a is None else "pairs of attempts"
    where = f"{loss.dataset}, {loss.model}, {loss.by} ({loss.b})"
    notes: list[str] = []
    if loss.pending:
        notes.append(f"{where}: {loss.pending} of {loss.planned} {what} are pending and left out. Resume the run.")
    if loss.ungraded:
        notes.append(f"{where}: {loss.ungraded} of {loss.planned} {what} have no grade and are left out.")
    if loss.uncounted:
        notes.append(f"{where}: Tok B / A is unknown: the server reported no tokens for {loss.uncounted} attempts.")
    return notes


def count_samples(one: Changed) -> str:
    """How many samples of a problem were lost or won, if more than one."""
    return f" ×{len(one.samples)}" if len(one.samples) > 1 else ""


def _name_problems(problems: Sequence[Changed], most: int | None) -> str:
    shown = problems if most is None else problems[:most]
    more = f" and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
    return ", ".join(f"{one.id}{count_samples(one)}" for one in shown) + more


def write_loss(loss: Loss) -> dict[str, str]:
    """Writes a line of the table: by heading, the text of each column."""
    return {
        "dataset": loss.dataset,
        "model": loss.model,
        "lost by": loss.by,
        "A": loss.a or NOTHING,
        "B": loss.b,
        "lost": str(loss.lost),
        "lost % [95 %]": _write_share(loss.lost_share, loss.lost_low, loss.lost_high),
        "won": UNKNOWN if loss.won is None else str(loss.won),
        "won % [95 %]": UNKNOWN if loss.won is None else _write_share(loss.won_share, loss.won_low, loss.won_high),
        "net [95 %]": NOTHING if loss.net is None else f"{loss.net * 100:+.2f} {span(loss.net_low, loss.net_high)}",
        "Tok B / A [95 %]": _write_ratio(loss),
        "counted": f"{loss.counted}/{loss.planned}",
    }


def _write_share(share: float | None, low: float | None, high: float | None) -> str:
    return f"{percent(share)} {span(low, high)}".rstrip()


def _write_ratio(loss: Loss) -> str:
    if loss.token_ratio is None:
        return UNKNOWN if loss.uncounted else NOTHING
    low, high = loss.token_low, loss.token_high
    return f"{loss.token_ratio:.3f}{'' if low is None or high is None else f' [{low:.3f}, {high:.3f}]'}"
