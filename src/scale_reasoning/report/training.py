"""Which models of a report are fine-tuned, as in Table 3, and on which base models. The caller says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from scale_reasoning.report.metrics import Summary
from scale_reasoning.report.paper import BASE, TRAINING


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fine-tuned model's base model (None: unknown) and what says so, for a note."""

    base: str | None
    source: str


def mark_training(summaries: Sequence[Summary], trained: Mapping[tuple[str, str], Trained]) -> list[Summary]:
    """The summaries with their model's training among their options. `trained` is by run and model; others are base
    models.
    """
    return [_mark(summary, trained.get((summary.run, summary.model))) for summary in summaries]


def _mark(summary: Summary, trained: Trained | None) -> Summary:
    mark = {TRAINING: "none"} if trained is None else {TRAINING: "sft", BASE: trained.base}
    options, label = ({**each, **mark} for each in (summary.options, summary.label))
    return msgspec.structs.replace(summary, options=options, label=label)


def note_trained(trained: Mapping[tuple[str, str], Trained]) -> list[str]:
    """A note on each fine-tuned model."""
    notes = [
        f"{model}: fine-tuned ({found.source}); its base model is unknown, so it has no counterpart: give --tuned "
        f"{model}=BASE"
        if found.base is None
        else f"{model}: {found.base} fine-tuned ({found.source})."
        for (_, model), found in trained.items()
    ]
    return list(dict.fromkeys(notes))
