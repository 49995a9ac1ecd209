"""Flags that several verbs share: how argparse reads them, and how they become frozen values (flags.py)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from scale_reasoning.arithmetic.problems import LEVELS
from scale_reasoning.cli.flags import ModelFlags, RunFlags, StrategyFlags, name_flag
from scale_reasoning.cli.values import read_in_flight, read_name, read_number, read_seconds
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import Access, ModelSpec, find_family
from scale_reasoning.errors import ConfigError
from scale_reasoning.printable import printable
from scale_reasoning.profiles import EFFORTS
from scale_reasoning.runs import shard as shards
from scale_reasoning.runs.like import find_preset, list_presets
from scale_reasoning.runs.manifest import DatasetSpec
from scale_reasoning.servers import find_server
from scale_reasoning.strategies import STRATEGIES, Flag, flags
from scale_reasoning.types import JSON

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

RAY_WORKERS = 4
NOT_OF_RUNS = ("samples",)
"""Options whose flag means something else on a run: there, --samples counts attempts."""


Values = TypeVar("Values")


def read(kind: type[Values], args: argparse.Namespace, **values: Any) -> Values:
    """A dataclass from the flags that have the names of its fields; `values` are its other fields."""
    flags: dict[str, Any] = {}
    for field in fields(cast("Any", kind)):
        if field.name not in values:
            value: Any = getattr(args, field.name)
            flags[field.name] = tuple(cast("list[Any]", value)) if isinstance(value, list) else value
    return kind(**flags, **values)


def add_strategy(
    parser: argparse.ArgumentParser, *, without: Collection[str] = (), several: bool = False, usual: str = "scale"
) -> None:
    """Adds the flags that choose a strategy, or several, and its options but for those in `without`. `usual` is what
    the help calls the default.
    """
    group = parser.add_argument_group("strategy")
    once = "; once for each strategy" if several else ""
    group.add_argument(
        "--strategy", dest="strategies", action="append", default=[], metavar="NAME",
        help=f"{', '.join(STRATEGIES)} (default {usual}), or NAME:key=value,key=value{once}",
    )  # fmt: skip
    group.add_argument(
        "--effort",
        choices=tuple(EFFORTS),
        help="the allocation by a word, as the model's family has it (by default tau "
        + ", ".join(f"{word} {settings['tau']}" for word, settings in EFFORTS.items())
        + ")",
    )
    group.add_argument(
        "--like",
        choices=list_presets(),
        help="set all that is not given as the paper has it, or its authors' code where it is silent (docs/paper.md)",
    )
    for name, flag in flags().items():
        if name not in without:
            group.add_argument(name_flag(name), metavar=_choose_metavar(flag), help=_write_help(flag))
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other option of the strategy",
    )
    group.add_argument("--policy", type=Path, metavar="FILE", help="the strategy that scale calibrate or tune wrote "
                       "there; for its model only")  # fmt: skip
    group.add_argument("--seed", type=int, help="the run's seed (default 0)")


def _choose_metavar(flag: Flag) -> str:
    if flag.table is not None:
        return "NAME"
    if flag.choices:
        return "|".join(flag.choices)
    return "FILE" if flag.option.name == "prompts" else "0..1" if flag.option.high == 1 else "N"


def _write_help(flag: Flag) -> str:
    names = f": {', '.join(flag.choices)}; see scale list {flag.table.kind}s" if flag.table else ""
    default = "" if flag.option.default in (None, "") else f"; default {flag.option.default}"
    return f"{flag.option.help}{names} ({', '.join(flag.strategies)}{default})"


def read_strategy(args: argparse.Namespace, *, without: Collection[str] = ()) -> StrategyFlags:
    """The strategy flags."""
    options = {name: value for name in flags() if name not in without and (value := getattr(args, name)) is not None}
    model = read_model(args).model
    effort = find_family(model).effort(args.effort) if args.effort else dict[str, JSON]()
    preset = find_preset(args.like, model) if args.like else None
    return read(StrategyFlags, args, options=options, effort_settings=effort, preset=preset)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the model and say how it is reached."""
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--model",
        help="name on the server, GGUF file, checkpoint folder, arithmetic-teacher, or one of `scale list models` "
        f"(default, without a server: {DEFAULT_MODEL})",
    )
    add("--base-url", action=_Servers, metavar="URL", help="OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1 "
        "(default: OPENAI_BASE_URL); once for each server of the same model")  # fmt: skip
    parser.set_defaults(more_base_urls=())
    add("--system1-model", metavar="MODEL", help="another model for System 1")
    add("--system1-base-url", metavar="URL", help="another server for System 1")
    add("--api-key-env", metavar="NAME", help="environment variable with the API key (default OPENAI_API_KEY)")
    add("--profile", metavar="NAME", help="model family, if the model's name does not show it (see docs/engines.md)")
    add("--profiles", type=Path, metavar="FILE", help="a TOML file of your own model families")
    add("--server", metavar="KIND", help="kind of the server, see docs/engines.md (default: by the URL's host, or "
        "by what the server says of itself)")  # fmt: skip
    add("--system1-server", metavar="KIND", help="the same for --system1-base-url")
    add(
        "--window",
        type=read_number(1),
        metavar="TOKENS",
        help="prompt and reply together (default: the family's)",
    )
    add("--temperature", type=float, help="instead of the family's")
    add("--top-p", type=float, help="instead of the family's")
    add("--in-flight", type=read_in_flight, default=64, metavar="N", help="requests in flight per server, or auto to "
        "find the best number (default 64)")  # fmt: skip
    add("--retries", type=read_number(0), default=4, metavar="N", help="retries of a failed request (default 4)")
    for name, seconds, meaning in (
        ("connect", 10, "seconds to connect"),
        ("first-byte", 600, "seconds until a reply begins"),
        ("silence", 120, "seconds between two pieces of a reply"),
    ):
        help_ = f"{meaning} (default {seconds})"
        add(f"--{name}-timeout", type=read_seconds, default=float(seconds), metavar="S", help=help_)


def read_model(args: argparse.Namespace) -> ModelFlags:
    """The model flags. Raises ConfigError."""
    from scale_reasoning.engines.http import Timeouts

    if args.temperature is not None and not 0 <= args.temperature <= 10:
        raise ConfigError(f"--temperature {args.temperature}: must be from 0 to 10")
    if args.top_p is not None and not 0 < args.top_p <= 1:
        raise ConfigError(f"--top-p {args.top_p}: must be above 0 and at most 1")
    for kind in filter(None, (args.server, args.system1_server)):
        find_server(kind)
    if any("@" in url for url in args.more_base_urls):
        raise ConfigError("--base-url: with several servers, none may contain a user or password; use --api-key-env")
    model = read(
        ModelSpec, args, system1_base_url=args.system1_base_url or None, profiles=args.profiles and str(args.profiles)
    )
    if like := getattr(args, "like", None):
        model = find_preset(like, model).set_model(model)
    timeouts = Timeouts(connect=args.connect_timeout, first_byte=args.first_byte_timeout, silence=args.silence_timeout)
    access = Access(in_flight=args.in_flight, retries=args.retries, timeouts=timeouts, say=say)
    return ModelFlags(model=model, access=access)


def add_run(
    parser: argparse.ArgumentParser,
    *,
    several: bool = False,
    folder: str = "--out",
    samples: str = "default 8",
    strategy: str = "scale",
) -> None:
    """Adds the flags of the verbs that make a run; `folder` is the name of the one for the run's folder, `samples` and
    `strategy` are what the help says of their defaults.
    """
    add = parser.add_argument
    add(folder, dest="out", type=Path, metavar="RUN", help="the run's folder (default runs/NAME-TIME)")
    add_name(parser)
    add("--samples", type=int, metavar="N", help=f"attempts per problem ({samples}); vote's chains: --set samples=N")
    add("--limit", type=read_number(1), metavar="N", help="the first N problems of each dataset")
    add("--data-dir", metavar="DIR", help="read DIR/NAME.jsonl instead of the Hub")
    add("--split", help="split of a dataset (arithmetic: train, validation, test)")
    add("--level", help=f"level of arithmetic: {', '.join(LEVELS)}")
    add("--problem-field", metavar="NAME", help="field of the problem's text in your own file")
    add("--answer-field", metavar="NAME", help="field of the gold answer in your own file")
    add("--grader", metavar="NAME", help="integer or symbolic (default: chosen by each gold answer)")
    add("--no-reuse", action="store_true", help="never answer a call with a reply made under another token limit")
    add("--attempts-in-flight", type=read_number(1), metavar="N", help="attempts at a time (default 1024; 4 with "
        "llama.cpp on this machine)")  # fmt: skip
    add("--shard", metavar="I/N", help="make only share I of N; scale merge unites the shares")
    add("--ray", metavar="ADDRESS", help="make the attempts on Ray: auto, local or ray://HOST:PORT")
    add("--ray-workers", type=int, metavar="N", help="worker processes on Ray (default 4)")
    add("--dry-run", action="store_true", help="print what would run (attempts, calls, tokens); call and write nothing")
    add("--trust-manifest", action="store_true", help="send keys to the servers that a manifest or recipe names")
    add_caps(parser)
    add_strategy(parser, without=NOT_OF_RUNS, several=several, usual=strategy)
    add_model(parser)


def add_name(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that names a run for people."""
    parser.add_argument("--name", type=read_name, metavar="TEXT", help="name of the run in reports; with --resume, a "
                        "new one")  # fmt: skip


def add_caps(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that limit what a run pays."""
    group = parser.add_argument_group(
        "caps", "A run that reaches one sends no further call; a resume with more goes on."
    )
    add = group.add_argument
    add("--max-tokens-total", type=read_number(1), metavar="N", help="new tokens (completion tokens, reasoning "
        "included) of all calls that the run pays for, from its start")  # fmt: skip
    add("--max-cost", type=float, metavar="X", help="what these calls cost, in the currency of --prices")
    add("--prices", metavar="FILE", help="prices per million tokens by model, for --max-cost (docs/evaluation.md)")


def read_run(args: argparse.Namespace) -> RunFlags:
    """The flags of a run. Raises ConfigError for flags that contradict each other."""
    if args.ray and args.shard:
        raise ConfigError("--ray and --shard: both distribute the attempts; give only one of them")
    if args.ray_workers is not None and not args.ray:
        raise ConfigError("--ray-workers: needs --ray ADDRESS")
    return read(
        RunFlags,
        args,
        strategy=read_strategy(args, without=NOT_OF_RUNS),
        model=read_model(args),
        data=read(DatasetSpec, args, name="", count=args.limit),
        shard=None if args.shard is None else shards.read(args.shard),
        reuse=not args.no_reuse,
        ray_workers=RAY_WORKERS if args.ray_workers is None else args.ray_workers,
    )


def add_denominator(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that says how reports and plots count failed attempts."""
    parser.add_argument(
        "--denominator",
        choices=("planned", "completed"),
        default="planned",
        help="planned: a failed attempt is wrong (default); completed: it is left out, as in the paper",
    )


def add_truth(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that says when System 1 fails on a step."""
    parser.add_argument(
        "--truth",
        metavar="system2|gold|FILE",
        help="of assessors: what the right result of a step is: System 2's (default); gold: the value in a chain of "
        "arithmetic; or a file of JSON Lines with problem, subproblem and answer",
    )


def add_answers(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that has stored answers read in another way."""
    parser.add_argument(
        "--answers",
        choices=("any", "boxed"),
        help="read stored answers again: boxed: in \\boxed{} only; any: else in what the text calls its answer, or in "
        "its reply to the question for it (default: as the run did)",
    )


def say(line: str) -> None:
    """Prints one line to the user, on stderr."""
    print(f"scale: {printable(line)}", file=sys.stderr, flush=True)


class _Servers(argparse.Action):
    """The first URL is `base_url`, further ones are `more_base_urls`. An empty one cancels those before it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if not values or not namespace.base_url:
            namespace.base_url, namespace.more_base_urls = values or None, ()
        else:
            namespace.more_base_urls = (*namespace.more_base_urls, values)
