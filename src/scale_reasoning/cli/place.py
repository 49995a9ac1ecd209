"""Where the models that flags name are: on this machine or on a server. Flags that say both are refused."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scale_reasoning.engines import Connection, engine_of, key_from_environment
from scale_reasoning.errors import ConfigError

VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True, slots=True)
class Place:
    """The servers of System 2 and System 1; None is this machine, or nothing said."""

    base_url: str | None
    system1_base_url: str | None


def place(args: argparse.Namespace) -> Place:
    """What flags and environment say of servers. Raises ConfigError where a flag contradicts another."""
    environment = os.environ.get(VARIABLE) or None
    own, system1, system1_url = args.model, args.system1_model, args.system1_base_url
    key = key_from_environment(args.api_key_env)
    if own is not None and here(own, _asking(args.base_url or environment, key)):
        if args.base_url:
            raise ConfigError(f"--base-url {args.base_url}: {own} runs on this machine; leave one of them out")
        if environment:
            _say(f"scale: {VARIABLE} is not used for {own}, which runs on this machine")
        url = None
    else:
        url = args.base_url or environment
    if system1 is not None and here(system1, _asking(system1_url or url or environment, key)):
        if system1_url:
            raise ConfigError(f"--system1-base-url {system1_url}: {system1} runs here; leave one of them out")
    elif system1 is not None and url is None:
        system1_url = system1_url or environment
    return Place(url, system1_url)


def require_system1(args: argparse.Namespace) -> None:
    """Raises ConfigError for a server of System 1 without its model, where flags alone name the models."""
    if args.system1_base_url and not args.system1_model:
        raise ConfigError(
            "--system1-base-url: which model is there? name it with --system1-model, also where it is that of --model"
        )


def here(model: str | None, served: Callable[[str], bool] = lambda _: True) -> bool:
    """Whether a model runs on this machine though there is a server: it is built in or a GGUF file.

    A name that ends in .gguf and is no file may be a server's: `served` says whether one lists it.
    """
    if model is None:
        return False
    if model.lower().endswith(".gguf") and not Path(model).is_file():
        return not served(model)
    return engine_of(Connection(model=model, base_url="http://server")) != "openai"


def _asking(url: str | None, key: str | None) -> Callable[[str], bool]:
    return lambda name: url is not None and _lists(url, key, name)


@cache
def _lists(url: str, key: str | None, name: str) -> bool:
    from scale_reasoning.cli.servers import lists

    return lists(Connection(base_url=url, api_key=key), name)


@cache
def _say(line: str) -> None:
    """Says it once, however often it is asked."""
    print(line, file=sys.stderr, flush=True)
