"""What a model's name asks for: `MODEL` itself, or `MODEL@STRATEGY:option=value,…`; options may also be in the body.

Decides which options a client may turn, and how far: a request must not read files of this machine nor start calls
without end. Knows nothing of the rest of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies import EFFORTS, STRATEGIES, make, spelling
from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.refusals import Refusal, invalid

MOST = {"candidates": 64, "samples": 64, "max_steps": 64, "tries": 10, "max_rounds": 64}
"""How far a client may turn what multiplies calls."""

FORBIDDEN = {"prompts": "it names a file of the server's machine"}
LIMITS = ("system1_max_tokens", "system2_max_tokens", "round_max_tokens", "summary_max_tokens")


@dataclass(frozen=True, slots=True)
class Name:
    """A model's name taken apart: the strategy, and its options as written. `strategy` is None for the model itself."""

    model: str
    strategy: str | None = None
    options: tuple[str, ...] = ()


def parse(name: str, served: str) -> Name:
    """Takes a name apart. A strategy is only ever over the `served` model; raises Refusal (404, 400) otherwise."""
    if not name.startswith(f"{served}@"):
        model, at, rest = name.rpartition("@")
        strategy = rest.partition(":")[0]
        if at and strategy in STRATEGIES:
            known = ", ".join(f"{served}@{strategy}" for strategy in STRATEGIES)
            raise Refusal(404, "model_not_found", f"{model!r} has no strategies here; there are: {known}", "model")
        return Name(name)
    spelled = spelling.split(name.removeprefix(f"{served}@"))
    if spelled.name not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise Refusal(404, "model_not_found", f"no strategy {spelled.name!r}; there are: {known}", "model")
    return Name(served, spelled.name, spelled.settings)


def strategy_of(name: Name, settings: Mapping[str, JSON], effort: str | None = None) -> Strategy:
    """The strategy a request asks for by its model's name, its `scale` object and `reasoning_effort`.

    Raises Refusal naming the option that is unknown, out of range, turned twice or not a client's to turn.
    """
    options: dict[str, JSON] = {}
    written: list[tuple[str, str, JSON]] = [("model", *_pair(option)) for option in name.options]
    written += [("scale", key, value) for key, value in settings.items()]
    if effort is not None:
        written.append(("reasoning_effort", "tau", _tau(name, effort)))
    for where, key, value in written:
        option = key.replace("-", "_")
        param = where if where != "scale" else f"scale.{key}"
        if option in options:
            raise invalid(param, f"{option} is set twice")
        options[option] = _allowed(param, option, value)
    try:
        strategy = make(str(name.strategy), options)
    except ConfigError as error:
        raise invalid("scale" if settings else "model", str(error)) from None
    _bounded(strategy)
    return strategy


def capped(strategy: Strategy, most: int) -> Strategy:
    """The strategy with no solution of more than `most` new tokens, reasoning included."""
    changes: dict[str, Any] = {
        limit: min(getattr(strategy, limit) or most, most) for limit in LIMITS if hasattr(strategy, limit)
    }
    base = getattr(strategy, "base", None)
    if base is not None:
        changes["base"] = capped(base, most)
    return cast("Strategy", replace(cast("Any", strategy), **changes))


def token_limit(strategy: Strategy) -> int | None:
    """The strategy's largest limit on new tokens of a call; None where it leaves one to the model family."""
    limits = [getattr(strategy, limit) for limit in LIMITS if hasattr(strategy, limit)]
    base = getattr(strategy, "base", None)
    if base is not None:
        limits.append(token_limit(base))
    return None if None in limits else max(limits, default=None)


def _pair(option: str) -> tuple[str, str]:
    try:
        return spelling.pair(option)
    except ConfigError as error:
        raise invalid("model", f"in the name, {error}") from None


def _tau(name: Name, effort: str) -> float:
    if name.strategy != "scale" or effort not in EFFORTS:
        raise invalid("reasoning_effort", f"must be one of {', '.join(EFFORTS)}, on @scale only (it sets tau)")
    return EFFORTS[effort]


def _allowed(param: str, option: str, value: JSON) -> JSON:
    last = option.rsplit(".", 1)[-1]
    if last in FORBIDDEN:
        raise invalid(param, f"{option} is not a client's to set: {FORBIDDEN[last]}")
    if not isinstance(value, str | int | float):
        raise invalid(param, f"{option} must be a number or a text")
    if last == "base" and value == "vote":
        raise invalid(param, "a vote over votes is not served")
    return value


def _bounded(strategy: Strategy) -> None:
    for option, most in MOST.items():
        if getattr(strategy, option, 0) > most:
            raise invalid("scale", f"{option} = {getattr(strategy, option)}: at most {most} here")
    base = getattr(strategy, "base", None)
    if base is not None:
        _bounded(base)
