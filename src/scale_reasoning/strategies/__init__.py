"""The table of strategies; from a name and settings to a strategy, and back.

To add one: write strategies/x.py with a frozen dataclass and x.md with its prompts, and give it a row here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_type_hints

import msgspec

from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.prompts import Prompts, choose_prompts, load_own
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.strategies.options import Option, options_of
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import JSON

STRATEGIES: dict[str, type[Any]] = {"scale": Scale, "cot": CoT, "vote": Vote, "inftythink": InftyThink}


@dataclass(frozen=True, slots=True)
class Flag:
    """An option with a flag of its own, and the strategies that have it."""

    option: Option
    strategies: tuple[str, ...]


def flags() -> dict[str, Flag]:
    """The options that have a flag of their own, by name; strategies that share a name share the flag."""
    found: dict[str, Flag] = {}
    for strategy, shape in STRATEGIES.items():
        for name, option in options_of(shape).items():
            if option.flag:
                known = found.get(name, Flag(option, ()))
                found[name] = Flag(known.option, (*known.strategies, strategy))
    return found


EFFORTS = {"low": 0.8, "medium": 0.5, "high": 0.2}
"""tau by a word: from the last step alone to three of four steps in System 2 (paper, Table 2)."""


def make(name: str, settings: Mapping[str, JSON]) -> Strategy:
    """The strategy called `name` with `settings` (field to value; text is read as the field's type).

    A strategy over another takes `base` (a name) and `base.FIELD`. Raises ConfigError for an unknown name or field, or
    a value out of range.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"no strategy {name!r}; there are: {', '.join(STRATEGIES)}")
    shape = STRATEGIES[name]
    hints = get_type_hints(shape)
    types = {each.name: hints[each.name] for each in fields(shape)}
    values: dict[str, Any] = {}
    inner = {key.removeprefix("base."): value for key, value in settings.items() if key.startswith("base.")}
    for key, value in settings.items():
        if key.startswith("base.") and "base" in types:
            continue
        if key not in types:
            raise ConfigError(f"strategy {name} has no option {key!r}; it has: {', '.join(types)}")
        if key != "base":
            values[key] = _convert(key, value, types[key], options_of(shape).get(key))
    if "base" in types and (inner or "base" in settings):
        values["base"] = _base(settings.get("base", "cot"), inner)
    return shape(**values)


def field_names(name: str) -> tuple[str, ...]:
    """The fields of the strategy called `name`; () for an unknown name."""
    return tuple(each.name for each in fields(STRATEGIES[name])) if name in STRATEGIES else ()


def needs_both_modes(name: str) -> bool:
    """Whether the strategy called `name` needs System 1 and System 2, whatever its options are."""
    return bool(getattr(STRATEGIES[name], "NEEDS_BOTH_MODES", False))


def unusual(described: Mapping[str, JSON], under: str = "") -> dict[str, JSON]:
    """The options of a described strategy that differ from its defaults, and tau; `base.NAME` for those of its base."""
    usual, found = describe(STRATEGIES[str(described["name"])]()), dict[str, JSON]()
    for key, value in described.items():
        if isinstance(value, Mapping):
            base = cast("Mapping[str, JSON]", value)
            found |= {f"{under}{key}": base["name"], **unusual(base, f"{under}{key}.")}
        elif key != "name" and (key == "tau" or usual.get(key) != value):
            found[under + key] = value
    return found


def prompts_of(strategy: Strategy, prompt_set: str = "") -> dict[str, Prompts]:
    """The prompts that a strategy and those under it send, by name, after their prompt set.

    Raises ConfigError for a prompts file that cannot be used.
    """
    found: dict[str, Prompts] = {}
    module = sys.modules[type(strategy).__module__].__file__ or ""
    if Path(module).with_suffix(".md").exists():
        prompts = choose_prompts(str(getattr(strategy, "prompts", "")), load_own(module, prompt_set))
        name = str(describe(strategy)["name"])
        found[f"{prompt_set}/{name}" if prompt_set else name] = prompts
    base = getattr(strategy, "base", None)
    return found if base is None else {**found, **prompts_of(base, prompt_set)}


def fingerprints(strategy: Strategy, prompt_set: str = "") -> dict[str, str]:
    """The sha256 of the prompts that a strategy and those under it send, by name, after their prompt set."""
    return {name: prompts.fingerprint for name, prompts in prompts_of(strategy, prompt_set).items()}


MOST_NESTED = 8


def _depth(named: JSON) -> int:
    depth = 0
    while isinstance(named, Mapping):
        named, depth = cast("Mapping[str, JSON]", named).get("base"), depth + 1
    return depth


def _base(named: JSON, settings: Mapping[str, JSON]) -> Strategy:
    """The strategy under another: by name, or as `describe` shows it, so that a record's strategy can be made again."""
    if isinstance(named, Mapping):
        if _depth(named) > MOST_NESTED:
            raise ConfigError(f"base: at most {MOST_NESTED} strategies over one another")
        described = dict(cast("Mapping[str, JSON]", named))
        return make(str(described.pop("name", "cot")), {**described, **settings})
    return make(str(named), settings)


def describe(strategy: Strategy) -> dict[str, JSON]:
    """The strategy as a record shows it: its name in the table (else its class's) and every field."""
    names = {shape: name for name, shape in STRATEGIES.items()}
    described: dict[str, JSON] = {"name": names.get(type(strategy), type(strategy).__name__)}
    if is_dataclass(strategy):
        for field in fields(strategy):
            value = getattr(strategy, field.name)
            described[field.name] = describe(value) if hasattr(value, "solve") else msgspec.to_builtins(value)
    return described


def _convert(key: str, value: JSON, kind: Any, described: Option | None) -> Any:
    try:
        return msgspec.convert(value, cast("type[Any]", kind), strict=False)
    except msgspec.ValidationError as error:
        if described is not None and described.choices:
            raise ConfigError(f"{key} = {value!r}: must be one of {', '.join(described.choices)}") from error
        raise ConfigError(f"{key} = {value!r}: {error}") from error
