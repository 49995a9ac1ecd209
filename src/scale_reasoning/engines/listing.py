"""A server's list of models: which names there are, and the window of each.

Decides under which keys servers tell a window, and which model is meant where none was named. Lists run to thousands
of names, so messages show only some.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from scale_reasoning.engines.findings import Finding, no, unknown, yes
from scale_reasoning.engines.refusals import quote
from scale_reasoning.engines.values import as_list, value_at
from scale_reasoning.errors import ConfigError, EngineError, Rejected
from scale_reasoning.types import JSON

if TYPE_CHECKING:
    from scale_reasoning.engines.connection import Connection

SHOWN_NAMES, SHOWN_NAME, MOST_NAMES = 10, 60, 20_000
"""Of a server's list of models: names shown, characters shown of each, names read."""

MOST_COMPARED, LONGEST_COMPARED = 1_000, 60
"""Names that are compared with the one asked for, and their characters: the time grows with both lengths multiplied.
Names that contain the one asked for come first."""

LISTING_SECONDS = 20.0
"""How long a list of models is waited for."""

_WINDOW_KEYS = (
    ("max_model_len",),  # vLLM, SGLang
    ("context_length",),  # OpenRouter, Together
    ("context_window",),  # Groq
    ("max_context_length",),  # Mistral
    ("max_input_tokens",),  # Anthropic
    ("meta", "n_ctx"),  # llama.cpp
)

_UNKNOWN_MODEL = re.compile(
    r"model.{0,160}\b(?:not (?:found|exist|a valid|available|supported|loaded)|n[o']t exist|unknown|invalid|no access)"
    r"|(?:unknown|invalid|no such|unsupported|missing) model|model_not_found"
    r"|no (?:model|endpoints?|instances?) (?:named|found)",
    re.IGNORECASE | re.DOTALL,
)


def read_list(body: JSON) -> dict[str, JSON] | None:
    """The entries of a reply of GET /models by their names and aliases; None when it is no such list."""
    data = as_list(body) if isinstance(body, list) else value_at(body, "data")
    if not isinstance(data, list):
        return None
    entries: dict[str, JSON] = {}
    for entry in as_list(data)[:MOST_NAMES]:
        for name in (value_at(entry, "id"), *as_list(value_at(entry, "aliases"))):
            if isinstance(name, str):
                entries[name.removeprefix("models/")] = entry  # the prefix is Gemini's
    return entries


async def fetch_list(connection: Connection, *, seconds: float) -> dict[str, JSON] | None:
    """The models of the server at the connection's base URL, as `read_list` returns them.

    Raises EngineError, or ConfigError for a URL or key that cannot be used.
    """
    from scale_reasoning.engines.http import Timeouts
    from scale_reasoning.engines.table import make_server

    timeouts = Timeouts(connect=min(seconds, Timeouts().connect), first_byte=seconds)
    async with make_server(connection, timeouts) as server:
        return read_list(await server.fetch("/models"))


async def only_model(connection: Connection) -> str:
    """The name of the one model that the server at the connection's base URL has.

    Raises ConfigError where it has several (named in the message), none, or no list that can be read.
    """
    where = f"base URL {connection.base_url}: which model? --model NAME"
    try:
        entries = await fetch_list(connection, seconds=LISTING_SECONDS)
    except EngineError as error:
        raise ConfigError(f"{where}; the server's list of models could not be read: {error}") from error
    # One entry may have several names (llama.cpp's aliases).
    ids = (value_at(entry, "id") for entry in (entries or {}).values())
    names = list(dict.fromkeys(name for name in ids if isinstance(name, str)))
    if len(names) != 1:
        has = f"has {len(names):,}: {show_names(names)}" if names else "lists none"
        raise ConfigError(f"{where}; the server {has}")
    return names[0].removeprefix("models/")


def show_names(names: Iterable[str]) -> str:
    """The first names of a list, for a message."""
    first = list(names)[: SHOWN_NAMES + 1]
    more = ", …" if len(first) > SHOWN_NAMES else ""
    return ", ".join(quote(name)[:SHOWN_NAME] for name in first[:SHOWN_NAMES]) + more


def is_unknown_model(error: Rejected) -> bool:
    """Whether a refusal is about the model's name."""
    return error.status == 404 or (
        error.status in (400, 422) and _UNKNOWN_MODEL.search(error.said or str(error)) is not None
    )


def similar_names(model: str, names: Iterable[str]) -> list[str]:
    """At most three names that look like the model's, whatever the case of their letters."""
    lowered = {name.lower(): name for name in names if len(name) <= LONGEST_COMPARED}
    wanted = model.lower()[:LONGEST_COMPARED]
    compared = sorted(lowered, key=lambda name: wanted not in name)[:MOST_COMPARED]
    return [lowered[name] for name in difflib.get_close_matches(wanted, compared, n=3, cutoff=0.5)]


def check_model(model: str, entries: Mapping[str, JSON] | None) -> Finding:
    """Whether the server lists the model."""
    if not entries:
        return unknown(f"{model}: the server {'lists none' if entries is not None else 'has no list of models'}")
    if model.removeprefix("models/") in entries:
        return yes(f"{model}, one of {len(entries):,}")
    close = similar_names(model, entries)
    return no(
        f"{quote(model)[:SHOWN_NAME]} is not among {len(entries):,}; "
        f"{'close' if close else 'there are'}: {show_names(close or entries)}",
        "the request is refused, or another model answers and this name picks the wrong profile for it",
        f"--model {show_names(close[:1])}" if close else "--model NAME, one that the server lists",
    )


def check_window(used: int | None, entry: JSON, *, own: int | None, flag: str) -> Finding:
    """Whether the window in use is the server's; `own` is what the engine itself knows, `flag` sets it."""
    if own is not None:
        return yes(f"{own:,} tokens, by the engine itself")
    served = next((n for keys in _WINDOW_KEYS if (n := _count(value_at(entry, *keys))) is not None), None)
    trained = _count(value_at(entry, "meta", "n_ctx_train"))
    in_use = "none is set" if used is None else f"{used:,} in use"
    if served is None and trained is not None and used is not None and used > trained:
        served = trained
    if served is None:
        known = f"the server tells only what it was trained on, {trained:,}" if trained else "the server does not tell"
        when = "if you know the server's" if used is None else "if it serves another"
        return unknown(f"{in_use}; {known}", fix=f"{when}: {flag.format('N')}")
    if served == used:
        return yes(f"{served:,} tokens")
    if used is not None and served > used:
        cost = f"{served - used:,} tokens of room stay unused"
    else:
        cost = "a request that is too long is refused first, and sent again where its prompt leaves room"
    return no(f"{served:,} served, {in_use}", cost, flag.format(served))


def _count(value: JSON) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
