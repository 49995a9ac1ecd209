"""`scale synth`: traces to train on, from a run of its own or from runs that exist."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import chosen, estimate, options, recipes, running
from scale_reasoning.cli.manifest import change_manifest, make_manifest, require_unchanged
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.synth_flags import PUBLISHED, SynthFlags, add_flags, read_flags
from scale_reasoning.cli.traces import (
    FilteredRuns,
    check_problems,
    describe_reach,
    describe_target,
    filter_collected,
    filter_runs,
    list_allowed,
    make_table,
    make_target,
    write_bundle,
)
from scale_reasoning.errors import ConfigError
from scale_reasoning.printable import count
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.recipe import read as read_recipe

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store
    from scale_reasoning.synth.settings import SynthesisOptions

SAMPLES = 4


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "synth",
        help="traces to train on, filtered by answer; resumable",
        description="Solves the problems of a dataset, or reads runs, and writes the solutions with the right answer "
        "as rows to train on; what is dropped is kept beside them with its reason. Exit codes: 0 done, 1 attempts are "
        "pending or nothing was kept, 2 usage or configuration.",
    )
    add_flags(parser)
    parser.set_defaults(run=run_synth)


def run_synth(args: argparse.Namespace) -> int:
    """Makes or reads runs, filters, writes the bundle; 1 when attempts are pending or nothing was kept."""
    flags = read_flags(args)
    if flags.push:
        from scale_reasoning.synth import push

        push.check(flags.push)
    if PUBLISHED in flags.dataset:
        return _filter_published(flags)
    if flags.runs:
        return _filter_existing(flags)
    return _resume(flags) if flags.resume else _start(flags)


# The sources


def _filter_existing(flags: SynthFlags) -> int:
    from scale_reasoning.synth.splits import require_allowed

    settings = _make_settings(flags)
    filtered = filter_runs(settings, flags.runs)
    require_allowed(filtered.collected.evaluations, allow=settings.allow_test_split)
    return _write_filtered(flags, settings, filtered)


def _filter_published(flags: SynthFlags) -> int:
    from scale_reasoning.synth.published import collect_published
    from scale_reasoning.synth.trace import read_layout

    settings, data = _make_settings(flags), flags.run.data
    collected = collect_published(
        read_layout(settings.layout),
        data_dir=Path(data.data_dir) if data.data_dir else None,
        revision=flags.revision,
        part=data.split,
        count=data.count,
    )
    return _write_filtered(flags, settings, filter_collected(settings, collected))


def _write_filtered(flags: SynthFlags, settings: SynthesisOptions, filtered: FilteredRuns) -> int:
    if flags.run.dry_run:
        print(f"{make_table(filtered)}\n{len(filtered.funnel.kept):,} traces would be kept; nothing was written")
        _explain_empty(filtered)
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
        lines = [*describe_target(settings), *describe_reach(manifest, problems, settings)]
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
        lines = [estimate.estimate_rest(flags.folder), *describe_target(settings, len(filtered.funnel.kept))]
        print("\n".join(lines))
        return 0
    with running.open_resumed(flags.folder, flags.run.name) as store:
        store.remember(settings.to_json())
        return _make(flags, settings, store, filtered)


def _make_manifest(flags: SynthFlags, settings: SynthesisOptions) -> Manifest:
    from scale_reasoning.synth.splits import use_train_split

    if flags.recipe:
        name = str(flags.recipe)
        manifest = change_manifest(read_recipe(recipes.locate(name)), flags.run, name)
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
    print(f"{count(kept, 'trace')} in {flags.out}: {', '.join(files)}")
    _explain_empty(filtered)
    if settings.target is not None and kept < settings.target and not code:
        options.say(f"{count(kept, 'trace')}: fewer than the target of {settings.target:,}, and no attempt is left "
                    "that could add one")  # fmt: skip
    if flags.push:
        from scale_reasoning.synth.push import push

        print(f"pushed to {push(flags.out, flags.push)}")
    return code or (0 if kept else 1)


def _explain_empty(filtered: FilteredRuns) -> None:
    """Says which stage left nothing, where nothing is left."""
    from scale_reasoning.synth.funnel import explain_empty

    if not filtered.funnel.kept:
        options.say(f"no trace was kept: {explain_empty(filtered.funnel)}")
