"""Kinds of servers: how each is told whether, how hard and how long to think.

A kind is a table in servers.toml. Together with a family's mode (profiles.py) it gives keys of a request's body. No
server is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_toml
from scale_reasoning.profiles import Count, ModeProfile
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import JSON, Sampling

GENERIC = "generic"
"""The kind of a server that is no other, and of every run from before there were kinds."""

SWITCHES = frozenset({
    "chat_template_kwargs", "thinking", "reasoning", "reasoning_effort", "enable_thinking", "thinking_budget",
    "output_config", "think",
})  # fmt: skip
"""Keys that switch between System 1 and System 2."""

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""The words of effort, by rising effort. Each family and each server has some of them."""

EFFORT_KEY: Mapping[str, JSON] = {"reasoning_effort": "$effort"}
"""How an effort is told where neither the server nor the family says it."""

Keys: TypeAlias = Mapping[str, JSON]
"""Keys of a request's body, with placeholders for what a request fills in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A kind of server. What each field means is said at the top of servers.toml; None where the table has no key."""

    name: str
    title: str
    source: str
    read: str
    hosts: tuple[str, ...] = ()
    owned_by: tuple[str, ...] = ()
    may_own: tuple[str, ...] = ()
    in_names: str = ""
    asks: str = ""
    tells: tuple[str, ...] = ()
    since: str = ""
    off: Keys | None = None
    on: Keys | None = None
    effort: Keys | None = None
    efforts: tuple[str, ...] = ()
    budget: Keys | None = None
    least_budget: Count = 1
    budget_without: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    logprobs: Literal["yes", "no", "unknown"] = "unknown"
    needs: str = ""

    @property
    def has_own_keys(self) -> bool:
        """Whether its requests differ from those to a generic server, a thinking budget apart."""
        return bool(self.off or self.on or self.effort or self.ignores or self.refuses)


@cache
def list_servers() -> Mapping[str, Server]:
    """All kinds by name, in the order of the table, in which they are tried."""
    tables = read_toml(Path(__file__).with_suffix(".toml"))
    return {
        name: msgspec.convert({**cast("dict[str, Any]", table), "name": name}, Server) for name, table in tables.items()
    }


@cache
def list_budget_keys() -> frozenset[str]:
    """The keys of a request's body that tell a thinking budget and nothing else."""
    return frozenset(key for server in list_servers().values() for key in server.budget or {}) - SWITCHES


def find_server(name: str) -> Server:
    """The kind of this name. Raises ConfigError."""
    servers = list_servers()
    if name not in servers:
        raise ConfigError(describe_unknown("kind of server", name, servers))
    return servers[name]


def find_by_host(url: str) -> str | None:
    """The name of the kind that this URL's host shows; None where the host shows none."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return None
    return next((name for name, server in list_servers().items() if _is_under(host, server.hosts)), None)


def _is_under(host: str, hosts: Sequence[str]) -> bool:
    return any(host == each or host.endswith(f".{each}") for each in hosts)


def adapt_mode(mode: ModeProfile, server: Server) -> ModeProfile:
    """The mode of a family with the body keys by which this kind of server is told of it.

    Extras of a mode that does not say how it thinks are sent as they are.
    """
    unread = {*server.ignores, *server.refuses}
    sampling = replace(mode.sampling, **{each.name: None for each in fields(Sampling) if each.name in unread})
    told = _tell(mode, server)
    if told is None:
        return replace(mode, sampling=sampling)
    rest = {key: value for key, value in mode.extras.items() if key not in SWITCHES and key not in unread}
    return replace(mode, sampling=sampling, extras=_merge(rest, told))


def _tell(mode: ModeProfile, server: Server) -> Keys | None:
    """The server's own keys for how a mode thinks; None where the family's are sent."""
    word = mode.thinking
    if word in ("", "always"):
        return None
    switch = {"off": server.off, "none": server.off, "on": server.on}.get(word)
    if switch is not None or word in ("off", "on") or server.effort is None:
        return switch
    return _fill(server.effort, {"$effort": word})


def keeps_budget(mode: ModeProfile, server: Server) -> bool:
    """Whether this kind of server has a key for the most tokens of a thought, and the mode thinks and takes it."""
    return server.budget is not None and mode.thinks and mode.takes_budget


def add_budget(extras: Keys, mode: ModeProfile, server: Server, tokens: int) -> Keys:
    """The body keys with a budget of this many tokens for a thought. The server must have a key for it."""
    for path in server.budget_without:
        extras = _leave_out(extras, path.split("."))
    opening, closing = mode.think
    return _merge(extras, _fill(server.budget or {}, {"$tokens": tokens, "$open": opening, "$close": closing}))


def list_efforts(mode: ModeProfile, server: Server) -> Sequence[str]:
    """The words of effort that the family has and this kind of server takes, by rising effort; none where it does not
    read the family's key for them.
    """
    if server.effort is None and {*mode.effort_key} & {*server.ignores, *server.refuses}:
        return []
    return [word for word in mode.thinking_efforts if not server.efforts or word in server.efforts]


def add_effort(extras: Keys, mode: ModeProfile, server: Server, word: str) -> Keys:
    """The body keys with a word of effort."""
    return _merge(extras, _fill(server.effort or mode.effort_key or EFFORT_KEY, {"$effort": word}))


def _fill(value: JSON, words: Mapping[str, JSON]) -> JSON:
    """The value with the placeholders replaced, at any depth."""
    if isinstance(value, Mapping):
        return {key: _fill(inner, words) for key, inner in cast("Keys", value).items()}
    if isinstance(value, list):
        return [_fill(inner, words) for inner in cast("list[JSON]", value)]
    return words.get(value, value) if isinstance(value, str) else value


def _merge(old: Keys, new: Keys) -> Keys:
    """Both, with the tables that both have merged; else the new value counts."""
    merged = dict(old)
    for key, value in new.items():
        was = merged.get(key)
        both = isinstance(was, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(cast("Keys", was), cast("Keys", value)) if both else value
    return merged


def _leave_out(keys: Keys, path: Sequence[str]) -> Keys:
    """The keys without the one at a path, and without a table that this leaves empty."""
    first, *rest = path
    if first not in keys:
        return keys
    inner = keys[first]
    left: Keys = _leave_out(cast("Keys", inner), rest) if rest and isinstance(inner, Mapping) else {}
    return {key: left if key == first else value for key, value in keys.items() if key != first or left}
