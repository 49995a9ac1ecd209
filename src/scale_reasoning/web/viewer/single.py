"""One attempt, not of any run, as one file that loads nothing: `scale solve --html`."""

from __future__ import annotations

from scale_reasoning.graders import Grader
from scale_reasoning.lm import Endpoints, Strategy
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies import unusual
from scale_reasoning.types import Problem, Record
from scale_reasoning.web.viewer.rendering import render_alone
from scale_reasoning.web.viewer.replay import Recorder
from scale_reasoning.web.viewer.views import View
from scale_reasoning.web.viewer.whatif import Stretch, stretches, tau_of
from scale_reasoning.web.viewer.words import kind_of_outcome


async def single(
    problem: Problem,
    strategy: Strategy,
    endpoints: Endpoints,
    recorder: Recorder,
    record: Record,
    *,
    seed: int,
    grader: Grader | None,
) -> str:
    """The trace, what other thresholds would have done, and the calls that `recorder` kept, with their messages."""
    tau = tau_of(strategy)
    found: tuple[Stretch, ...] = ()
    if tau is not None:
        found = await stretches(
            problem, strategy, endpoints, recorder.journal, sample=record.attempt.sample, seed=seed, grader=grader
        )
    view = View(
        problem=problem,
        sample=record.attempt.sample,
        record=record,
        kind=kind_of_outcome(outcome_of(record)),
        strategy=str(record.strategy["name"]),
        options=unusual(record.strategy),
        model=record.model,
        tau=tau,
        stretches=found,
    )
    return render_alone("single.html", view=view, exchanges=recorder.exchanges(record))
