"""How a described strategy is named: what differs from the defaults, under the shortest names that are clear.

Takes what `describe` shows, also of earlier versions (see former.py). A name that this version does not have is no
error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

from scale_reasoning.strategies.allocators import SHORT_NAMES
from scale_reasoning.strategies.former import modernise
from scale_reasoning.strategies.number import number_of
from scale_reasoning.strategies.parts import Settings, describe, make
from scale_reasoning.strategies.presets import PARTS, list_settings, read_presets
from scale_reasoning.strategies.table import STRATEGIES, STRATEGY_TABLE, Table, find_tables
from scale_reasoning.types import JSON


def shorten(described: Settings) -> dict[str, JSON]:
    """The options of a described strategy in one table, without its name, each under the shortest name that is clear.

    An allocator or an assessor is its name, followed by its options: `{"route": "threshold", "tau": 0.5}`. A strategy
    under another keeps a table of its own.
    """
    return _shorten_paths(dict(_list_leaves(modernise(str(described.get("name")), described))))


def unusual(described: Settings, under: str = "") -> dict[str, JSON]:
    """The options of a described strategy that differ from its defaults, and its allocator's number, by path.

    They are settings that make the strategy again.
    """
    return _unusual(STRATEGY_TABLE, modernise(str(described.get("name")), described), {}, under)


def label(described: Settings) -> dict[str, JSON]:
    """What tells a described strategy from others, under short names: its allocator with its number, then all other
    options that differ from the defaults; `like` is the preset that sets some of them.
    """
    found = unusual(described)
    if (route := modernise(str(described.get("name")), described).get("route")) is not None:
        found = {"route": _abbreviate(cast("Settings", route))[0] if isinstance(route, Mapping) else route, **found}
    found = _name_preset(str(described.get("name")), found)
    paths = sorted(found, key=lambda path: path.partition(".")[0] not in ("like", "route"))
    return _shorten_paths({path: found[path] for path in paths})


def _name_preset(strategy: str, found: Settings) -> dict[str, JSON]:
    """The options with the name of a preset in place of those that it sets, if they have all that is no part."""
    for preset in read_presets():
        for settings in list_settings(preset, strategy):
            made = unusual(describe(make(strategy, settings))) if settings else {}
            own = {path: value for path, value in made.items() if path.partition(".")[0] not in PARTS}
            if own and own.items() <= found.items():
                same = {*own, *(part for part in PARTS if part in found and found[part] == made.get(part))}
                return {"like": preset, **{path: value for path, value in found.items() if path not in same}}
    return dict(found)


def name_in_words(described: Settings) -> str:
    """A described strategy by its name and what tells it from others: `scale (route threshold, tau 0.5)`."""
    shown = ", ".join(f"{key} {value}" for key, value in label(described).items())
    return f"{described['name']} ({shown})" if shown else str(described["name"])


def _shorten_paths(options: Settings) -> dict[str, JSON]:
    """The options without the parts before their own names, where no other option has the same name."""
    last = Counter(path.rpartition(".")[2] for path in options)
    return {path if last[(own := path.rpartition(".")[2])] > 1 else own: value for path, value in options.items()}


def _list_leaves(described: Settings, under: str = "") -> Iterator[tuple[str, JSON]]:
    shape = STRATEGIES.get(str(described.get("name"))) if not under else None
    parts: Mapping[str, Table] = {} if shape is None else find_tables(shape)
    for key, value in described.items():
        if not isinstance(value, Mapping):
            if key != "name":
                yield under + key, value
        elif under or (key in parts and parts[key] is not STRATEGY_TABLE):
            word, inner = _abbreviate(cast("Settings", value))
            yield under + key, word
            yield from _list_leaves(inner, f"{under}{key}.")
        else:
            inner = cast("Settings", value)
            yield key, {"name": inner.get("name"), **shorten(inner)}


def _abbreviate(described: Settings) -> tuple[JSON, Settings]:
    """The name of an allocator or an assessor, or its short word, and the options that the name does not say."""
    for word, (name, settings) in SHORT_NAMES.items():
        if described.get("name") == name and all(described.get(key) == value for key, value in settings.items()):
            return word, {key: value for key, value in described.items() if key not in settings}
    return described.get("name"), described


def _unusual(table: Table, described: Settings, usual: Settings, under: str) -> dict[str, JSON]:
    """See unusual. `usual` is what the options are compared with: by default the class's defaults. The name of a class
    that this version does not have is no error: all its options are unusual.
    """
    shape = table.rows.get(str(described.get("name")))
    usual = usual or ({} if shape is None else describe(shape()))
    parts: Mapping[str, Table] = {} if shape is None else find_tables(shape)
    number = None if shape is None else number_of(shape)
    found: dict[str, JSON] = {}
    for key, value in described.items():
        if key in parts and isinstance(value, Mapping):
            inner = cast("Settings", value)
            own: Settings = cast("Settings", usual.get(key) or {})
            if own.get("name") != inner.get("name"):
                own = {}
                found[under + key], inner = _abbreviate(inner)
            found |= _unusual(parts[key], inner, own, f"{under}{key}.")
        elif key != "name" and (usual.get(key) != value or (number and key == number.option)):
            found[under + key] = value
    return found
