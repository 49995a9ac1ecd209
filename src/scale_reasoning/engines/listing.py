"""What a server's list of models says: which names there are, and the window each is served with.

Decides under which keys servers tell a window, and which model is meant where none was named. Lists run to thousands
of names, so what is shown is bounded.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, cast

from scale_reasoning.engines.refusals import one_line
from scale_reasoning.engines.verdicts import Finding, no, unknown, yes
from scale_reasoning.errors import ConfigError, EngineError, Rejected
from scale_reasoning.types import JSON

if TYPE_CHECKING:
    from scale_reasoning.engines.connection import Connection

SHOWN_NAMES, SHOWN_NAME, MOST_NAMES = 10, 60, 20_000
"""Of a server's list of models: names shown, characters of each, names read at all."""

MOST_COMPARED, LONGEST_COMPARED = 1_000, 60
"""Names that are compared with the one asked for, and their characters: the time grows with both lengths multiplied."""

LISTING_SECONDS = 20.0
"""How long a list of models is waited for."""

_WINDOW_KEYS = (
    ("max_model_len",),  # vLLM, SGLang
    ("context_length",),  # OpenRouter, Together
    ("context_window",),  # Groq
    ("max_context_length",),  # Mistral
    ("meta", "n_ctx"),  # llama.cpp
)


def at(value: JSON, *keys: str) -> JSON:
    """What lies below these keys, None where there is nothing."""
    for key in keys:
        value = cast("Mapping[str, JSON]", value).get(key) if isinstance(value, dict) else None
    return value


def listed(body: JSON) -> dict[str, JSON] | None:
    """The entries of a reply of GET /models by their names and aliases; None when it is no such list."""
    data = cast("JSON", body) if isinstance(body, list) else at(body, "data")
    if not isinstance(data, list):
        return None
    entries: dict[str, JSON] = {}
    for entry in cast("list[JSON]", data)[:MOST_NAMES]:
        aliases = at(entry, "aliases")
        for name in (at(entry, "id"), *(cast("list[JSON]", aliases) if isinstance(aliases, list) else ())):
            if isinstance(name, str):
                entries[name.removeprefix("models/")] = entry  # the prefix is Gemini's
    return entries


def shown(names: Iterable[str]) -> str:
    """The first names of a list, for a message."""
    first = list(names)[: SHOWN_NAMES + 1]
    more = ", …" if len(first) > SHOWN_NAMES else ""
    return ", ".join(one_line(name)[:SHOWN_NAME] for name in first[:SHOWN_NAMES]) + more


async def only_model(connection: Connection) -> str:
    """The name of the one model that the server at the connection's base URL has.

    Raises ConfigError where it has several (named in the message), none, or no list that can be read.
    """
    from scale_reasoning.engines.openai import OpenAI, Timeouts

    where = f"base URL {connection.base_url}: which model? --model NAME"
    patience = Timeouts(first_byte=LISTING_SECONDS)
    try:
        async with OpenAI(connection.base_url or "", api_key=connection.api_key, timeouts=patience) as server:
            entries = listed(await server.fetch("/models"))
    except EngineError as error:
        raise ConfigError(f"{where}; the server's list of models could not be read: {error}") from error
    # One entry may have several names (llama.cpp's aliases).
    names = list(dict.fromkeys(name for entry in (entries or {}).values() if isinstance(name := at(entry, "id"), str)))
    if len(names) != 1:
        has = f"has {len(names):,}: {shown(names)}" if names else "lists none"
        raise ConfigError(f"{where}; the server {has}")
    return names[0].removeprefix("models/")


_UNKNOWN_MODEL = re.compile(
    r"model.{0,160}\b(?:not (?:found|exist|a valid|available|supported|loaded)|n[o']t exist|unknown|invalid|no access)"
    r"|(?:unknown|invalid|no such|unsupported|missing) model|model_not_found"
    r"|no (?:model|endpoints?|instances?) (?:named|found)",
    re.IGNORECASE | re.DOTALL,
)


def is_unknown_model(error: Rejected) -> bool:
    """Whether a refusal is about the model's name."""
    return error.status in (400, 404, 422) and (
        error.status == 404 or _UNKNOWN_MODEL.search(error.said or str(error)) is not None
    )


def like(asked: str, names: Iterable[str]) -> str:
    """The names nearest to the one asked for, else the first of all."""
    names = tuple(names)
    return shown(_close(asked, names) or names)


def _close(asked: str, names: Iterable[str]) -> list[str]:
    """At most three names that are much like the one asked for, whatever the case of their letters."""
    lowered = {name.lower(): name for name in islice(names, MOST_COMPARED) if len(name) <= LONGEST_COMPARED}
    near = difflib.get_close_matches(asked.lower()[:LONGEST_COMPARED], lowered, n=3, cutoff=0.5)
    return [lowered[name] for name in near]


def model(asked: str, entries: Mapping[str, JSON] | None) -> Finding:
    """Whether the server lists the model."""
    if not entries:
        return unknown(f"{asked}: the server {'lists none' if entries is not None else 'has no list of models'}")
    if asked.removeprefix("models/") in entries:
        return yes(f"{asked}, one of {len(entries):,}")
    close = _close(asked, entries)
    return no(
        f"{one_line(asked)[:SHOWN_NAME]} is not among {len(entries):,}; "
        f"{'close' if close else 'there are'}: {shown(close or entries)}",
        "the request is refused, or another model answers and this name picks the wrong profile for it",
        f"--model {shown(close[:1])}" if close else "--model NAME, one that the server lists",
    )


def window(used: int | None, entry: JSON, *, own: int | None, flag: str) -> Finding:
    """Whether the window in use is the one served; `own` is what the engine itself knows, `flag` sets it."""
    if own is not None:
        return yes(f"{own:,} tokens, by the engine itself")
    served = next((n for keys in _WINDOW_KEYS if (n := _count(at(entry, *keys))) is not None), None)
    trained = _count(at(entry, "meta", "n_ctx_train"))
    in_use = "none is set" if used is None else f"{used:,} in use"
    if served is None and trained is not None and used is not None and used > trained:
        served = trained
    if served is None:
        told = f"the server tells only what it was trained on, {trained:,}" if trained else "the server does not tell"
        return unknown(f"{in_use}; {told}", fix=f"if it serves another: {flag.format('N')}")
    if served == used:
        return yes(f"{served:,} tokens")
    if used is not None and served > used:
        cost = f"{served - used:,} tokens of room stay unused"
    else:
        cost = "a request that is too long is refused first, and asked again where its prompt leaves room"
    return no(f"{served:,} served, {in_use}", cost, flag.format(served))


def _count(value: JSON) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
