"""`scale synth`: traces to train on, from a run of its own or from runs that exist."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_reasoning.cli import chosen, estimate, options, recipes, running
from scale_reasoning.cli.flags import RunFlags, name_flag
from scale_reasoning.cli.manifest import change_manifest, make_manifest, refuse, require_unchanged
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.traces import (
    FilteredRuns,
    check_problems,
    describe_reach,
    filter_runs,
    list_allowed,
    make_table,
    make_target,
    write_bundle,
)
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs.manifest import Manifest

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store
    from scale_reasoning.synth.settings import SynthesisOptions

SAMPLES = 4
RUN = "run"
"""The folder of a bundle that holds the run it was made from."""
CALL_KEYS = (
    "base_url", "system1_base_url", "api_key_env", "ray", "ray_workers", "attempts_in_flight", "no_reuse",
    "max_tokens_total", "max_cost", "prices",
)  # fmt: skip
"""Flags that say how calls are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthFlags:
    """What one command line asks for: the source of the traces, their settings as far as given, where they go.

    The source is `runs` that exist, a new run on every `dataset` or of a `recipe`, or the run in `out` (`resume`).
    """

    run: RunFlags
    runs: tuple[Path, ...]
    dataset: tuple[str, ...]
    recipe: Path | None
    resume: bool
    out: Path
    settings: Mapping[str, Any]
    overwrite: bool
    push: str | None

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out / RUN


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser("synth", help="traces to train on, filtered by answer; resumable")
    parser.add_argument("recipe", nargs="?", type=Path, help="a recipe (a name of `scale list recipes`, or "
                        ".toml) or manifest (.json) of the run to make")  # fmt: skip
    add = parser.add_argument
    add("--dataset", nargs="+", metavar="NAME", help="problems: limo, limo-v2, arithmetic, a file, a name on the Hub")
    add("--from", dest="runs", nargs="+", type=Path, metavar="RUN", help="use existing runs instead of a new one")
    add("--resume", type=Path, metavar="OUT", help="resume the run in OUT with its settings, then filter again")
    options.add_run(parser)
    group = parser.add_argument_group("traces")
    add = group.add_argument
    add("--target", type=int, metavar="N", help="traces wanted; starts no more attempts than that can need")
    add("--filters", nargs="+", metavar="STAGE", help="stages that are on: all (default), or answer (as in the paper: "
        "only the answer counts) and any others; see docs/synthesis.md")  # fmt: skip
    add("--max-tokens", type=int, metavar="N", help="longest trace in response tokens (default: with its prompt, the "
        "window that the recipes for Table 3 train on, 32768)")  # fmt: skip
    add("--choose", metavar="RULE", help="which trace of a problem: fewest tokens (default), most, first, all")
    add("--decontaminate", nargs="+", metavar="NAME", help="more datasets or files whose problems are kept out")
    add("--layout", metavar="FILE", help="the layout of a trace, instead of trace.md's sections")
    add("--student-prompts", metavar="FILE", help="a CoT prompts file, or limo: the prompt that the student gets")
    add("--bundle", choices=("llamafactory",), help="also write a folder for another trainer")
    add("--base-model", metavar="MODEL", help="the model that the bundle trains (default Qwen/Qwen2.5-32B-Instruct)")
    add("--template", metavar="NAME", help="the bundle's chat template (default: by the base model's name)")
    add("--gpus", type=int, metavar="N", help="GPUs that the bundle trains on (default 8)")
    add("--allow-test-split", action="store_true", default=None, help="use problems of test splits and benchmarks")
    add("--overwrite", action="store_true", help="replace the traces that are in OUT")
    add("--push", metavar="OWNER/NAME", help="put the bundle on the Hub as a private dataset")
    parser.set_defaults(run=run_synth)


def run_synth(args: argparse.Namespace) -> int:
    """Makes or reads runs, filters, writes the bundle; 1 when attempts are pending or nothing was kept."""
    flags = _read_flags(args)
    if flags.push:
        from scale_reasoning.synth import push

        push.check(flags.push)
    if flags.runs:
        return _filter_existing(flags)
    return _resume(flags) if flags.resume else _start(flags)


def _read_flags(args: argparse.Namespace) -> SynthFlags:
    """The flags, with exactly one source of traces and a folder for them. Raises ConfigError."""
    from scale_reasoning.synth.settings import SynthesisOptions

    sources = {"--from": args.runs, "--dataset": args.dataset, "--resume": args.resume, "a recipe": args.recipe}
    named = [name for name, value in sources.items() if value]
    if len(named) != 1:
        raise ConfigError(f"traces come from one of {', '.join(sources)}; found {' and '.join(named) or 'none'}")
    calls = [name_flag(key) for key in CALL_KEYS if getattr(args, key)]
    if args.runs and calls:
        raise ConfigError(f"{calls[0]}: --from makes no calls; leave the flag out")
    run = options.read_run(args)
    if args.runs:
        refuse(run, "--from", [key for _, key, _ in run.list_fixed() if key != "data_dir"])
    out = args.out or args.resume
    if out is None:
        raise ConfigError("--out DIR: name the folder for the traces")
    if args.resume not in (None, out):
        raise ConfigError(f"--out {out}: the traces of --resume {args.resume} go there; to put them elsewhere, "
                          f"scale synth --from {args.resume / RUN} --out {out}")  # fmt: skip
    settings = {each.name: getattr(args, each.name) for each in fields(SynthesisOptions)}
    for key in ("filters", "decontaminate"):
        settings[key] = None if settings[key] is None else tuple(settings[key])
    if args.max_tokens and args.filters and not {"all", "length"} & set(args.filters):
        raise ConfigError(f"--max-tokens {args.max_tokens}: the stage length is off; add it: --filters "
                          f"{' '.join(args.filters)} length")  # fmt: skip
    return options.read(
        SynthFlags,
        args,
        run=run,
        runs=tuple(args.runs or ()),
        dataset=tuple(args.dataset or ()),
        resume=args.resume is not None,
        out=out,
        settings={key: value for key, value in settings.items() if value is not None},
    )


# The three sources


def _filter_existing(flags: SynthFlags) -> int:
    from scale_reasoning.synth.splits import require_allowed

    settings = _make_settings(flags)
    filtered = filter_runs(settings, flags.runs)
    require_allowed(filtered.collected.evaluations, allow=settings.allow_test_split)
    if flags.run.dry_run:
        print(f"{make_table(filtered)}\n{len(filtered.funnel.kept):,} traces would be kept; nothing was written")
        return 0
    _check_bundle(flags, settings, filtered)
    return _finish(flags, settings, filtered, code=0)


def _start(flags: SynthFlags) -> int:
    from scale_reasoning.runs.store import create

    settings = _make_settings(flags)
    if flags.folder.exists():
        raise ConfigError(
            f"--out {flags.out}: its run exists already: scale synth --resume {flags.out}, or name another folder"
        )
    _check_bundle(flags, settings, None)
    manifest = _make_manifest(flags, settings)
    list_allowed(manifest, {}, settings)  # as far as names alone show it, before anything is loaded
    manifest, problems = running.prepare_new(flags.run, manifest)
    check_problems(manifest, problems, settings)
    if flags.run.dry_run:
        lines = [*_describe_target(settings), *describe_reach(manifest, problems, settings)]
        print("\n".join([estimate.estimate(manifest, problems), *lines]))
        return 0
    with create(flags.folder, manifest, problems) as store:
        return _make(flags, settings, store)


def _resume(flags: SynthFlags) -> int:
    """Uses the settings that the run stores; others need --overwrite, because they replace the traces."""
    from scale_reasoning.runs.store import reading

    with reading(flags.folder) as store:
        require_unchanged(flags.run, store.manifest)
        settings = _restore_settings(flags, store.manifest)
    filtered = filter_runs(settings, [flags.folder])
    _check_bundle(flags, settings, filtered)
    if flags.run.dry_run:
        lines = [estimate.estimate_rest(flags.folder), *_describe_target(settings, len(filtered.funnel.kept))]
        print("\n".join(lines))
        return 0
    with running.open_resumed(flags.folder) as store:
        store.remember(settings.to_json())
        return _make(flags, settings, store, filtered)


def _make_manifest(flags: SynthFlags, settings: SynthesisOptions) -> Manifest:
    from scale_reasoning.synth.splits import use_train_split

    if flags.recipe:
        name = str(flags.recipe)
        manifest = change_manifest(manifests.read(recipes.locate(name)), flags.run, name)
    else:
        run = replace(flags.run, samples=flags.run.samples or SAMPLES)
        manifest = make_manifest(run, flags.dataset, [chosen.make_strategy(run.strategy)])
    return replace(use_train_split(manifest), synthesis=settings.to_json())


# Settings


def _make_settings(flags: SynthFlags) -> SynthesisOptions:
    from scale_reasoning.synth.settings import SynthesisOptions

    settings = SynthesisOptions(**flags.settings).fill_defaults()
    settings.check_files()
    return settings


def _restore_settings(flags: SynthFlags, manifest: Manifest) -> SynthesisOptions:
    """The run's stored settings, with what flags change. Raises ConfigError for a change without --overwrite."""
    from scale_reasoning.synth import settings as synthesis
    from scale_reasoning.synth.bundle import read_previous

    if manifest.synthesis:
        before = synthesis.decode(manifest.synthesis, flags.folder)
    else:  # an old run, which stores no settings
        unnamed = {} if flags.settings.keys() & {"layout", "student_prompts"} else read_previous(flags.out) or {}
        before = synthesis.read_from_bundle(unnamed, flags.out)
    now = replace(before, **flags.settings).fill_defaults()
    now.check_files()
    changes = synthesis.list_changes(before, now)
    if changes and manifest.synthesis and not flags.overwrite:
        raise ConfigError(f"{flags.out}: {'; '.join(changes)}: add --overwrite to replace its traces, or write "
                          f"new ones elsewhere: scale synth --from {flags.folder} --out DIR")  # fmt: skip
    return now


def _check_bundle(flags: SynthFlags, settings: SynthesisOptions, filtered: FilteredRuns | None) -> None:
    """Raises ConfigError where the traces must not be written."""
    from scale_reasoning.synth import bundle

    origins = filtered.collected.origins if filtered else ()
    bundle.check(flags.out, settings.describe(), origins, overwrite=flags.overwrite)


def _describe_target(settings: SynthesisOptions, kept: int = 0) -> list[str]:
    if settings.target is None:
        return []
    missing = max(0, settings.target - kept)
    return [f"{kept:,} of {settings.target:,} traces so far; starts no more attempts than {missing:,} traces can need"]


# The run and its traces


def _make(flags: SynthFlags, settings: SynthesisOptions, store: Store, filtered: FilteredRuns | None = None) -> int:
    """Works on the run until the filters keep enough traces or no attempt is left, then writes the bundle."""
    from scale_reasoning.runs.run import needed

    target = make_target(settings, store)
    if target and filtered:
        target.settle(filtered.funnel)
    again = f"scale synth --resume {flags.out}"
    while True:
        code = running.work(flags.run, store, again=again, after=f"the traces in {flags.out}", goal=target)
        filtered = filter_runs(settings, [store.folder])
        if target is not None:
            target.settle(filtered.funnel)
        if target is None or code or not needed(store, target):
            return _finish(flags, settings, filtered, code)


def _finish(flags: SynthFlags, settings: SynthesisOptions, filtered: FilteredRuns, code: int) -> int:
    """Writes the bundle, prints the funnel, and puts the bundle on the Hub if a flag says so."""
    kept = len(filtered.funnel.kept)
    files = write_bundle(flags.out, settings, filtered)
    print(make_table(filtered))
    print(f"{kept:,} traces in {flags.out}: {', '.join(files)}")
    if settings.target is not None and kept < settings.target and not code:
        options.say(f"{kept:,} traces are fewer than the target of {settings.target:,}, and no attempt is left that "
                    "could add one")  # fmt: skip
    if flags.push:
        from scale_reasoning.synth.push import push

        print(f"pushed to {push(flags.out, flags.push)}")
    return code or (0 if kept else 1)
