"""From flags to strategies: `--strategy NAME:key=value,…`, flags such as `--tau`, and `--set key=value`.

Decides which strategies a flag sets: all that have the option, and at least one must have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scale_reasoning.cli.flags import StrategyFlags, flag_of
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies import EFFORTS, STRATEGIES, field_names, make, prompts_of, spelling
from scale_reasoning.types import JSON

Settings = dict[str, Any]
Flag = tuple[str, str, str]
"""The flag as messages name it, the option, its value."""


def make_strategy(flags: StrategyFlags) -> Strategy:
    """The one strategy that the flags describe. Raises ConfigError naming the flag or key that is wrong."""
    if len(flags.strategies) > 1:
        raise ConfigError(f"--strategy {flags.strategies[1]}: one strategy at a time; scale eval takes several")
    return make_strategies(flags)[0]


def make_strategies(flags: StrategyFlags) -> list[Strategy]:
    """The strategies that the flags describe, SCALE where none is named. Raises ConfigError."""
    spelled = [spelling.split(text) for text in flags.strategies or ["scale"]]
    own = [(each.name, _own(each)) for each in spelled]
    made = [make(name, settings) for name, settings in _with_flags(own, _list_flags(flags))]
    for number, each in enumerate(made):
        if each in made[:number]:
            raise ConfigError(f"--strategy {flags.strategies[number]}: the same strategy is named before it")
        prompts_of(each)  # a prompts file that cannot be used is refused before anything starts
    return made


def _list_flags(flags: StrategyFlags) -> list[Flag]:
    """The options that flags set in every strategy that has them. Raises ConfigError."""
    found: list[Flag] = []
    for setting in flags.settings:
        try:
            key, value = spelling.pair(setting)
        except ConfigError as error:
            raise ConfigError(f"--set: {error}") from None
        found.append((f"--set {key}", key, value))
    if flags.effort is not None:
        if "tau" in flags.options:
            raise ConfigError("--effort and --tau: both set tau; give one of them")
        found.append(("--effort", "tau", str(EFFORTS[flags.effort])))
    return [*found, *((flag_of(name), name, value) for name, value in flags.options.items())]


def list_changes(flags: StrategyFlags, described: Sequence[Mapping[str, JSON]]) -> list[str]:
    """What flags would change about the strategies of a run, as `describe` shows them. Raises ConfigError."""
    own = [(str(each["name"]), {key: value for key, value in each.items() if key != "name"}) for each in described]
    spelled = [spelling.split(text) for text in flags.strategies]
    found: list[str] = []
    if spelled and {each.name for each in spelled} != {name for name, _ in own}:
        found.append(f"--strategy {' --strategy '.join(flags.strategies)}")
    named: list[tuple[Flag, Sequence[tuple[str, Settings]]]] = []
    for each in spelled:
        its = [(name, settings) for name, settings in own if name == each.name]
        named += [((f"--strategy {each.name}:{key}", key, value), its) for key, value in _own(each).items()]
    for flag, ones in [*named, *((flag, own) for flag in _list_flags(flags))]:
        before, now = ([make(*each) for each in every] for every in (ones, _with_flags(ones, [flag], replacing=True)))
        if before != now:
            found.append(f"{flag[0]} {flag[2]}")
    return found


def _own(spelled: spelling.Spelled) -> Settings:
    if spelled.name not in STRATEGIES:
        raise ConfigError(f"no strategy {spelled.name!r}; there are: {', '.join(STRATEGIES)}")
    settings: Settings = {}
    for setting in spelled.settings:
        try:
            key, value = spelling.pair(setting)
        except ConfigError as error:
            raise ConfigError(f"--strategy {spelled.name}: {error}") from None
        if key in settings:
            raise ConfigError(f"--strategy {spelled.name}: {key} is set twice")
        settings[key] = value
    return settings


def _with_flags(
    own: Sequence[tuple[str, Settings]], given: Sequence[Flag], *, replacing: bool = False
) -> list[tuple[str, Settings]]:
    """Each strategy's settings with those of the flags that it has. `replacing` lets a flag take a setting's place."""
    result = [(name, dict(settings)) for name, settings in own]
    for flag, key, value in given:
        takers = [each for each in result if _field(*each, key) is not None]
        if not takers and len(result) > 1:
            raise ConfigError(f"{flag}: none of the strategies has it ({', '.join(name for name, _ in result)})")
        for name, settings in takers or result:  # a single one without it says itself what it has
            field = _field(name, settings, key) or key
            if field in settings and not replacing:
                raise ConfigError(f"{flag} and another setting of {name}: both set {field}; give one of them")
            settings[field] = value
    return result


def _field(name: str, settings: Settings, key: str) -> str | None:
    """A strategy's field of this name, or its base's where only that has it; None where neither has."""
    own = field_names(name)
    if key in own:
        return key
    if "base" not in own:
        return None
    base = settings.get("base", "cot")
    named = str(base.get("name") if isinstance(base, Mapping) else base)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    inner = key.removeprefix("base.")
    return f"base.{inner}" if inner in field_names(named) else None
