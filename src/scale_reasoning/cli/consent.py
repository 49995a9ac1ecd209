"""Where a key may go: to servers that the user has named, once or now, and to this machine.

A manifest or a recipe may come from anybody, and names both a URL and the variable with the key. Decides what counts
as the user's word: a flag, OPENAI_BASE_URL, a yes on the terminal, --trust-manifest. It is remembered in the user's
state folder, so that nobody is asked twice and an own run resumes without a question. Never stores a key.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from scale_reasoning.engines import Connection
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded, replacing
from scale_reasoning.printable import one_line
from scale_reasoning.runs.manifest import ModelSpec

DEFAULT_VARIABLE = "OPENAI_API_KEY"
MOST_BYTES = 1 << 20
OCTET = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
LOOPBACK = re.compile(
    rf"https?://(localhost|127(\.{OCTET}){{3}}|\[::1\])(:[0-9]{{1,5}})?(/[\w./~-]*)?", re.IGNORECASE | re.ASCII
)
USER = re.compile(r"//[^/]*@")

Sent: TypeAlias = tuple[str, str]
"""A server's URL and the variable whose key it is sent."""


def refuse_unknown_servers(args: argparse.Namespace, connections: Mapping[ModelSpec, Connection]) -> None:
    """Raises ConfigError where a key would go to a server that the user has never named together with its variable."""
    sent = {
        (url.rstrip("/"), args.api_key_env or spec.api_key_env or DEFAULT_VARIABLE)
        for spec, connection in connections.items()
        if connection.api_key
        for url in (connection.base_url, *connection.more_base_urls, connection.system1_base_url)
        if url and not LOOPBACK.fullmatch(url)
    }
    if not sent:
        return
    remembered, named = _remembered(), _named_now(args)
    unknown = sorted(each for each in sent - remembered if each[0] not in named)
    if unknown and not args.trust_manifest and not _says_yes(unknown):
        url, variable = unknown[0]
        raise ConfigError(
            f"the key in {one_line(variable, 100)} would be sent to {_shown(url)}, as a manifest or recipe says, and "
            "you have not named that server before: if it is right, --trust-manifest; if not, --base-url URL"
        )
    _remember(remembered | sent)


def _named_now(args: argparse.Namespace) -> set[str]:
    said = (args.base_url, *(args.more_base_urls or ()), args.system1_base_url, os.environ.get("OPENAI_BASE_URL"))
    return {url.rstrip("/") for url in said if url}


def _says_yes(unknown: Iterable[Sent]) -> bool:
    """Asks on a terminal; elsewhere nobody is there to answer."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    for url, variable in unknown:
        print(f"scale: send the key in {one_line(variable, 100)} to {_shown(url)}? [y/N] ", end="", file=sys.stderr,
              flush=True)  # fmt: skip
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return False
    return True


def _shown(url: str) -> str:
    """The URL as it may be printed: without a user, who could look like the host."""
    return one_line(USER.sub("//", url), 300)


def _file() -> Path | None:
    """Where servers are remembered; None without a home."""
    state = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(state) if state else Path.home() / ".local" / "state") / "scale-reasoning" / "servers.json"
    except RuntimeError:
        return None


def _remembered() -> set[Sent]:
    file = _file()
    try:
        return set(msgspec.json.decode(read_bounded(file, MOST_BYTES), type=list[Sent])) if file else set()
    except (OSError, ValueError, RecursionError):
        return set()  # then the user is asked again


def _remember(sent: set[Sent]) -> None:
    file = _file()
    if file is None or sent <= _remembered():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(file) as opened:
            opened.write(msgspec.json.format(msgspec.json.encode(sorted(sent)), indent=1) + b"\n")
    except OSError:
        return  # a home that cannot be written to is asked for each time
