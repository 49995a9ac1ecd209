"""From runs to a bundle: every attempt through the filters, what is kept written, the funnel shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scale_reasoning.synth.collect import Collection
    from scale_reasoning.synth.filters import Limits
    from scale_reasoning.synth.funnel import Funnel
    from scale_reasoning.synth.settings import SynthesisOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All attempts of the runs, and what became of them."""

    collected: Collection
    funnel: Funnel


def filtered(settings: SynthesisOptions, folders: Sequence[Path]) -> Made:
    """The attempts of the runs in `folders` through the filters. Raises ConfigError, StoreError."""
    from scale_reasoning.synth import funnel
    from scale_reasoning.synth.collect import collect
    from scale_reasoning.synth.filters import make_filters
    from scale_reasoning.synth.trace import read_layout

    collected = collect(folders, read_layout(settings.layout))
    allowed = {name for each in collected.evaluations for name in each.benchmarks if settings.allow_test_split}
    limits = replace(limits_of(settings), allowed=frozenset(allowed))
    return Made(collected=collected, funnel=funnel.run(collected.candidates, make_filters(limits)))


@cache
def limits_of(settings: SynthesisOptions) -> Limits:
    """The filters that the settings describe, with the lists to keep out. Raises ConfigError."""
    from scale_reasoning.datasets import load
    from scale_reasoning.synth.filters import Limits

    folder = Path(settings.data_dir) if settings.data_dir else None
    return Limits(
        max_tokens=settings.max_tokens,
        choose=settings.choose,
        target=settings.target,
        against={name: load(name, data_dir=folder).problems for name in settings.decontaminate},
    )


def finish(args: argparse.Namespace, settings: SynthesisOptions, made: Made, code: int) -> int:
    """Writes the bundle, shows the funnel."""
    from scale_reasoning.synth import bundle, llamafactory
    from scale_reasoning.synth.trace import LIMO, read_student_prompts

    kept, student = made.funnel.kept, read_student_prompts(settings.student_prompts)
    files = bundle.write(args.out, made.funnel, made.collected.origins, student=student, settings=settings.describe())
    if settings.bundle:
        own = read_student_prompts(settings.student_prompts or LIMO)
        llamafactory.write(
            args.out, kept, student=own, prompts_file=settings.student_prompts,
            model=settings.base_model or llamafactory.DEFAULT_MODEL, gpus=settings.gpus or llamafactory.DEFAULT_GPUS,
        )  # fmt: skip
        files.append(f"{llamafactory.FOLDER}/")
    print(table(made))
    print(f"{len(kept):,} traces in {args.out}: {', '.join(files)}")
    if settings.target is not None and len(kept) < settings.target and not code:
        print(f"scale: {len(kept):,} traces are fewer than the target of {settings.target:,}, and no attempt is left "
              "that could add one", file=sys.stderr)  # fmt: skip
    if args.push:
        from scale_reasoning.synth.push import push

        print(f"pushed to {push(args.out, args.push)}")
    return code or (0 if kept else 1)


def table(made: Made) -> str:
    """The funnel as a table."""
    from scale_reasoning.report.formats import Column, Grid, write_markdown

    origins = made.collected.origins
    columns = [Column(name="stage"), *(Column(name=name, number=True) for name in ("came", "dropped", "kept"))]
    rows = [[c.stage, f"{c.came:,}", f"{c.dropped:,}", f"{c.kept:,}"] for c in made.funnel.counts]
    planned, done = sum(origin.planned for origin in origins), sum(origin.made for origin in origins)
    note = f"{planned:,} attempts planned, {done:,} made; every dropped one is in dropped.jsonl with its reason"
    return write_markdown(Grid(columns=columns, rows=rows, notes=[note]))
