"""`scale eval` and `scale sweep`: whole runs, to be interrupted anywhere and gone on with."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli import chosen, dry, options, running
from scale_reasoning.cli.options import Commands
from scale_reasoning.cli.place import here, require_system1
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs import manifest as manifests
from scale_reasoning.runs import shard as shards
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest, ModelSpec
from scale_reasoning.runs.shard import Shard
from scale_reasoning.strategies import describe, flags
from scale_reasoning.types import JSON

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store


SETTLED_BY_A_RUN = (
    "samples", "seed", "shard", "out", "limit", "data_dir", "split", "level", "grader", "problem_field", "answer_field",
    "model", "system1_model", "profile", "profiles", "window", "temperature", "top_p",
)  # fmt: skip
"""Flags that change what a run asks; where its servers are, keys, limits and time-outs may change."""
_OF_DATA = ("data_dir", "split", "level", "problem_field", "answer_field")
_OF_MODEL = ("model", "system1_model", "profile", "window", "temperature", "top_p")


def add(commands: Commands) -> None:
    """Adds the verbs."""
    evaluate = commands.add_parser("eval", help="evaluate strategies on datasets; resumable")
    evaluate.add_argument("what", nargs="*", help="dataset names or files, or one recipe (.toml) or manifest (.json)")
    evaluate.add_argument("--resume", type=Path, metavar="RUN", help="resume a run with its settings")
    add_run(evaluate, several=True)
    evaluate.set_defaults(run=run_eval)
    sweep = commands.add_parser("sweep", help="evaluate at several values of an option; shared calls are paid once")
    sweep.add_argument("option", help="tau, system2-max-tokens, or any setting of the strategy")
    sweep.add_argument("values", nargs="+", help="its values")
    sweep.add_argument("--dataset", nargs="+", required=True, metavar="NAME", help="dataset names or files")
    add_run(sweep)
    sweep.set_defaults(run=run_sweep)


def add_run(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Flags of the verbs that make a run."""
    add = parser.add_argument
    add("--out", type=Path, metavar="RUN", help="the run's folder (default runs/NAME-TIME)")
    add("--samples", type=int, metavar="N", help="attempts a problem (default 8); vote's: --set samples=N")
    add("--limit", type=int, metavar="N", help="the first N problems of each dataset")
    add("--data-dir", metavar="DIR", help="read DIR/NAME.jsonl instead of the Hub")
    add("--split", help="split of a dataset (arithmetic: train, validation, test)")
    add("--level", help="level of arithmetic: easy, medium, hard")
    add("--problem-field", metavar="NAME", help="field of the problem's text in your own file")
    add("--answer-field", metavar="NAME", help="field of the gold answer in your own file")
    add("--grader", metavar="NAME", help="integer or symbolic (default: as each gold answer asks)")
    add("--no-reuse", action="store_true", help="never serve a call by a reply to another token limit")
    add(
        "--attempts-in-flight",
        type=running.attempts,
        metavar="N",
        help="attempts at a time (default 1024, on llama.cpp here 4)",
    )
    add("--shard", metavar="I/N", help="only share I of N, to be merged with the others' (scale merge)")
    add("--ray", metavar="ADDRESS", help="make the attempts on Ray: auto, local or ray://HOST:PORT")
    add("--ray-workers", type=int, metavar="N", help="processes of Ray that make them (default 4)")
    add("--dry-run", action="store_true", help="print what would run (attempts, calls, tokens), call and write nothing")
    add("--trust-manifest", action="store_true", help="send keys to the servers that a manifest or recipe names")
    options.add_strategy(parser, without=("samples",), several=several)
    options.add_connection(parser)
    parser.set_defaults(seed=None)  # so that what was said is told from what was not


def run_eval(args: argparse.Namespace) -> int:
    """Starts or resumes a run; exit code 1 when attempts are pending."""
    refuse_contradictions(args)
    if args.resume is not None:
        return _resumed(args)
    if not args.what:
        raise ConfigError("what to evaluate? name a dataset, a recipe, or --resume RUN")
    file = Path(args.what[0])
    if file.suffix == ".toml" or file.name.endswith("manifest.json"):
        if len(args.what) > 1:
            raise ConfigError(f"{file}: one recipe or manifest at a time")
        refuse(args, str(file), "split", "level", "problem_field", "answer_field")
        return start(args, with_flags(manifests.read(file), args), file.stem)
    strategies = [describe(each) for each in chosen.strategies(args)]
    named = "-".join(
        [*(Path(name).stem for name in args.what), *dict.fromkeys(str(each["name"]) for each in strategies)]
    )
    return start(args, manifest(args, args.what, strategies), named)


def _resumed(args: argparse.Namespace) -> int:
    from scale_reasoning.runs.folder import read_manifest

    if args.what:
        raise ConfigError("--resume: takes no dataset or recipe, the run has its own manifest")
    if args.out not in (None, args.resume):
        raise ConfigError(f"--out {args.out}: --resume {args.resume} resumes the run in its own folder")
    before = read_manifest(args.resume)
    if before.synthesis:
        raise ConfigError(f"--resume {args.resume}: traces are made from this run, and a resume keeps to their target: "
                          f"scale synth --resume {args.resume.parent}")  # fmt: skip
    require_unchanged(args, before)
    if args.dry_run:
        print(dry.left(args.resume))
        return 0
    with running.resumed(args.resume) as store:
        return _work(args, store)


def run_sweep(args: argparse.Namespace) -> int:
    """One cell a value, over one journal with one seed."""
    refuse_contradictions(args)
    option = args.option.replace("-", "_")
    strategies: list[dict[str, JSON]] = []
    for value in args.values:
        again = argparse.Namespace(**{**vars(args), "set": [*args.set, f"{option}={value}"]})
        if getattr(args, option, None) is not None:
            raise ConfigError(f"--{args.option}: is what the sweep sets")
        strategies.append(describe(chosen.strategy(again)))
    return start(args, manifest(args, args.dataset, strategies), f"sweep-{args.option}")


def require_unchanged(args: argparse.Namespace, before: Manifest) -> None:
    """Raises ConfigError when a flag asks for something else than a run that is resumed asked for.

    Where its servers are, keys, limits and time-outs may change.
    """
    data = {"limit": "count", **{name: name for name in _OF_DATA}}
    said = [(flag, getattr(args, flag), [getattr(before, flag)]) for flag in ("samples", "seed", "grader")]
    said += [(flag, getattr(args, flag), [getattr(cell.dataset, key) for cell in before.cells])
             for flag, key in data.items()]  # fmt: skip
    said += [(flag, getattr(args, flag), [getattr(cell.model, flag) for cell in before.cells]) for flag in _OF_MODEL]
    said += [("profiles", args.profiles and str(args.profiles), [cell.model.profiles for cell in before.cells]),
             ("shard", _shard(args), [before.shard])]  # fmt: skip
    asked = [
        f"--{flag.replace('_', '-')} {value} (the run has {was[0] if was[0] is not None else 'none'})"
        for flag, value, was in said
        if value is not None and any(each != value for each in was)
    ]
    strategies = [cell.strategy for number, cell in enumerate(before.normalised().cells)
                  if cell.strategy not in [each.strategy for each in before.normalised().cells[:number]]]  # fmt: skip
    asked += chosen.changed(args, strategies)
    if args.no_reuse and before.reuse:
        asked.append("--no-reuse")
    if asked:
        raise ConfigError(f"--resume keeps what the run asked for; begin another run for {', '.join(asked)}")


def refuse(args: argparse.Namespace, where: str, *more: str) -> None:
    """Flags that `where` settles by itself are refused, not dropped in silence."""
    own = [name for name in flags() if name not in args.without]
    for name in ("strategy", "effort", *own, *more):
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')}: {where} settles that itself")
    if args.set:
        raise ConfigError(f"--set {args.set[0]}: {where} settles that itself")


def manifest(args: argparse.Namespace, datasets: list[str], strategies: list[dict[str, JSON]]) -> Manifest:
    """The manifest that the flags describe: every dataset by every strategy."""
    require_system1(args)
    model = _model(args)
    return Manifest(
        cells=tuple(
            CellSpec(dataset=_dataset(args, name), model=model, strategy=strategy)
            for name in datasets
            for strategy in strategies
        ),
        samples=8 if args.samples is None else args.samples,
        seed=args.seed or 0,
        grader=args.grader,
        reuse=not args.no_reuse,
        shard=_shard(args),
    )


def refuse_contradictions(args: argparse.Namespace) -> None:
    """Raises ConfigError for flags of a run that exclude each other."""
    if args.ray and args.shard:
        raise ConfigError("--ray and --shard: both share out the attempts; give one of them")
    if args.ray_workers is not None and not args.ray:
        raise ConfigError("--ray-workers: needs --ray ADDRESS")


def _shard(args: argparse.Namespace) -> Shard | None:
    return None if args.shard is None else shards.read(args.shard)


def _dataset(args: argparse.Namespace, name: str) -> DatasetSpec:
    return DatasetSpec(
        name=name, data_dir=args.data_dir, count=args.limit, split=args.split, level=args.level,
        problem_field=args.problem_field, answer_field=args.answer_field,
    )  # fmt: skip


def _model(args: argparse.Namespace) -> ModelSpec:
    said = options.partial_connection(args)
    for url in (said.base_url, *said.more_base_urls, said.system1_base_url):
        if url and "@" in url:
            raise ConfigError("a base URL with a user or password in it would stand in the manifest: use --api-key-env")
    own = {f.name: getattr(said, f.name) for f in fields(ModelSpec) if f.name not in ("api_key_env", "profiles")}
    return ModelSpec(**own, api_key_env=args.api_key_env, profiles=str(said.profiles) if said.profiles else None)


def with_flags(manifest: Manifest, args: argparse.Namespace) -> Manifest:
    """A recipe with what the command line adds: the model's whereabouts, data, how much of it."""
    flags = _model(args)
    given = {f.name: getattr(flags, f.name) for f in fields(ModelSpec) if getattr(args, f.name) is not None}
    servers = running.servers_of(args)
    for name in servers:
        given.pop(name, None)
    data = {"data_dir": args.data_dir, "count": args.limit}
    models = {cell.model: replace(cell.model, **given) for cell in manifest.cells}
    models = running.with_servers(args, models)
    cells = tuple(
        replace(
            cell,
            model=_with_a_server(models[cell.model], flags.base_url),
            dataset=replace(cell.dataset, **{key: value for key, value in data.items() if value is not None}),
        )
        for cell in manifest.cells
    )
    said = {"samples": args.samples, "seed": args.seed, "grader": args.grader, "shard": _shard(args)}
    given_too = {key: value for key, value in said.items() if value is not None}
    return replace(manifest, cells=cells, reuse=manifest.reuse and not args.no_reuse, synthesis={}, **given_too)


def _with_a_server(model: ModelSpec, base_url: str | None) -> ModelSpec:
    """The model on the server that the environment names, where it needs one and has none."""
    return model if model.base_url or here(model.model) else replace(model, base_url=base_url)


def start(args: argparse.Namespace, manifest: Manifest, named: str) -> int:
    """A new run of a manifest in a folder of its own."""
    from scale_reasoning.runs.store import create

    if args.out is not None:
        vacant(args.out)
    manifest, problems = running.prepared(running.named(args, manifest))
    if args.dry_run:
        from scale_reasoning.cli.estimate import estimate

        print(estimate(manifest, problems))
        return 0
    time = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = args.out or Path("runs") / f"{named}-{time}"
    with create(folder, manifest, problems) as store:
        return _work(args, store)


def vacant(out: Path) -> None:
    """Raises ConfigError where a run, or something written of one, is in the folder already."""
    from scale_reasoning.runs.folder import DATABASE, MANIFEST

    if (out / DATABASE).exists():
        raise ConfigError(f"--out {out}: it holds a run already: scale eval --resume {out}, or name another folder")
    if (out / MANIFEST).exists():
        raise ConfigError(f"--out {out}: its {MANIFEST} would be replaced; name another folder")


def _work(args: argparse.Namespace, store: Store) -> int:
    folder = store.folder
    return running.work(args, store, again=f"scale eval --resume {folder}", after=f"scale report {folder}")
