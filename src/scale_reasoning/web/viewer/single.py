"""One attempt outside any run, as one file that loads nothing: `scale solve --html`."""

from __future__ import annotations

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.graders import Grader
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies import describe, label
from scale_reasoning.strategies.number import find_number
from scale_reasoning.types import Problem, Record
from scale_reasoning.web.viewer.grid import name_kind
from scale_reasoning.web.viewer.rendering import render_alone
from scale_reasoning.web.viewer.replay import Recorder, StoredAttempt
from scale_reasoning.web.viewer.views import View
from scale_reasoning.web.viewer.whatif import Range, find_ranges


async def make_single_page(
    problem: Problem,
    strategy: Strategy,
    endpoints: Endpoints,
    recorder: Recorder,
    record: Record,
    *,
    seed: int,
    grader: Grader | None,
) -> str:
    """Makes the page of an attempt: the trace, what-if, and the recorder's calls with their messages."""
    number, value = find_number(strategy) or (None, None)
    ranges: tuple[Range, ...] = ()
    if number is not None:
        ranges = await find_ranges(
            StoredAttempt(
                problem=problem,
                strategy=strategy,
                endpoints=endpoints,
                journal=recorder.journal,
                sample=record.attempt.sample,
                seed=seed,
                grader=grader,
            ),
            number,
        )
    view = View(
        problem=problem,
        sample=record.attempt.sample,
        record=record,
        kind=name_kind(outcome_of(record)),
        strategy=str(record.strategy["name"]),
        options=label(describe(strategy)),
        model=record.model,
        number=number,
        value=value,
        ranges=ranges,
    )
    return render_alone("single.html", view=view, exchanges=recorder.exchanges(record))
