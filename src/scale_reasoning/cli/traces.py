"""From runs to a bundle: filters every attempt, writes what is kept, and shows the funnel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.options import say
from scale_reasoning.printable import count

if TYPE_CHECKING:
    from scale_reasoning.runs.manifest import Manifest
    from scale_reasoning.runs.store import Store
    from scale_reasoning.synth.collect import Collection
    from scale_reasoning.synth.filters import Limits
    from scale_reasoning.synth.funnel import Funnel
    from scale_reasoning.synth.settings import SynthesisOptions
    from scale_reasoning.synth.target import Target
    from scale_reasoning.types import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredRuns:
    """All attempts of runs, and the result of the filters."""

    collected: Collection
    funnel: Funnel


def filter_runs(settings: SynthesisOptions, folders: Sequence[Path]) -> FilteredRuns:
    """Limits the attempts of the runs in `folders`. Raises ConfigError, StoreError."""
    from scale_reasoning.synth.collect import collect
    from scale_reasoning.synth.trace import read_layout

    return filter_collected(settings, collect(folders, read_layout(settings.layout)))


def filter_collected(settings: SynthesisOptions, collected: Collection) -> FilteredRuns:
    """Limits the attempts that were collected. Raises ConfigError."""
    from scale_reasoning.synth import funnel
    from scale_reasoning.synth.filters import make_checks, make_filters

    allowed = {name for each in collected.evaluations for name in each.benchmarks if settings.allow_test_split}
    limits = replace(load_limits(settings), allowed=frozenset(allowed))
    made = funnel.run(collected.candidates, make_filters(limits), make_checks(limits))
    return FilteredRuns(collected=collected, funnel=made)


@cache
def load_limits(settings: SynthesisOptions) -> Limits:
    """The filters that the settings describe, with the lists to keep out. Raises ConfigError."""
    from scale_reasoning.datasets import load
    from scale_reasoning.synth.filters import Limits

    folder = Path(settings.data_dir) if settings.data_dir else None
    return Limits(
        filters=settings.filters,
        max_tokens=settings.max_tokens,
        choose=settings.choose,
        target=settings.target,
        against={name: load(name, data_dir=folder).problems for name in settings.decontaminate},
    )


def write_bundle(out: Path, settings: SynthesisOptions, filtered: FilteredRuns) -> list[str]:
    """Writes the traces that were kept, and the reasons for the others; returns the names of the files."""
    from scale_reasoning.synth import bundle, llamafactory
    from scale_reasoning.synth.trace import read_student_prompts

    funnel, student = filtered.funnel, read_student_prompts(settings.student_prompts)
    files = bundle.write(out, funnel, filtered.collected.origins, student=student, settings=settings.describe())
    if settings.bundle:
        left_out = llamafactory.write(
            out,
            funnel.kept,
            student=student,
            prompts_file=settings.student_prompts,
            model=settings.base_model or llamafactory.DEFAULT_MODEL,
            gpus=settings.gpus or llamafactory.DEFAULT_GPUS,
            template=settings.template,
        )
        files.append(f"{llamafactory.FOLDER}/")
        if left_out:
            say(f"{left_out:,} rows are not in {llamafactory.FOLDER}/, which could not learn them whole: "
                f"{llamafactory.FOLDER}/left_out.json has the reasons")  # fmt: skip
    return files


def make_table(filtered: FilteredRuns) -> str:
    """The funnel as a table."""
    from scale_reasoning.report.formats import Column, Grid, write_markdown

    origins = filtered.collected.origins
    columns = [Column(name="stage"), *(Column(name=name, number=True) for name in ("came", "dropped", "kept"))]
    rows = [[c.stage, f"{c.came:,}", f"{c.dropped:,}", f"{c.kept:,}"] for c in filtered.funnel.counts]
    planned, done = sum(origin.planned for origin in origins), sum(origin.made for origin in origins)
    made = f"{count(planned, 'attempt')} planned, {done:,} made"
    notes = [f"{made}; dropped.jsonl has every dropped attempt with its reason"]
    if marked := Counter(one.stage for one in filtered.funnel.marked):
        stages = ", ".join(f"{stage} {dropped:,}" for stage, dropped in marked.items())
        notes.append(f"stages that are off would drop of the kept traces: {stages}; manifest.json has which")
    return write_markdown(Grid(columns=columns, rows=rows, notes=notes))


def list_allowed(
    manifest: Manifest, problems: Mapping[str, Sequence[Problem]], settings: SynthesisOptions
) -> frozenset[str]:
    """The benchmarks that rows may come from. Raises ConfigError for evaluation problems that are not allowed."""
    from scale_reasoning.synth.splits import find_evaluation, require_allowed

    specs = dict.fromkeys(cell.dataset for cell in manifest.cells)
    evaluations = [find_evaluation(manifest, spec, problems.get(spec.name, ())) for spec in specs]
    return require_allowed(filter(None, evaluations), allow=settings.allow_test_split)


def check_problems(manifest: Manifest, problems: Mapping[str, Sequence[Problem]], settings: SynthesisOptions) -> None:
    """Refuses evaluation problems, and prints how many problems can give no trace."""
    if useless := count_useless(manifest, problems, settings):
        say(f"{useless:,} of {sum(map(len, problems.values())):,} problems share a passage with a problem that "
                    "is kept out; they give no traces")  # fmt: skip


def count_useless(manifest: Manifest, problems: Mapping[str, Sequence[Problem]], settings: SynthesisOptions) -> int:
    """Problems that can give no trace. Raises ConfigError for evaluation problems that are not allowed."""
    from scale_reasoning.synth.contamination import make_judge

    allowed, limits = list_allowed(manifest, problems, settings), load_limits(settings)
    if not limits.has("contamination"):
        return 0
    reason = make_judge(limits.against, allowed)
    return sum(reason(problem.text) is not None for each in problems.values() for problem in each)


def describe_target(settings: SynthesisOptions, kept: int = 0) -> list[str]:
    """How many traces are missing; nothing where there is no target."""
    if settings.target is None:
        return []
    missing = max(0, settings.target - kept)
    return [f"{kept:,} of {settings.target:,} traces so far; starts no more attempts than {missing:,} traces can need"]


def describe_reach(
    manifest: Manifest, problems: Mapping[str, Sequence[Problem]], settings: SynthesisOptions
) -> list[str]:
    """What share of problems and attempts a target needs, and how many traces the paper's accuracy would give.

    Both hold for one trace per problem and attempts that are right independently of each other.
    """
    if settings.target is None or settings.choose == "all":
        return []
    from scale_reasoning.cli.lengths import find_accuracy

    usable = sum(map(len, problems.values())) - count_useless(manifest, problems, settings)
    if settings.target > usable:
        return [f"{settings.target:,} traces are out of reach: {usable:,} problems can give one each"]
    tries = manifest.samples * sum(cell.dataset == manifest.cells[0].dataset for cell in manifest.cells)
    share = settings.target / usable
    each = 1 - (1 - share) ** (1 / tries)
    needs = f"{settings.target:,} of {usable:,} problems ({100 * share:.1f} %) must give a trace: with {tries} attempts"
    lines = [f"{needs} per problem, {100 * each:.1f} % of attempts"]
    if (accuracy := find_accuracy(manifest.cells[0])) is not None:
        expected = f"about {usable * (1 - (1 - accuracy) ** tries):,.0f} can be expected"
        other = "" if settings.filters == ("answer",) else ", before stages other than the answer's"
        lines.append(f"{expected} where {100 * accuracy:.1f} % of attempts are right, as in the paper's Table 1{other}")
    return lines


def make_target(settings: SynthesisOptions, store: Store) -> Target | None:
    """The goal of a run that needs a number of traces; None where there is no target."""
    if settings.target is None:
        return None
    from scale_reasoning.synth.collect import find_evaluations
    from scale_reasoning.synth.contamination import make_judge
    from scale_reasoning.synth.target import Target

    limits = load_limits(settings)
    every, whole = settings.choose == "all", limits.has("complete")
    if not limits.has("contamination"):
        return Target(store, settings.target, every=every, whole=whole)
    allowed = {name for each in find_evaluations(store) for name in each.benchmarks if settings.allow_test_split}
    reason = make_judge(limits.against, allowed)
    names = dict.fromkeys(cell.dataset.name for cell in store.manifest.cells)
    hopeless = [(name, problem.id) for name in names for problem in store.problems(name) if reason(problem.text)]
    return Target(store, settings.target, every=every, whole=whole, hopeless=hopeless)
