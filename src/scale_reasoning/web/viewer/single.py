"""One attempt outside any run, as one file that loads nothing: `scale solve --html`."""

from __future__ import annotations

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.graders import Grader
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies import unusual
from scale_reasoning.types import Problem, Record
from scale_reasoning.web.viewer.grid import name_kind
from scale_reasoning.web.viewer.rendering import render_alone
from scale_reasoning.web.viewer.replay import Recorder, StoredAttempt
from scale_reasoning.web.viewer.views import View
from scale_reasoning.web.viewer.whatif import TauRange, find_ranges, find_tau


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
    """Makes the page of an attempt: the trace, other thresholds, and the recorder's calls with their messages."""
    tau = find_tau(strategy)
    ranges: tuple[TauRange, ...] = ()
    if tau is not None:
        ranges = await find_ranges(
            StoredAttempt(
                problem=problem,
                strategy=strategy,
                endpoints=endpoints,
                journal=recorder.journal,
                sample=record.attempt.sample,
                seed=seed,
                grader=grader,
            )
        )
    view = View(
        problem=problem,
        sample=record.attempt.sample,
        record=record,
        kind=name_kind(outcome_of(record)),
        strategy=str(record.strategy["name"]),
        options=unusual(record.strategy),
        model=record.model,
        tau=tau,
        ranges=ranges,
    )
    return render_alone("single.html", view=view, exchanges=recorder.exchanges(record))
