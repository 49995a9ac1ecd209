"""The flags of `scale synth`: where traces come from, how they are filtered, where they go."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scale_reasoning.cli import options
from scale_reasoning.cli.flags import RunFlags, name_flag
from scale_reasoning.cli.manifest import refuse
from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies.presets import read_presets

PUBLISHED = "dualthinking"
"""The dataset that is traces already (datasets/dualthinking.py)."""
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

    The source is `runs` that exist, a new run on every `dataset` or of a `recipe`, the run in `out` (`resume`), or the
    published traces of `dataset`, at a `revision` of the Hub.
    """

    run: RunFlags
    runs: tuple[Path, ...]
    dataset: tuple[str, ...]
    recipe: Path | None
    resume: bool
    revision: str | None
    out: Path
    settings: Mapping[str, Any]
    overwrite: bool
    push: str | None

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.out / RUN


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the verb."""
    parser.add_argument("recipe", nargs="?", type=Path, help="a recipe (a name of `scale list recipes`, or .toml) or "
                        "manifest (.json) of the run to make")  # fmt: skip
    add = parser.add_argument
    add("--dataset", nargs="+", metavar="NAME", help="problems: limo, limo-v2, arithmetic, a file, a name on "
        "the Hub; or dualthinking, the authors' published traces")  # fmt: skip
    add("--revision", metavar="COMMIT", help="of the published traces, --dataset dualthinking (default: the newest)")
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


def read_flags(args: argparse.Namespace) -> SynthFlags:
    """The flags, with exactly one source of traces and a folder for them. Raises ConfigError."""
    sources = {"--from": args.runs, "--dataset": args.dataset, "--resume": args.resume, "a recipe": args.recipe}
    named = [name for name, value in sources.items() if value]
    if len(named) != 1:
        raise ConfigError(f"traces come from one of {', '.join(sources)}; found {' and '.join(named) or 'none'}")
    calls = [name_flag(key) for key in CALL_KEYS if getattr(args, key)]
    run, published = options.read_run(args), PUBLISHED in (args.dataset or ())
    if args.runs or published:
        source = "--from" if args.runs else f"--dataset {PUBLISHED}"
        if calls:
            raise ConfigError(f"{calls[0]}: {source} makes no calls; leave the flag out")
        kept = ("data_dir", "split", "count") if published else ("data_dir",)
        refuse(run, source, [key for _, key, _ in run.list_fixed() if key not in kept])
    if published and len(args.dataset) > 1:
        raise ConfigError(f"--dataset {PUBLISHED}: these are traces, not problems; name it alone")
    if args.revision and not published:
        raise ConfigError(
            f"--revision: is of --dataset {PUBLISHED}; for another dataset, --dataset OWNER/NAME@REVISION"
        )
    out = args.out or args.resume
    if out is None:
        raise ConfigError("--out DIR: name the folder for the traces")
    if args.resume not in (None, out):
        raise ConfigError(f"--out {out}: the traces of --resume {args.resume} go there; to put them elsewhere, "
                          f"scale synth --from {args.resume / RUN} --out {out}")  # fmt: skip
    return options.read(
        SynthFlags,
        args,
        run=run,
        runs=tuple(args.runs or ()),
        dataset=tuple(args.dataset or ()),
        resume=args.resume is not None,
        out=out,
        settings=_read_settings(args),
    )


def _read_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of traces that are given, by a flag or by what --like names. Raises ConfigError."""
    from scale_reasoning.synth.settings import SynthesisOptions

    given = {each.name: getattr(args, each.name) for each in fields(SynthesisOptions)}
    preset: Mapping[str, Any] = read_presets()[args.like].get("synth", {}) if args.like else {}
    settings: dict[str, Any] = {**preset, **{key: value for key, value in given.items() if value is not None}}
    for key in {"filters", "decontaminate"} & settings.keys():
        settings[key] = tuple(settings[key])
    filters: tuple[str, ...] = settings.get("filters", ("all",))
    if args.max_tokens and not {"all", "length"} & set(filters):
        raise ConfigError(f"--max-tokens {args.max_tokens}: the stage length is off; add it: --filters "
                          f"{' '.join(filters)} length")  # fmt: skip
    return settings
