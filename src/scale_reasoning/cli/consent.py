"""Where an API key may go: to servers that the user has named, now or before, and to this machine.

A manifest or a recipe may come from anyone, and names both a URL and the variable with the key. Consent is a flag,
OPENAI_BASE_URL, the user's scale.toml, a yes on the terminal, or --trust-manifest. A file in the user's state folder
stores it, without the key, so that the question is asked once and the user's own runs resume without it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from scale_reasoning.cli.flags import RunFlags
from scale_reasoning.cli.settings import LOOPBACK, default_base_url
from scale_reasoning.engines.connection import Connection, ModelSpec
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded, replacing
from scale_reasoning.printable import one_line

DEFAULT_VARIABLE = "OPENAI_API_KEY"
MOST_BYTES = 1 << 20
USER = re.compile(r"//[^/]*@")

Recipient: TypeAlias = tuple[str, str]
"""A server's URL and the variable whose key the server gets."""


def refuse_unknown_servers(flags: RunFlags, connections: Mapping[ModelSpec, Connection]) -> None:
    """Raises ConfigError where a key would go to a server that the user has never named together with its variable."""
    recipients = {
        (url.rstrip("/"), flags.model.model.api_key_env or spec.api_key_env or DEFAULT_VARIABLE)
        for spec, connection in connections.items()
        if connection.api_key
        for url in (connection.base_url, *connection.more_base_urls, connection.system1_base_url)
        if url and not LOOPBACK.fullmatch(url)
    }
    if not recipients:
        return
    remembered, named = _read_remembered(), _find_named(flags.model.model)
    unknown = sorted(each for each in recipients - remembered if each[0] not in named)
    if unknown and not flags.trust_manifest and not _ask(unknown):
        url, variable = unknown[0]
        raise ConfigError(
            f"the key in {one_line(variable, 100)} would be sent to {_hide_user(url)}, which a manifest or recipe "
            "names and you never named: if that is right, --trust-manifest; if not, --base-url URL"
        )
    _remember(remembered | recipients)


def _find_named(model: ModelSpec) -> set[str]:
    """The servers that flags, the environment and the user's own file name."""
    urls = (model.base_url, *model.more_base_urls, model.system1_base_url, default_base_url()[0])
    return {url.rstrip("/") for url in urls if url}


def _ask(unknown: Iterable[Recipient]) -> bool:
    """Asks the user on a terminal; False without one."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    for url, variable in unknown:
        question = f"scale: send the key in {one_line(variable, 100)} to {_hide_user(url)}? [y/N] "
        print(question, end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return False
    return True


def _hide_user(url: str) -> str:
    """The URL without a user, which could look like the host."""
    return one_line(USER.sub("//", url), 300)


def _find_file() -> Path | None:
    """The file that remembers servers; None without a home folder."""
    state = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(state) if state else Path.home() / ".local" / "state") / "scale-reasoning" / "servers.json"
    except RuntimeError:
        return None


def _read_remembered() -> set[Recipient]:
    file = _find_file()
    try:
        return set(msgspec.json.decode(read_bounded(file, MOST_BYTES), type=list[Recipient])) if file else set()
    except (OSError, ValueError, RecursionError):
        return set()  # then the user is asked again


def _remember(recipients: set[Recipient]) -> None:
    file = _find_file()
    if file is None or recipients <= _read_remembered():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(file) as opened:
            opened.write(msgspec.json.format(msgspec.json.encode(sorted(recipients)), indent=1) + b"\n")
    except OSError:
        return  # the user is asked each time where the home folder cannot be written
