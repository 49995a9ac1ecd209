"""From a name and settings to a strategy with its parts, and back.

A part is an option that is a value of a table: a strategy's base, SCALE's allocator (`route`) and assessor (`assess`).
Settings reach into parts by dots (`route.tau`); the dots may be left out where the strategy has no such option itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast, get_type_hints

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.strategies import statement
from scale_reasoning.strategies.allocators.graded import Graded
from scale_reasoning.strategies.allocators.probe import Probe
from scale_reasoning.strategies.former import modernise
from scale_reasoning.strategies.options import Option, list_parts, nested, options_of
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.table import STRATEGIES, STRATEGY_TABLE, Table, find_name, find_tables
from scale_reasoning.suggest import describe_unknown, suggest
from scale_reasoning.types import JSON, Mode

Settings = Mapping[str, JSON]
MOST_NESTED = 8


@dataclass(frozen=True, slots=True)
class Flag:
    """An option with a flag of its own, and the strategies that have it, themselves or in a part. `table`: what its
    values are taken from, if it is a part.
    """

    option: Option
    strategies: tuple[str, ...]
    choices: tuple[str, ...] = ()
    table: Table | None = None


def flags() -> dict[str, Flag]:
    """The options that have a flag of their own, by name; strategies that share a name share the flag."""
    found: dict[str, Flag] = {}
    for strategy, shape in STRATEGIES.items():
        for name, flag in _list_flagged(shape):
            known = found.get(name, flag)
            found[name] = replace(known, strategies=tuple(dict.fromkeys((*known.strategies, strategy))))
    return found


def make(name: str, settings: Settings) -> Strategy:
    """The strategy called `name` with `settings` (option to value; text is read as the option's type).

    A part is a name, or a table with a `name` and settings as `describe` shows it; `PART.OPTION` sets an option of it.
    Raises ConfigError for an unknown name or option, or a value out of range.
    """
    return _make(STRATEGY_TABLE, name, settings, 1)


def make_described(described: Settings) -> Strategy:
    """The strategy that `describe` shows. Raises ConfigError."""
    return make(str(described.get("name", "")), {key: value for key, value in described.items() if key != "name"})


def find_option(name: str, settings: Settings, key: str) -> str | None:
    """Where the strategy called `name`, with the parts that `settings` choose, has an option called `key`.

    The path of the option (`route.tau` for `tau`); None where it has none.
    """
    return _find(STRATEGY_TABLE, name, modernise(name, settings), key)


def needs_both_modes(name: str) -> bool:
    """Whether the strategy called `name`, or a part that it has by default, needs System 1 and System 2."""
    return any(getattr(part, "NEEDS_BOTH_MODES", False) for part in nested(STRATEGIES[name]()))


def has_budget(strategy: object) -> bool:
    """Whether a strategy or a part of it gives thoughts a budget."""
    parts = list(nested(strategy))
    levels = (level for each in parts if isinstance(each, Graded) for level in each.list_thinking())
    own = (getattr(each, "thinking_budget", None) for each in parts)
    return any(level.budget for level in levels) or any(budget is not None for budget in own)


def find_limits(strategy: object) -> dict[Mode, int]:
    """The largest limit on a solution's new tokens that a strategy or a part of it sets, by mode."""
    found = (
        (mode, limit)
        for part in nested(strategy)
        for mode in Mode
        if (limit := getattr(part, f"{mode}_max_tokens", None)) is not None
    )
    return dict(sorted(found))


def describe(strategy: object) -> dict[str, JSON]:
    """The strategy, or a part, as a record shows it: its name in its table (else its class's) and every option."""
    described: dict[str, JSON] = {"name": find_name(type(strategy))}
    parts = dict(list_parts(strategy))
    for each in fields(cast("Any", strategy)):
        value = getattr(strategy, each.name)
        described[each.name] = describe(value) if each.name in parts else msgspec.to_builtins(value)
    return described


def prompts_of(strategy: object, prompt_set: str = "") -> dict[str, Prompts]:
    """The prompts that a strategy and its parts send, by name, after their prompt set.

    Raises ConfigError for a prompts file that cannot be used.
    """
    found: dict[str, Prompts] = {}
    module = sys.modules[type(strategy).__module__].__file__ or ""
    if Path(module).with_suffix(".md").exists():
        prompts = choose_prompts(str(getattr(strategy, "prompts", "")), load_own(module, prompt_set))
        name = find_name(type(strategy))
        found[f"{prompt_set}/{name}" if prompt_set else name] = prompts
    if isinstance(strategy, Scale) and strategy.split_by == "model":
        found["statement"] = load_own(statement.__file__)
    asked = strategy.list_assessors() if isinstance(strategy, Probe) else ()
    for inner in (*(inner for _, inner in list_parts(strategy)), *asked):
        found |= prompts_of(inner, prompt_set)
    return found


def fingerprints(strategy: Strategy, prompt_set: str = "") -> dict[str, str]:
    """The sha256 of the prompts that a strategy and its parts send, by name, after their prompt set."""
    return {name: prompts.fingerprint for name, prompts in prompts_of(strategy, prompt_set).items()}


def _make(table: Table, name: str, settings: Settings, depth: int, under: str = "") -> Any:
    if depth > MOST_NESTED:
        raise ConfigError(f"at most {MOST_NESTED} strategies and parts over one another")
    if name not in table.rows:
        at = f"{under}: " if under else ""
        raise ConfigError(f"{at}{describe_unknown(table.kind, name, (*table.rows, *table.short))}")
    shape, settings = table.rows[name], modernise(name, settings) if table is STRATEGY_TABLE else settings
    types, parts = get_type_hints(shape), find_tables(shape)
    values: dict[str, Any] = {}
    inner: dict[str, dict[str, JSON]] = {}
    for key, value in settings.items():
        path = _find(table, name, settings, key)
        if path is None:
            known = list(_list_names(table, name, settings))
            near = suggest(key, (each.rpartition(".")[2] for each in known))
            raise ConfigError(f"{table.kind} {name} has no option {key!r}{near}; it has: {', '.join(known)}")
        head, _, rest = path.partition(".")
        if head in parts:
            inner.setdefault(head, {})
            if rest in inner[head]:
                raise ConfigError(f"{path} is set twice")
            if rest:
                inner[head][rest] = value
        else:
            values[key] = _convert(key, value, types[key], options_of(shape).get(key))
    for part, further in inner.items():
        chosen, own = _choose(parts[part], part, settings, shape)
        values[part] = _make(parts[part], chosen, {**own, **further}, depth + 1, part)
    return shape(**values)


def _find(table: Table, name: str, settings: Settings, key: str) -> str | None:
    """See find_option; for a class of any table."""
    shape = table.rows.get(name)
    if shape is None:
        return None
    if key in {each.name for each in fields(shape)}:
        return key
    head, _, rest = key.partition(".")
    wanted = {head: rest} if rest and head in find_tables(shape) else dict.fromkeys(find_tables(shape), key)
    found: list[str] = []
    for part, inner_key in wanted.items():
        inner_table, chosen, reached = _reach(shape, part, settings)
        if path := _find(inner_table, chosen, reached, inner_key):
            found.append(f"{part}.{path}")
    if len(found) > 1:
        raise ConfigError(f"{key}: name one of {', '.join(found)}")
    return found[0] if found else None


def _reach(shape: type[Any], part: str, settings: Settings) -> tuple[Table, str, dict[str, JSON]]:
    """The table of a part, its name as `settings` choose it, and what they set of it."""
    table = find_tables(shape)[part]
    chosen, own = _choose(table, part, settings, shape)
    dotted = {key.removeprefix(f"{part}."): value for key, value in settings.items() if key.startswith(f"{part}.")}
    return table, chosen, {**own, **dotted}


def _choose(table: Table, part: str, settings: Settings, shape: type[Any]) -> tuple[str, dict[str, JSON]]:
    """The name of a part and its settings, as `settings` choose it, else as the class has it by default."""
    named = settings.get(part)
    if isinstance(named, Mapping):
        own = dict(cast("Settings", named))
        named = own.pop("name", None)
    else:
        own = dict[str, JSON]()
    if named is None:
        named = find_name(cast("type[Any]", type(getattr(shape(), part))))
    name, more = table.short.get(str(named), (str(named), {}))
    return name, {**more, **own}


def _list_names(table: Table, name: str, settings: Settings) -> Iterator[str]:
    """The options of a class and of the parts that `settings` choose, by path."""
    shape = table.rows.get(name)
    for each in fields(shape) if shape else ():
        yield each.name
        if shape and each.name in find_tables(shape):
            yield from (f"{each.name}.{inner}" for inner in _list_names(*_reach(shape, each.name, settings)))


def _list_flagged(shape: type[Any]) -> Iterator[tuple[str, Flag]]:
    """The options of a strategy that have a flag, then those of its parts; without strategies."""
    parts = find_tables(shape)
    for name, option in options_of(shape).items():
        if option.flag:
            table = parts.get(name)
            yield name, Flag(option, (), (*table.rows, *table.short) if table else option.choices, table)
    for table in parts.values():
        for row in table.rows.values() if table is not STRATEGY_TABLE else ():
            yield from ((name, Flag(each, (), each.choices)) for name, each in options_of(row).items() if each.flag)


def _convert(key: str, value: JSON, kind: Any, described: Option | None) -> Any:
    try:
        return msgspec.convert(value, cast("type[Any]", kind), strict=False)
    except msgspec.ValidationError as error:
        if described is not None and described.choices:
            raise ConfigError(f"{key} = {value!r}: must be one of {', '.join(described.choices)}") from error
        raise ConfigError(f"{key} = {value!r}: {error}") from error
