"""Flags that several commands share: which model, which strategy. What they mean is decided elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from scale_reasoning.engines import Connection, key_from_environment
from scale_reasoning.engines.limit import InFlight
from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies import EFFORTS, STRATEGIES, Flag, flags
from scale_reasoning.strategies.options import Option

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def add_strategy(parser: argparse.ArgumentParser, *, without: Collection[str] = (), several: bool = False) -> None:
    """Flags that choose a strategy, or several, with hyper-parameters; `without` those that mean something else."""
    group = parser.add_argument_group("strategy")
    once = "; once for each strategy" if several else ""
    group.add_argument(
        "--strategy", action="append", metavar="NAME",
        help=f"{', '.join(STRATEGIES)} (default scale), or NAME:key=value,key=value{once}",
    )  # fmt: skip
    group.add_argument(
        "--effort",
        choices=tuple(EFFORTS),
        help=f"tau by a word: {', '.join(f'{word} {tau}' for word, tau in EFFORTS.items())}",
    )
    for name, flag in flags().items():
        if name not in without:
            group.add_argument(f"--{name.replace('_', '-')}", metavar=_metavar(flag.option), help=_help(flag))
    parser.set_defaults(without=tuple(without))
    group.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other field of the strategy"
    )
    group.add_argument("--seed", type=int, default=0, help="the run's seed (default 0)")


def _metavar(option: Option) -> str:
    return "|".join(option.choices) if option.choices else "FILE" if option.name == "prompts" else "X"


def _help(flag: Flag) -> str:
    default = "" if flag.option.default in (None, "") else f"; default {flag.option.default}"
    return f"{flag.option.help} ({', '.join(flag.strategies)}{default})"


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Flags that choose the model and how it is spoken to."""
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--model",
        help="name on the server, GGUF file, checkpoint folder, arithmetic-teacher, smollm2, or student (default)",
    )
    add("--base-url", action=_Servers, metavar="URL", help="OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1 "
        "(default: OPENAI_BASE_URL); once for each server of the same model")  # fmt: skip
    parser.set_defaults(more_base_urls=None)
    add("--system1-model", metavar="MODEL", help="another model for System 1")
    add("--system1-base-url", metavar="URL", help="another server for System 1")
    add("--api-key-env", metavar="NAME", help="environment variable with the API key (default OPENAI_API_KEY)")
    add("--profile", metavar="NAME", help="model family, where the name does not tell (see docs/engines.md)")
    add("--profiles", type=Path, metavar="FILE", help="a TOML file of your own model families")
    add("--window", type=_count, metavar="TOKENS", help="context window, prompt and reply (default: the family's)")
    add("--temperature", type=float, help="instead of the family's")
    add("--top-p", type=float, help="instead of the family's")
    add("--in-flight", type=_in_flight, default=64, metavar="N", help="requests a server is sent at a time, or auto "
        "to find out (default 64)")  # fmt: skip
    add("--retries", type=_whole, default=4, metavar="N", help="of a failed request (default 4)")
    add("--connect-timeout", type=_seconds, default=10.0, metavar="S", help="seconds to connect (default 10)")
    add("--first-byte-timeout", type=_seconds, default=600.0, metavar="S", help="until a reply begins (default 600)")
    add("--silence-timeout", type=_seconds, default=120.0, metavar="S", help="between two pieces (default 120)")


def connection(args: argparse.Namespace) -> Connection:
    """The connection that the flags and the environment describe. Raises ConfigError."""
    from scale_reasoning.cli.place import require_system1

    require_system1(args)
    return partial_connection(args)


def partial_connection(args: argparse.Namespace) -> Connection:
    """The same where a recipe or a run names the models, or some of them. Raises ConfigError."""
    from scale_reasoning.cli.place import place
    from scale_reasoning.engines.http import Timeouts

    if args.temperature is not None and not 0 <= args.temperature <= 10:
        raise ConfigError(f"--temperature {args.temperature}: must be from 0 to 10")
    for url in args.more_base_urls or ():
        if "@" in url:
            raise ConfigError("--base-url: with several servers none may have a user or password in it: --api-key-env")
    if args.top_p is not None and not 0 < args.top_p <= 1:
        raise ConfigError(f"--top-p {args.top_p}: must be above 0 and at most 1")
    found = place(args)
    return Connection(
        model=args.model,
        base_url=found.base_url,
        more_base_urls=args.more_base_urls or (),
        system1_model=args.system1_model,
        system1_base_url=found.system1_base_url,
        api_key=key_from_environment(args.api_key_env),
        profile=args.profile,
        profiles=args.profiles,
        window=args.window,
        in_flight=args.in_flight,
        retries=args.retries,
        temperature=args.temperature,
        top_p=args.top_p,
        timeouts=Timeouts(
            connect=args.connect_timeout, first_byte=args.first_byte_timeout, silence=args.silence_timeout
        ),
        say=lambda line: print(f"scale: {line}", file=sys.stderr, flush=True),
    )


class _Servers(argparse.Action):
    """The first URL is `base_url`, further ones are `more_base_urls`. An empty one takes back what was said before."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if not values or not namespace.base_url:
            namespace.base_url, namespace.more_base_urls = values, ()
        else:
            namespace.more_base_urls = (*namespace.more_base_urls, values)


def _in_flight(text: str) -> InFlight:
    return "auto" if text == "auto" else _count(text)


def _count(text: str) -> int:
    return _at_least(1, int(text))


def _whole(text: str) -> int:
    return _at_least(0, int(text))


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text}: must be a positive number of seconds")
    return seconds


def _at_least(least: int, number: int) -> int:
    if number < least:
        raise argparse.ArgumentTypeError(f"{number}: must be at least {least}")
    return number
