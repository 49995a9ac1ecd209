"""`scale tune`: which strategy pays for a model on a dataset, as a table, a sentence and a policy file; resumable."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scale_reasoning.cli import chosen, estimate, options, running
from scale_reasoning.cli.flags import RunFlags
from scale_reasoning.cli.manifest import make_manifest, require_unchanged
from scale_reasoning.cli.options import Commands, say
from scale_reasoning.cli.output import add_format
from scale_reasoning.cli.reach import make_connections
from scale_reasoning.cli.tuned import finish
from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.rounds import Tuning, plan_rounds, shuffle
from scale_reasoning.strategies import describe, name_in_words
from scale_reasoning.strategies.cot import CoT

if TYPE_CHECKING:
    from scale_reasoning.runs.store import Store
    from scale_reasoning.tuning.drops import Standing
    from scale_reasoning.types import Problem

FORMATS = ("terminal", "md", "json")
HOLD_OUT, MARGIN = 1 / 3, 2.0
"""The share of the problems that is held out, and the points of accuracy that fewer tokens may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneFlags:
    """What one command line asks for: a new tuning on `dataset`, or the one in `resume`; where its results go."""

    run: RunFlags
    dataset: str | None
    resume: Path | None
    candidates: Path | None
    tokens: float | None
    hold_out: float | None
    margin: float | None
    policy_file: Path | None
    plot: Path | None
    format: Literal["terminal", "md", "json"] | None


def add(commands: Commands) -> None:
    """Adds the verb."""
    parser = commands.add_parser(
        "tune",
        help="find the strategy that pays for a model, as a policy",
        description="Tries strategies in rounds of more and more problems and drops those that are shown to be worse. "
        "Measures what is left on problems that were held out, and chooses: with --tokens the most accurate within it, "
        "else the cheapest near the most accurate, and chain of thought unless another is shown to be better or "
        "cheaper. Exit codes: 0 chosen, 1 attempts are pending or nothing keeps to --tokens, 2 usage or configuration.",
    )
    add = parser.add_argument
    add("--dataset", metavar="NAME", help="problems: a dataset's name or a file")
    add("--resume", type=Path, metavar="RUN", help="resume a tuning with its settings")
    add("--tokens", type=float, metavar="N", help="most new tokens per problem in the mean (default: no limit)")
    add("--hold-out", type=float, metavar="SHARE", help="share of the problems that is held out (default 1/3)")
    add("--margin", type=float, metavar="POINTS", help="accuracy that fewer tokens may cost, in points (default 2)")
    add("--strategies", dest="candidates_file", type=Path, metavar="FILE", help="candidates of your own: a TOML file "
        "with [[strategies]] as in a recipe; or name each with --strategy")  # fmt: skip
    add("--out", dest="policy_file", type=Path, metavar="FILE", help="write the choice there, for example policy.toml")
    add("--plot", type=Path, metavar="FILE", help="draw accuracy by tokens of the finalists: .png, .svg or .pdf")
    add_format(parser, formats=FORMATS)
    options.add_run(parser, several=True, folder="--run", samples="always 1", strategy="a table of candidates")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Makes the attempts that the decisions need, prints the table and the advice, writes the policy."""
    flags = _read_flags(args)
    return _start(flags, str(flags.dataset)) if flags.resume is None else _resume(flags, flags.resume)


def _read_flags(args: argparse.Namespace) -> TuneFlags:
    """The flags. Raises ConfigError for what a tuning cannot use."""
    flags = options.read(TuneFlags, args, run=options.read_run(args), candidates=args.candidates_file)
    if (flags.dataset is None) == (flags.resume is None):
        raise ConfigError("what to tune on? --dataset NAME for a new tuning, or --resume RUN")
    for flag, file in (("--out", flags.policy_file), ("--plot", flags.plot)):
        if file is not None and file.exists():
            raise ConfigError(f"{flag} {file}: it exists already; name another file, or remove it")
    _refuse_others(flags)
    _check_numbers(flags)
    if flags.plot is not None:
        from scale_reasoning.report.plots import check_ending

        check_ending(flags.plot)
    return flags


def _check_numbers(flags: TuneFlags) -> None:
    tokens, share, margin = flags.tokens, flags.hold_out, flags.margin
    if tokens is not None and not 0 < tokens < inf:
        raise ConfigError(f"--tokens {tokens:g}: must be above 0")
    if share is not None and not 0 < share < 1:
        raise ConfigError(f"--hold-out {share:g}: must be above 0 and below 1")
    if margin is not None and not 0 <= margin < 100:
        raise ConfigError(f"--margin {margin:g}: must be at least 0 and below 100")


def _refuse_others(flags: TuneFlags) -> None:
    run, strategy = flags.run, flags.run.strategy
    if run.samples not in (None, 1):
        raise ConfigError(f"--samples {run.samples}: a tuning makes one attempt per problem, because more problems say "
                          "more than more samples")  # fmt: skip
    if run.shard is not None:
        raise ConfigError(f"--shard {run.shard}: the rounds of a tuning need all attempts on one machine, or --ray")
    for flag, given in (
        ("--policy", strategy.policy),
        ("--effort", strategy.effort),
        ("--like", strategy.like),
    ):
        if given:
            raise ConfigError(f"{flag} {given}: a tuning finds that out; leave the flag out")
    if flags.candidates is not None and strategy.strategies:
        raise ConfigError("--strategies and --strategy: both name the candidates; give one of them")
    if flags.resume is not None:
        fixed = {"--strategies": flags.candidates, "--tokens": flags.tokens, "--hold-out": flags.hold_out,
                 "--margin": flags.margin}  # fmt: skip
        if given := [flag for flag, value in fixed.items() if value is not None]:
            raise ConfigError(f"{given[0]}: --resume keeps the tuning's settings; leave the flag out")
        if run.out not in (None, flags.resume):
            raise ConfigError(f"--run {run.out}: --resume {flags.resume} writes into its own folder; leave --run out")


def _start(flags: TuneFlags, dataset: str) -> int:
    from scale_reasoning.runs.folder import MANIFEST
    from scale_reasoning.runs.store import create

    out = flags.run.out
    if out is not None and (out / MANIFEST).exists():
        raise ConfigError(f"--run {out}: it has a run already: scale tune --resume {out}, or name another folder")
    manifest, problems = _prepare(flags, dataset)
    if flags.run.dry_run:
        print(_estimate(manifest, problems))
        return 0
    folder = out or running.choose_folder(flags.run.name or f"tune-{Path(dataset).stem}")
    with create(folder, manifest, problems) as store:
        return _work(flags, store)


def _resume(flags: TuneFlags, folder: Path) -> int:
    from scale_reasoning.runs.folder import read_manifest

    manifest = read_manifest(folder)
    manifest.require_tuning()
    require_unchanged(flags.run, manifest)
    if flags.run.dry_run:
        print(estimate.estimate_rest(folder))
        return 0
    with running.open_resumed(folder, flags.run.name) as store:
        return _work(flags, store)


def _prepare(flags: TuneFlags, dataset: str) -> tuple[Manifest, dict[str, tuple[Problem, ...]]]:
    """The manifest of a new tuning with the candidates that the model can run, and the problems in their order."""
    from scale_reasoning.runs.prepare import name_default
    from scale_reasoning.tuning import candidates

    run = replace(flags.run, samples=1)
    manifest = name_default(make_manifest(run, [dataset], [CoT()]))
    tables = chosen.tabulate(run.strategy) or candidates.read_candidates(flags.candidates or candidates.TABLE)
    # Names what is served and loads the problems, before the first call is paid for.
    manifest, problems = running.prepare_new(run, manifest)
    rounds, held_out = plan_rounds(len(problems[dataset]), HOLD_OUT if flags.hold_out is None else flags.hold_out)
    (cell,) = manifest.cells
    modes = candidates.find_modes(cell.model)
    made = candidates.drop_repeats(chosen.make_tabled(run.strategy, [candidates.choose_first(modes), *tables]))
    logprobs = run.dry_run or not any(map(candidates.needs_logprobs, made)) or _ask_logprobs(run, manifest)
    fitting = candidates.select_possible(made, modes, logprobs=logprobs)
    for line in fitting.left_out:
        say(line)
    if len(fitting.strategies) < 2:
        raise ConfigError("only one candidate is left, so there is nothing to choose; name others (--strategies FILE)")
    cells = tuple(CellSpec(dataset=cell.dataset, model=cell.model, strategy=describe(s)) for s in fitting.strategies)
    manifest, problems = running.prepare_new(run, replace(manifest, cells=cells))
    margin = (MARGIN if flags.margin is None else flags.margin) / 100
    tuning = Tuning(rounds=rounds, held_out=held_out, tokens=flags.tokens, margin=margin)
    shuffled = {name: shuffle(each, manifest.seed) for name, each in problems.items()}
    return replace(manifest, tuning=tuning), shuffled


def _ask_logprobs(run: RunFlags, manifest: Manifest) -> bool:
    from scale_reasoning.tuning.candidates import gives_logprobs

    (connection,) = make_connections(run, manifest).values()
    return asyncio.run(gives_logprobs(connection))


def _estimate(manifest: Manifest, problems: dict[str, tuple[Problem, ...]]) -> str:
    tuning = manifest.require_tuning()
    rounds = ", ".join(f"{size:,}" for size in tuning.rounds)
    less = (
        f"that is if no candidate is dropped; rounds of {rounds} problems, then {tuning.held_out:,} that are held out, "
        "for those that are left"
    )
    unknown = "candidates that need log-probabilities are left out at the start if the server gives none"
    return "\n".join([estimate.estimate(manifest, problems), less, unknown])


def _work(flags: TuneFlags, store: Store) -> int:
    """Makes the attempts of one round after another, as the decisions need them; then ends the tuning."""
    from scale_reasoning.runs.run import needed
    from scale_reasoning.tuning.goal import Attempts, find_standing, require_tokens

    tuning, again = store.manifest.require_tuning(), _write_resume(flags, store.folder)
    said: set[int] = set()
    while True:
        standing = find_standing(store)
        require_tokens(store)
        store.plan(replace(tuning, planned=standing.planned))
        _say_drops(standing, said, store.manifest)
        if not standing.needs:
            return finish(store, standing, flags.format, policy_file=flags.policy_file, plot=flags.plot)
        goal = Attempts(store, standing.needs)
        say(_describe(standing, tuning))
        after = "the choice" if standing.round is None else "drop what is shown to be worse"
        code = running.work(flags.run, store, again=again, after=after, goal=goal)
        if code or needed(store, goal):
            return code or 1


def _write_resume(flags: TuneFlags, folder: Path) -> str:
    """The command that resumes a tuning and has its results go where they would have gone."""
    files = (("--out", flags.policy_file), ("--plot", flags.plot))
    words = [f"{flag} {file}" for flag, file in files if file is not None]
    return " ".join([f"scale tune --resume {folder}", *words, *(["--format json"] if flags.format == "json" else [])])


def _say_drops(standing: Standing, said: set[int], manifest: Manifest) -> None:
    from scale_reasoning.tuning.table import number_rows, write_reason

    rounds = manifest.require_tuning().rounds
    for cell in sorted(standing.drops.keys() - said):
        said.add(cell)
        drop, name = standing.drops[cell], name_in_words(manifest.cells[cell].strategy)
        why = write_reason(number_rows(drop))
        say(f"dropped after {rounds[drop.round - 1]:,} problems: row {cell + 1}, {name}: {why}")


def _describe(standing: Standing, tuning: Tuning) -> str:
    if standing.round is None:
        return f"{len(standing.finalists)} candidates on {tuning.held_out:,} problems that were held out"
    size = tuning.rounds[standing.round - 1]
    return f"round {standing.round} of {len(tuning.rounds)}: {len(standing.live)} candidates on {size:,} problems"
