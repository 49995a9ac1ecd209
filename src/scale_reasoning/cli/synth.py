"""`scale synth`: reasoning traces to train on, from a run of its own or from evaluations already paid for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_reasoning.cli import chosen, dry, evaluate, running
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.traces import Made, filtered, finish, limits_of, table
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.strategies import describe

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store
    from scale_reasoning.synth.settings import SynthesisOptions
    from scale_reasoning.synth.target import Target
    from scale_reasoning.types import Problem

SAMPLES = 4
_OF_CALLS = ("base_url", "system1_base_url", "api_key_env", "ray", "ray_workers", "attempts_in_flight", "no_reuse")
RUN = "run"
"""The folder of a bundle that holds the run it was made from."""


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("synth", help="reasoning traces to train on, filtered by answer; resumable")
    parser.add_argument("recipe", nargs="?", type=Path, help="a recipe (.toml) or manifest (.json) of the run to make")
    add = parser.add_argument
    add("--dataset", nargs="+", metavar="NAME", help="problems: limo, limo-v2, arithmetic, a file, a name on the Hub")
    add("--from", dest="runs", nargs="+", type=Path, metavar="RUN", help="take runs already made instead of a new one")
    add("--resume", type=Path, metavar="OUT", help="resume the run in OUT with its settings, then filter again")
    evaluate.add_run(parser)
    group = parser.add_argument_group("traces")
    add = group.add_argument
    add("--target", type=int, metavar="N", help="traces wanted: no more attempts are started than that can need")
    add("--max-tokens", type=int, metavar="N", help="longest trace in response tokens (default 16384)")
    add("--choose", metavar="RULE", help="which trace of a problem: fewest tokens (default), most, first, all")
    add("--decontaminate", nargs="+", metavar="NAME", help="further datasets or files to keep out")
    add("--layout", metavar="FILE", help="how a trace reads, instead of trace.md's sections")
    add("--student-prompts", metavar="FILE", help="a CoT prompts file: what the student is asked")
    add("--bundle", choices=("llamafactory",), help="a folder for another trainer as well")
    add("--base-model", metavar="MODEL", help="the model that the bundle trains (default Qwen/Qwen2.5-32B-Instruct)")
    add("--gpus", type=int, metavar="N", help="GPUs that the bundle trains on (default 8)")
    add("--allow-test-split", action="store_true", default=None, help="take a test split's or a benchmark's problems")
    add("--overwrite", action="store_true", help="replace the traces that are in OUT")
    add("--push", metavar="OWNER/NAME", help="put the bundle on the Hub as a private dataset")
    parser.set_defaults(run=run_synth)


def run_synth(args: argparse.Namespace) -> int:
    """Makes or reads runs, filters, writes the bundle; 1 when attempts are pending or nothing was kept."""
    _one_source(args)
    evaluate.refuse_contradictions(args)
    if args.push:
        from scale_reasoning.synth import push

        push.check(args.push)
    if args.runs:
        return _from_runs(args)
    return _resumed(args) if args.resume else _begun(args)


def _one_source(args: argparse.Namespace) -> None:
    """Exactly one of what traces can come from, and a place for them. Raises ConfigError."""
    sources = {"--from": args.runs, "--dataset": args.dataset, "--resume": args.resume, "a recipe": args.recipe}
    named = [name for name, value in sources.items() if value]
    if len(named) != 1:
        raise ConfigError(f"traces come from one of {', '.join(sources)}; found {' and '.join(named) or 'none'}")
    if args.runs:
        evaluate.refuse(args, "--from", *(key for key in evaluate.SETTLED_BY_A_RUN if key not in ("out", "data_dir")))
        for name in _OF_CALLS:
            if getattr(args, name):
                raise ConfigError(f"--{name.replace('_', '-')}: --from makes no calls")
    if args.out is None and not args.resume:
        raise ConfigError("--out DIR: say where the traces go")


# The three sources


def _from_runs(args: argparse.Namespace) -> int:
    from scale_reasoning.synth.splits import require_allowed

    settings = _settings(args)
    made = filtered(settings, args.runs)
    require_allowed(made.collected.evaluations, allow=settings.allow_test_split)
    if args.dry_run:
        print(f"{table(made)}\n{len(made.funnel.kept):,} traces would be kept; nothing was written")
        return 0
    _check(args, settings, made)
    return finish(args, settings, made, code=0)


def _begun(args: argparse.Namespace) -> int:
    from scale_reasoning.runs.store import create

    settings = _settings(args)
    _vacant(args, settings)
    args.samples = args.samples or (None if args.recipe else SAMPLES)
    manifest = _manifest(args, settings)
    _evaluation(manifest, {}, settings)  # what names alone tell, before anything is loaded
    manifest, problems = running.prepared(running.named(args, manifest))
    _check_problems(manifest, problems, settings)
    if args.dry_run:
        from scale_reasoning.cli.estimate import estimate

        print("\n".join([estimate(manifest, problems), *_until(settings)]))
        return 0
    with create(args.out / RUN, manifest, problems) as store:
        return _make(args, settings, store)


def _resumed(args: argparse.Namespace) -> int:
    """With the settings that the run remembers; others need --overwrite, for they replace the traces."""
    if args.out not in (None, args.resume):
        raise ConfigError(f"--out {args.out}: the traces of --resume {args.resume} go there; to put them elsewhere, "
                          f"scale synth --from {args.resume / RUN} --out {args.out}")  # fmt: skip
    args.out = args.resume
    from scale_reasoning.runs.store import reading

    with reading(args.out / RUN) as store:
        evaluate.require_unchanged(args, store.manifest)
        settings = _remembered(args, store.manifest)
    made = filtered(settings, [args.out / RUN])
    _check(args, settings, made)
    if args.dry_run:
        print("\n".join([dry.left(args.out / RUN), *_until(settings, len(made.funnel.kept))]))
        return 0
    with running.resumed(args.out / RUN) as store:
        store.remember(settings.to_json())
        return _make(args, settings, store, made)


def _manifest(args: argparse.Namespace, settings: SynthesisOptions) -> Manifest:
    from scale_reasoning.synth.splits import use_train_split

    if args.recipe:
        evaluate.refuse(args, str(args.recipe), "split", "level", "problem_field", "answer_field")
        manifest = evaluate.with_flags(manifests.read(args.recipe), args)
    else:
        manifest = evaluate.manifest(args, args.dataset, [describe(chosen.strategy(args))])
    return replace(use_train_split(manifest), synthesis=settings.to_json())


# SynthesisOptions


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the traces that the command line names."""
    from scale_reasoning.synth.settings import SynthesisOptions

    given = {each.name: getattr(args, each.name) for each in fields(SynthesisOptions)}
    given["decontaminate"] = None if args.decontaminate is None else tuple(args.decontaminate)
    return {key: value for key, value in given.items() if value is not None}


def _settings(args: argparse.Namespace) -> SynthesisOptions:
    from scale_reasoning.synth.settings import SynthesisOptions

    settings = SynthesisOptions(**_given(args)).fill_defaults()
    settings.check_files()
    return settings


def _remembered(args: argparse.Namespace, manifest: Manifest) -> SynthesisOptions:
    """What the run remembers, with what the command line changes. Raises ConfigError for a change unasked."""
    from scale_reasoning.synth import settings as synthesis
    from scale_reasoning.synth.bundle import read_previous

    given = _given(args)
    if manifest.synthesis:
        before = synthesis.decode(manifest.synthesis, args.out / RUN)
    else:  # a run from before runs remembered their settings
        unnamed = {} if given.keys() & {"layout", "student_prompts"} else read_previous(args.out) or {}
        before = synthesis.read_from_bundle(unnamed, args.out)
    now = replace(before, **given).fill_defaults()
    now.check_files()
    changed = synthesis.list_changes(before, now)
    if changed and manifest.synthesis and not args.overwrite:
        raise ConfigError(f"{args.out}: {'; '.join(changed)}: add --overwrite to replace its traces by others, or take "
                          f"them elsewhere: scale synth --from {args.out / RUN} --out DIR")  # fmt: skip
    return now


def _vacant(args: argparse.Namespace, settings: SynthesisOptions) -> None:
    """Raises ConfigError where a run has begun in OUT, or there is something that would be replaced."""
    from scale_reasoning.synth import bundle

    if (args.out / RUN).exists():
        raise ConfigError(
            f"--out {args.out}: its run has begun: scale synth --resume {args.out}, or name another folder"
        )
    bundle.check(args.out, settings.describe(), (), overwrite=args.overwrite)


def _check(args: argparse.Namespace, settings: SynthesisOptions, made: Made) -> None:
    """Raises ConfigError where the traces must not be written."""
    from scale_reasoning.synth import bundle

    bundle.check(args.out, settings.describe(), made.collected.origins, overwrite=args.overwrite)


def _evaluation(
    manifest: Manifest, problems: Mapping[str, Sequence[Problem]], settings: SynthesisOptions
) -> frozenset[str]:
    """The benchmarks that rows may come from. Raises ConfigError for evaluation problems that are not allowed."""
    from scale_reasoning.synth.splits import find_evaluation, require_allowed

    specs = dict.fromkeys(cell.dataset for cell in manifest.cells)
    found = [find_evaluation(manifest, spec, problems.get(spec.name, ())) for spec in specs]
    return require_allowed(filter(None, found), allow=settings.allow_test_split)


def _check_problems(manifest: Manifest, problems: Mapping[str, Sequence[Problem]], settings: SynthesisOptions) -> None:
    """Refuses evaluation problems, and says how many problems can give no trace."""
    from scale_reasoning.synth.contamination import make_judge

    allowed = _evaluation(manifest, problems, settings)
    reason = make_judge(limits_of(settings).against, allowed)
    useless = sum(reason(problem.text) is not None for listed in problems.values() for problem in listed)
    if useless:
        print(f"scale: {useless:,} of {sum(map(len, problems.values())):,} problems share a passage with one that is "
              "kept out; no trace of theirs is kept", file=sys.stderr)  # fmt: skip


def _until(settings: SynthesisOptions, kept: int = 0) -> list[str]:
    if settings.target is None:
        return []
    missing = max(0, settings.target - kept)
    return [f"{kept:,} of {settings.target:,} traces so far; no more is started than the {missing:,} missing can need"]


# The run and its traces


def _make(args: argparse.Namespace, settings: SynthesisOptions, store: Store, made: Made | None = None) -> int:
    """The run, and more of it as long as the filters leave too few and there is more."""
    from scale_reasoning.runs.run import needed

    target = _target(settings, store)
    if target and made:
        target.settle(made.funnel)
    again = f"scale synth --resume {args.out}"
    while True:
        code = running.work(args, store, again=again, after=f"the traces in {args.out}", goal=target)
        made = filtered(settings, [store.folder])
        if target is None:
            return finish(args, settings, made, code)
        target.settle(made.funnel)
        if code or not needed(store, target):
            return finish(args, settings, made, code)


def _target(settings: SynthesisOptions, store: Store) -> Target | None:
    if settings.target is None:
        return None
    from scale_reasoning.synth.collect import find_evaluations
    from scale_reasoning.synth.contamination import make_judge
    from scale_reasoning.synth.target import Target

    allowed = {name for each in find_evaluations(store) for name in each.benchmarks if settings.allow_test_split}
    reason = make_judge(limits_of(settings).against, allowed)
    names = dict.fromkeys(cell.dataset.name for cell in store.manifest.cells)
    hopeless = [(name, problem.id) for name in names for problem in store.problems(name) if reason(problem.text)]
    return Target(store, settings.target, every=settings.choose == "all", hopeless=hopeless)
