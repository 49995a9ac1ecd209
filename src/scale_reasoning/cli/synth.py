"""`scale synth`: reasoning traces to train on, from a run of its own or from evaluations already paid for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import evaluate, running
from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.strategies import describe

if TYPE_CHECKING:
    from scale_reasoning.runs.outcome import Outcome
    from scale_reasoning.runs.store import Store
    from scale_reasoning.synth.collect import Collected
    from scale_reasoning.synth.filters import Filters
    from scale_reasoning.synth.funnel import Funnel
    from scale_reasoning.types import JSON

SAMPLES = 4
RUN = "run"
"""The folder of a bundle that holds the run it was made from."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("synth", help="reasoning traces to train on, filtered by answer; resumable")
    parser.add_argument("recipe", nargs="?", type=Path, help="a recipe (.toml) or manifest (.json) of the run to make")
    add = parser.add_argument
    add("--dataset", nargs="+", metavar="NAME", help="problems: limo, limo-v2, arithmetic, a file, a name on the Hub")
    add("--from", dest="runs", nargs="+", type=Path, metavar="RUN", help="take runs already made instead of a new one")
    add("--resume", type=Path, metavar="OUT", help="go on with the run in OUT, then filter again")
    evaluate.add_run(parser)
    group = parser.add_argument_group("traces")
    add = group.add_argument
    add("--target", type=int, metavar="N", help="stop when N traces are kept")
    add("--max-tokens", type=int, metavar="N", help="longest trace in response tokens (default 16384)")
    add("--choose", metavar="RULE", help="which trace of a problem: fewest tokens (default), most, first, all")
    add("--decontaminate", nargs="+", default=[], metavar="NAME", help="further datasets or files to keep out")
    add("--layout", default="", metavar="FILE", help="how a trace reads, instead of trace.md's sections")
    add("--student-prompts", default="", metavar="FILE", help="a CoT prompts file: what the student is asked")
    add("--bundle", choices=("llamafactory",), help="a folder for another trainer as well")
    add("--base-model", metavar="MODEL", help="the model that the bundle trains (default Qwen/Qwen2.5-32B-Instruct)")
    add("--gpus", type=int, metavar="N", help="GPUs that the bundle trains on (default 8)")
    add("--push", metavar="OWNER/NAME", help="put the bundle on the Hub as a private dataset")
    parser.set_defaults(run=run_synth)


def run_synth(args: argparse.Namespace) -> int:
    """Makes or reads runs, filters, writes the bundle; 1 when attempts are owed or nothing was kept."""
    _one_source(args)
    _readable_words(args)
    if args.runs:
        return _finish(args, _filtered(args, args.runs), code=0)
    args.samples = args.samples or (None if args.resume or args.recipe else SAMPLES)
    if args.resume:
        evaluate.refuse(args, "--resume", *evaluate.SETTLED_BY_A_RUN)
        args.out = args.resume
        with running.resumed(args.out / RUN) as store:
            return _make(args, store)
    from scale_reasoning.runs.store import create

    if (args.out / RUN).exists():
        raise ConfigError(
            f"--out {args.out}: its run has begun: scale synth --resume {args.out}, or name another folder"
        )
    manifest, problems = running.prepared(_manifest(args))
    if args.dry_run:
        from scale_reasoning.cli.estimate import estimate

        print(estimate(manifest, problems))
        return 0
    with create(args.out / RUN, manifest, problems) as store:
        return _make(args, store)


def _readable_words(args: argparse.Namespace) -> None:
    """Reads the files of --layout and --student-prompts before a token is spent. Raises ConfigError."""
    from scale_reasoning.synth.trace import layout, student_prompts

    layout(args.layout)
    student_prompts(args.student_prompts)


def _one_source(args: argparse.Namespace) -> None:
    """Exactly one of what traces can come from, and a place for them. Raises ConfigError."""
    sources = {"--from": args.runs, "--dataset": args.dataset, "--resume": args.resume, "a recipe": args.recipe}
    named = [name for name, value in sources.items() if value]
    if len(named) != 1:
        raise ConfigError(f"traces come from one of {', '.join(sources)}; found {' and '.join(named) or 'none'}")
    if args.runs:
        evaluate.refuse(args, "--from", *(key for key in evaluate.SETTLED_BY_A_RUN if key != "out"))
    if args.out is None and not args.resume:
        raise ConfigError("--out DIR: say where the traces go")
    if args.bundle is None and (args.base_model or args.gpus):
        raise ConfigError("--base-model and --gpus say what a --bundle trains, and on what")


def _manifest(args: argparse.Namespace) -> Manifest:
    if args.recipe:
        evaluate.refuse(args, str(args.recipe), "split", "level", "problem_field", "answer_field")
        return evaluate.with_flags(manifests.read(args.recipe), args)
    return evaluate.manifest(args, args.dataset, [describe(evaluate.strategy_of(args))])


class _Target:
    """Enough problems solved for the number of traces wanted, as far as is known before they are filtered."""

    def __init__(self, store: Store, wanted: int | None) -> None:
        self.wanted = wanted
        self.solved: set[tuple[int, str]] = set()
        for cell in range(len(store.manifest.cells)):
            for outcome in store.outcomes(cell):
                self.heard(cell, outcome)

    def heard(self, cell: int, outcome: Outcome) -> None:
        if outcome.correct and not outcome.truncated:
            self.solved.add((cell, outcome.problem_id))

    def enough(self) -> bool:
        return self.wanted is not None and len(self.solved) >= self.wanted


def _make(args: argparse.Namespace, store: Store) -> int:
    """The run, and more of it as long as the filters leave too few and there is more."""
    target = _Target(store, args.target)
    again = f"scale synth --resume {args.out}"
    while True:
        code = running.work(args, store, again=again, after=f"the traces in {args.out}", goal=target)
        made = _filtered(args, [store.folder])
        missing = 0 if args.target is None else args.target - len(made.funnel.kept)
        if code or missing <= 0 or not target.enough():
            return _finish(args, made, code)
        target.wanted = len(target.solved) + missing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    collected: Collected
    filters: Filters
    funnel: Funnel


def _filtered(args: argparse.Namespace, folders: Sequence[Path]) -> _Made:
    from scale_reasoning.synth import funnel
    from scale_reasoning.synth.collect import collect
    from scale_reasoning.synth.filters import stages
    from scale_reasoning.synth.trace import layout

    filters = _filters(args)
    collected = collect(folders, layout(args.layout))
    return _Made(collected=collected, filters=filters, funnel=funnel.run(collected.candidates, stages(filters)))


def _filters(args: argparse.Namespace) -> Filters:
    from scale_reasoning.datasets import load
    from scale_reasoning.synth.filters import Filters

    folder = Path(args.data_dir) if args.data_dir else None
    said = {"max_tokens": args.max_tokens, "choose": args.choose, "target": args.target}
    return Filters(
        **{key: value for key, value in said.items() if value is not None},
        against={name: load(name, data_dir=folder).problems for name in args.decontaminate},
    )


def _finish(args: argparse.Namespace, made: _Made, code: int) -> int:
    """Writes the bundle, shows the funnel."""
    from scale_reasoning.synth import bundle, llamafactory
    from scale_reasoning.synth.trace import LIMO, layout, student_prompts

    student = student_prompts(args.student_prompts)
    kept_by = {key: getattr(made.filters, key) for key in ("max_tokens", "choose", "target")}
    settings: dict[str, JSON] = {
        "layout": layout(args.layout).fingerprint,
        "student_prompts": student.fingerprint,
        "filters": {**kept_by, "against": args.decontaminate},
    }
    files = bundle.write(args.out, made.funnel, made.collected.origins, student=student, settings=settings)
    if args.bundle:
        own = student_prompts(args.student_prompts or LIMO)
        llamafactory.write(
            args.out, made.funnel.kept, student=own, prompts_file=args.student_prompts,
            model=args.base_model or llamafactory.DEFAULT_MODEL, gpus=args.gpus or llamafactory.DEFAULT_GPUS,
        )  # fmt: skip
        files.append(f"{llamafactory.FOLDER}/")
    print(_table(made))
    print(f"{len(made.funnel.kept):,} traces in {args.out}: {', '.join(files)}")
    if args.push:
        from scale_reasoning.synth.push import push

        print(f"pushed to {push(args.out, args.push)}")
    return code or (0 if made.funnel.kept else 1)


def _table(made: _Made) -> str:
    from scale_reasoning.report.formats import Column, Grid, markdown

    origins = made.collected.origins
    columns = [Column(name="stage"), *(Column(name=name, number=True) for name in ("came", "dropped", "kept"))]
    rows = [[c.stage, f"{c.came:,}", f"{c.dropped:,}", f"{c.kept:,}"] for c in made.funnel.counts]
    planned, done = sum(origin.planned for origin in origins), sum(origin.made for origin in origins)
    note = f"{planned:,} attempts planned, {done:,} made; every dropped one is in dropped.jsonl with its reason"
    return markdown(Grid(columns=columns, rows=rows, notes=[note]))
