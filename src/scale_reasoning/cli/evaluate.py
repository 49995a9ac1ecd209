"""`scale eval` and `scale sweep`: whole runs, which can be interrupted and resumed at any time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import chosen, estimate, options, recipes, running
from scale_reasoning.cli.flags import RunFlags
from scale_reasoning.cli.manifest import change_manifest, make_manifest, require_unchanged
from scale_reasoning.cli.options import Commands
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.recipe import read as read_recipe

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store


def add(commands: Commands) -> None:
    """Adds the verbs."""
    evaluate = commands.add_parser("eval", help="evaluate strategies on datasets; resumable")
    evaluate.add_argument("what", nargs="*", help="dataset names or files, or one recipe (a name of "
                          "`scale list recipes`, or .toml) or manifest (.json)")  # fmt: skip
    evaluate.add_argument("--resume", type=Path, metavar="RUN", help="resume a run with its settings")
    _add_take_from(evaluate)
    options.add_run(evaluate, several=True)
    evaluate.set_defaults(run=run_eval)
    sweep = commands.add_parser("sweep", help="evaluate at several values of an option; shared calls are paid once")
    sweep.add_argument("option", help="tau, system2-max-tokens, or any other option of the strategy")
    sweep.add_argument("values", nargs="+", help="its values")
    sweep.add_argument("--dataset", nargs="+", required=True, metavar="NAME", help="dataset names or files")
    _add_take_from(sweep)
    options.add_run(sweep)
    sweep.set_defaults(run=run_sweep)


def _add_take_from(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--take-from",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="start with the completions that RUN has paid for; once for each run",
    )


def run_eval(args: argparse.Namespace) -> int:
    """Starts or resumes a run; exit code 1 when attempts are pending."""
    flags, what = options.read_run(args), tuple(args.what)
    if args.resume is not None:
        if args.take_from:
            raise ConfigError("--take-from: only a new run can start with completions of others; leave out --resume")
        return _resume(args.resume, what, flags)
    manifest, title = _read_what(what, flags)
    return _start(manifest, title, flags, args.take_from)


def run_sweep(args: argparse.Namespace) -> int:
    """Runs one cell per value, over one journal with one seed."""
    flags, key = options.read_run(args), args.option.replace("-", "_")
    if key in flags.strategy.options:
        raise ConfigError(f"--{args.option}: the sweep sets this option; leave the flag out")
    settings = ((*flags.strategy.settings, f"{key}={value}") for value in args.values)
    strategies = [chosen.make_strategy(replace(flags.strategy, settings=each)) for each in settings]
    manifest = make_manifest(flags, args.dataset, strategies)
    return _start(manifest, f"sweep-{args.option}", flags, args.take_from)


def _read_what(what: Sequence[str], flags: RunFlags) -> tuple[Manifest, str]:
    """The manifest of what is named (datasets, or one recipe or manifest), and a title for its folder."""
    if not what:
        raise ConfigError("what to evaluate? name a dataset, a recipe, or --resume RUN")
    for name in what:
        if (file := recipes.find_run(name)) is None:
            continue
        if len(what) > 1:
            raise ConfigError(f"{name}: name only one recipe or manifest")
        return change_manifest(read_recipe(file), flags, name), file.stem
    manifest = make_manifest(flags, what, chosen.make_strategies(flags.strategy))
    names = dict.fromkeys(str(cell.strategy["name"]) for cell in manifest.cells)
    return manifest, "-".join([*(Path(name).stem for name in what), *names])


def _start(manifest: Manifest, title: str, flags: RunFlags, take_from: Sequence[Path]) -> int:
    """Makes a new run in a folder of its own."""
    from scale_reasoning.runs.merge import start_from
    from scale_reasoning.runs.store import create, resume

    if flags.out is not None:
        _require_free(flags.out)
    manifest, problems = running.prepare_new(flags, manifest)
    if flags.dry_run:
        print(estimate.estimate(manifest, problems))
        return 0
    out = flags.out or running.choose_folder(flags.name or title)
    if not take_from:
        with create(out, manifest, problems) as store:
            return _work(flags, store)
    start_from(take_from, out, manifest, problems)
    with resume(out) as store:
        return _work(flags, store)


def _resume(folder: Path, what: Sequence[str], flags: RunFlags) -> int:
    """Makes what is left of the run in `folder`."""
    from scale_reasoning.runs.folder import read_manifest

    if what:
        raise ConfigError("--resume: takes no dataset or recipe; the run has its own manifest")
    if flags.out not in (None, folder):
        raise ConfigError(f"--out {flags.out}: --resume {folder} writes into the run's own folder; leave --out away")
    manifest = read_manifest(folder)
    if manifest.synthesis:
        raise ConfigError(f"--resume {folder}: scale synth made this run, with a target of its own: "
                          f"scale synth --resume {folder.parent}")  # fmt: skip
    if manifest.tuning is not None:
        raise ConfigError(f"--resume {folder}: scale tune made this run and drops rows of it: "
                          f"scale tune --resume {folder}")  # fmt: skip
    require_unchanged(flags, manifest)
    if flags.dry_run:
        print(estimate.estimate_rest(folder))
        return 0
    with running.open_resumed(folder, flags.name) as store:
        return _work(flags, store)


def _work(flags: RunFlags, store: Store) -> int:
    folder = store.folder
    return running.work(flags, store, again=f"scale eval --resume {folder}", after=f"scale report {folder}")


def _require_free(out: Path) -> None:
    """Raises ConfigError where the folder has a run already, or a file that one would replace."""
    from scale_reasoning.runs.folder import DATABASE, MANIFEST

    if (out / DATABASE).exists():
        raise ConfigError(f"--out {out}: it holds a run already: scale eval --resume {out}, or name another folder")
    if (out / MANIFEST).exists():
        raise ConfigError(f"--out {out}: its {MANIFEST} would be replaced; name another folder")
