"""From flags to strategies: `--strategy NAME:key=value,…`, flags such as `--tau`, and `--set key=value`.

Decides which strategies a flag sets: all that have the option, and at least one must have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scale_reasoning.cli.flags import StrategyFlags, name_flag
from scale_reasoning.cli.options import say
from scale_reasoning.engines.catalogue import DEFAULT_MODEL
from scale_reasoning.engines.connection import Connection, derive_system1, find_family
from scale_reasoning.engines.identify import find_kinds
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.like import Preset
from scale_reasoning.runs.policy_file import read_policy
from scale_reasoning.strategies import STRATEGIES, find_option, fingerprints, make, prompts_of, spelling
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import JSON

Options = dict[str, Any]
NamedOptions = tuple[str, Options]
"""A strategy's name and its options."""
Flag = tuple[str, str, str]
"""A flag as messages name it, the option that it sets, the value."""


def make_strategy(flags: StrategyFlags) -> Strategy:
    """The one strategy that the flags describe. Raises ConfigError naming the flag or key that is wrong."""
    if len(flags.strategies) > 1:
        raise ConfigError(f"--strategy {flags.strategies[1]}: one strategy at a time; scale eval takes several")
    return make_strategies(flags)[0]


def make_strategies(flags: StrategyFlags) -> list[Strategy]:
    """The strategies that the flags describe, SCALE where none is named. Raises ConfigError."""
    if flags.policy is not None:
        if given := [flag for flag in flags.list_given() if flag != "--policy"]:
            raise ConfigError(f"--policy and {given[0]}: a policy is a whole strategy; leave one of them out")
        return [read_policy(flags.policy).make_strategy()]
    named = [_read_strategy(text) for text in flags.strategies or ["scale"]]
    given = _set_options(named, _list_flags(flags))
    strategies = [make(*(_liken(flags.preset, *each) if flags.preset else each)) for each in given]
    for number, strategy in enumerate(strategies):
        if strategy in strategies[:number]:
            raise ConfigError(f"--strategy {flags.strategies[number]}: the same strategy is named before it")
        prompts_of(strategy)  # a prompts file that cannot be used is refused before anything starts
    return strategies


def require_policy(file: Path, connection: Connection) -> Strategy:
    """The strategy of a policy; says where the server is of another kind than the policy's.

    The connection's model and servers must be named. Raises ConfigError for another model than the policy's, or other
    prompts.
    """
    policy = read_policy(file)
    strategy = policy.make_strategy()
    specs = [each for each in (connection, derive_system1(connection)) if each is not None]
    sets = {find_family(each).prompts for each in specs}
    models = " + ".join(filter(None, (connection.model or DEFAULT_MODEL, connection.system1_model)))
    policy.require_model(file, models, fingerprints(strategy, sets.pop() if len(sets) == 1 else ""))
    for line in policy.compare_servers(file, find_kinds(specs)):
        say(line)
    return strategy


def make_tabled(flags: StrategyFlags, tables: Sequence[Mapping[str, JSON]]) -> list[Strategy]:
    """The strategies of tables with a `name`, with the options that flags set in all that have them. ConfigError."""
    strategies = [make(*each) for each in _set_options([_split(each) for each in tables], _list_flags(flags))]
    for strategy in strategies:
        prompts_of(strategy)
    return strategies


def tabulate(flags: StrategyFlags) -> list[dict[str, JSON]]:
    """The strategies that `--strategy` names, each as a table with a `name`. Raises ConfigError."""
    return [{"name": name, **options} for name, options in map(_read_strategy, flags.strategies)]


def _liken(preset: Preset, name: str, options: Options) -> NamedOptions:
    return name, preset.set_options(name, options)


def _split(table: Mapping[str, JSON]) -> NamedOptions:
    return str(table["name"]), {key: value for key, value in table.items() if key != "name"}


def list_changes(flags: StrategyFlags, described: Sequence[Mapping[str, JSON]]) -> list[str]:
    """What flags would change about the strategies of a run, as `describe` shows them. Raises ConfigError."""
    stored = [_split(each) for each in described]
    named = [_read_strategy(text) for text in flags.strategies]
    changes: list[str] = []
    if named and {name for name, _ in named} != {name for name, _ in stored}:
        changes.append(f"--strategy {' --strategy '.join(flags.strategies)}")
    settings: list[tuple[Flag, list[NamedOptions]]] = []
    for name, options in named:
        same = [each for each in stored if each[0] == name]
        settings += [((f"--strategy {name}:{key}", key, value), same) for key, value in options.items()]
    for flag, strategies in [*settings, *((flag, stored) for flag in _list_flags(flags))]:
        changed = _set_options(strategies, [flag], replacing=True)
        if [make(*each) for each in strategies] != [make(*each) for each in changed]:
            changes.append(f"{flag[0]} {flag[2]}")
    return changes


def _list_flags(flags: StrategyFlags) -> list[Flag]:
    """The options that flags set in every strategy that has them. Raises ConfigError."""
    pairs = [_split_pair("--set", text) for text in flags.settings]
    if twice := [name_flag(name) for name in flags.effort_settings if name in flags.options]:
        raise ConfigError(f"--effort and {twice[0]}: both set {twice[0][2:]}; give one of them")
    effort = [(f"--effort {flags.effort}", name, str(value)) for name, value in flags.effort_settings.items()]
    return [
        *((f"--set {key}", key, value) for key, value in pairs),
        *effort,
        *((name_flag(name), name, value) for name, value in flags.options.items()),
    ]


def _read_strategy(text: str) -> NamedOptions:
    spelled = spelling.split(text)
    if spelled.name not in STRATEGIES:
        raise ConfigError(describe_unknown("strategy", spelled.name, STRATEGIES))
    options: Options = {}
    for setting in spelled.settings:
        key, value = _split_pair(f"--strategy {spelled.name}", setting)
        if key in options:
            raise ConfigError(f"--strategy {spelled.name}: {key} is set twice")
        options[key] = value
    return spelled.name, options


def _split_pair(flag: str, text: str) -> tuple[str, str]:
    try:
        return spelling.pair(text)
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error}") from None


def _set_options(
    strategies: Sequence[NamedOptions], flags: Sequence[Flag], *, replacing: bool = False
) -> list[NamedOptions]:
    """The strategies with the options that flags set. `replacing` allows a flag to change an option that is set."""
    result = [(name, dict(options)) for name, options in strategies]
    for flag, key, value in flags:
        takers = [each for each in result if find_option(*each, key) is not None]
        if not takers and len(result) > 1:
            raise ConfigError(f"{flag}: none of the strategies has it ({', '.join(name for name, _ in result)})")
        for name, options in takers or result:  # a single strategy without the option names those that it has
            path = find_option(name, options, key) or key
            twice = [other for other in options if path in (other, find_option(name, options, other))]
            if twice and not replacing:
                raise ConfigError(f"{flag} and another setting of {name}: both set {path}; give one of them")
            for other in twice:
                del options[other]
            options[path] = value
    return result
