"""What-if in words: what another value of an allocator's number changes, and what of it is known.

Only what the journal has is said to be known; attempts that were not run are counted, and nothing else is said of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import msgspec

from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import JSON
from scale_reasoning.web.viewer.grid import KINDS, name_kind
from scale_reasoning.web.viewer.text import plain
from scale_reasoning.web.viewer.whatif import GRID, Range, Table, Totals


def write_table(table: Table) -> dict[str, JSON]:
    """The table as JSON for the slider: a row per value, named as the option is, at which the numbers change."""
    rows: list[dict[str, JSON]] = []
    last: Mapping[str, JSON] | None = None
    for value, row in zip(GRID, table.rows, strict=True):
        if last != (values := asdict(row)):
            rows.append({table.number.option: value, **values, "text": describe_totals(row, table.done)})
            last = values
    return {"planned": table.planned, "done": table.done, "error": table.error, "rows": rows}


def describe_totals(row: Totals, done: int) -> str:
    """What a run at another value has, of the `done` attempts that were looked up."""
    if not row.ran:
        return f"Not run: the journal has no complete attempt at this value (0 of {done:,})."
    parts = [_describe_change(row, done), *_describe_results(row), _describe_numbers(row, done)]
    if row.ran < done:
        parts.append("They are not a random sample, so this does not estimate the attempts that were not run.")
    return " ".join(parts)


def _describe_change(row: Totals, done: int) -> str:
    own = done - row.unmatched
    left = (
        f" {row.unmatched:,} are left out: not run yet, or not in the journal as they were recorded."
        if row.unmatched
        else ""
    )
    if not row.changed:
        same = "it goes as it was recorded" if own == 1 else f"all {own:,} go as they were recorded"
        return f"no attempt changes: {same}.{left}"
    missing = row.changed - row.known
    took = f"{row.changed:,} of {own:,} attempts {'change' if row.changed > 1 else 'changes'}"
    if not missing:
        return f"{took}, and the journal has {'all of them' if row.changed > 1 else 'it'}.{left}"
    if not row.known:
        return f"{took}, and the journal has none of them: not run.{left}"
    return f"{took}: the journal has {row.known:,}, and {missing:,} were not run.{left}"


def _describe_results(row: Totals) -> list[str]:
    """How the grades of the changed attempts change, where both grades are known."""
    if not row.regraded:
        return []
    same = row.regraded - row.gained - row.lost
    counts = [(row.gained, "become right"), (row.lost, "become wrong"), (same, "are graded as before")]
    told = [f"{count:,} {words}" for count, words in counts if count]
    return [f"Of those in the journal, {', '.join(told)}."]


def _describe_numbers(row: Totals, done: int) -> str:
    """The numbers of the known attempts; beside them those of the same attempts as recorded, if all have such."""
    paired = row.compared == row.ran
    who = f"all {done:,} attempts" if row.ran == done else f"the {row.ran:,} attempts that are known"
    who = who if row.ran > 1 else "the one attempt that is known"
    parts: list[str] = []
    if row.iterations:
        was = (
            f"{row.own_hard:,}"
            if row.own_iterations == row.iterations
            else f"{row.own_hard:,} of {row.own_iterations:,}"
        )
        steps = f"{row.hard:,} of {row.iterations:,} steps in System 2"
        parts.append(steps + (f" instead of {was}" if paired and row.changed else ""))
    if row.tokens is None:
        parts.append("response tokens unknown")
    else:
        told = paired and row.changed and row.own_tokens is not None
        was = f" instead of {round((row.own_tokens or 0) / row.ran):,}" if told else ""
        parts.append(f"{round(row.tokens / row.ran):,} response tokens per attempt{was}")
    if row.graded:
        was = f" instead of {row.own_right:,}" if paired and row.changed else ""
        parts.append(f"{row.right:,} of {row.graded:,} right{was} (Acc {row.right / row.graded * 100:.1f} %)")
    return f"Over {who}: {', '.join(parts)}."


def write_ranges(ranges: Sequence[Range], value: float) -> str:
    """The ranges as JSON for the slider, each with its sentence; `value` is where the attempt was recorded."""
    own = next((one for one in ranges if value in one), None)
    return msgspec.json.encode(
        [{"first": one.first, "high": one.high, "closed": one.closed, "text": _describe(one, own)} for one in ranges]
    ).decode()


def _describe(found: Range, own: Range | None) -> str:
    if found.outcome is None:
        missing = f" {found.missing}" if found.missing else ""
        return f"Not run: here the attempt needs a call that the journal does not have{missing and ','}{missing}."
    if found is own:
        return f"As recorded: {_describe_outcome(found.outcome, None)}."
    return f"Exactly, from the journal: {_describe_outcome(found.outcome, own.outcome if own else None)}."


def _describe_outcome(outcome: Outcome, own: Outcome | None) -> str:
    """An outcome, and what it has instead of the recorded one."""
    tokens, hard = outcome.usage.completion_tokens, f"{outcome.hard} of {outcome.iterations} steps in System 2"
    shown = f"{KINDS[name_kind(outcome)]}, {_write_answer(outcome)}"
    spent = "tokens unknown" if tokens is None else f"{tokens:,} tokens"
    if own is None:
        return f"{shown}, {hard}, {spent}"
    same = (outcome.answer, outcome.correct) == (own.answer, own.correct)
    was = "" if same else f" (recorded: {KINDS[name_kind(own)]}, {_write_answer(own)})"
    own_hard = f"{own.hard}" if own.iterations == outcome.iterations else f"{own.hard} of {own.iterations}"
    own_spent = own.usage.completion_tokens
    instead = "" if own_spent is None or tokens is None else f" instead of {own_spent:,}"
    return f"{shown}{was}, {hard} instead of {own_hard}, {spent}{instead}"


def _write_answer(outcome: Outcome) -> str:
    return "no answer" if outcome.answer is None else f"answer {plain(outcome.answer)[:80]}"
