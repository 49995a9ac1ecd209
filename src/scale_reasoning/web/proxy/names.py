"""What a model's name asks for: `MODEL` itself, `MODEL@STRATEGY:option=value,…` (options may also be in the body), or
`MODEL@tuned`, the strategy of the server's policy.

Decides which options a client may set, and to which values: a request must not read files of this machine or make calls
without bound. Does not know the rest of a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.profiles import EFFORTS
from scale_reasoning.strategies import STRATEGIES, find_option, make, spelling
from scale_reasoning.strategies.options import list_parts, nested, options_of
from scale_reasoning.strategies.parts import MOST_NESTED
from scale_reasoning.strategies.table import list_shapes
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.refusals import Refusal, invalid

TUNED = "tuned"
"""The strategy of the server's policy, as names have it."""

EFFORT = "effort"
"""The option that stands for others: what a word of effort sets in the model's family."""

_CONTENT = "content="


@dataclass(frozen=True, slots=True)
class Name:
    """The parts of a model's name: the strategy, or TUNED, and its options as written; None for the model itself.

    `content` is what the name says of the answer's content, which is no option of a strategy.
    """

    model: str
    strategy: str | None = None
    options: tuple[str, ...] = ()
    content: tuple[str, ...] = ()


def parse(name: str, served: str, *, tuned: bool = False) -> Name:
    """Parses a model's name. A strategy is always over the `served` model; raises Refusal (404, 400) otherwise.

    tuned: whether the server has a policy.
    """
    names = _list_strategies(tuned=tuned)
    if not name.startswith(f"{served}@"):
        model, strategy = _split_last(name)
        if strategy in names:
            known = ", ".join(f"{served}@{strategy}" for strategy in names)
            raise Refusal(404, "model_not_found", f"{model!r} has no strategies here; there are: {known}", "model")
        return Name(name)
    spelled = spelling.split(name.removeprefix(f"{served}@"))
    if spelled.name not in names:
        lack = "this server has no policy (scale serve --policy FILE)" if spelled.name == TUNED else ""
        told = lack or describe_unknown("strategy", spelled.name, names)
        raise Refusal(404, "model_not_found", told, "model")
    options = tuple(each for each in spelled.settings if not each.startswith(_CONTENT))
    content = tuple(each.removeprefix(_CONTENT) for each in spelled.settings if each.startswith(_CONTENT))
    return Name(served, spelled.name, options, content)


def is_strategy(name: str, served: str, *, tuned: bool = False) -> bool:
    """Whether `parse` takes a name for a strategy's, be it to refuse it."""
    return name.startswith(f"{served}@") or _split_last(name)[1] in _list_strategies(tuned=tuned)


def _list_strategies(*, tuned: bool) -> tuple[str, ...]:
    return (*STRATEGIES, TUNED) if tuned else tuple(STRATEGIES)


def _split_last(name: str) -> tuple[str, str]:
    """The parts of a name before and after its last `@`, without options; the second is "" where it has none."""
    model, at, rest = name.rpartition("@")
    return model, rest.partition(":")[0] if at else ""


@dataclass(frozen=True, slots=True)
class _Setting:
    """An option and its value. `param` is where the client gave it; `by` is what it wrote, an effort for one."""

    param: str
    key: str
    value: JSON
    by: str


def strategy_of(
    name: Name,
    settings: Mapping[str, JSON],
    effort: str | None = None,
    efforts: Mapping[str, Mapping[str, JSON]] = EFFORTS,
    tuned: Strategy | None = None,
) -> Strategy:
    """The strategy of a request, from its model's name, its `scale` object and `reasoning_effort`.

    `efforts` are the options that a word of effort stands for in the model's family; `tuned` is the policy's strategy.
    Raises Refusal that names an option that is unknown, out of range, set twice or not allowed for clients.
    """
    if name.strategy == TUNED and tuned is not None:
        return _require_whole(tuned, name, settings, effort)
    strategy_name, options, given_by = str(name.strategy), dict[str, JSON](), dict[str, str]()
    for each in _list_settings(name, settings, effort, efforts):
        option = each.key.replace("-", "_")
        path, given = find_option(strategy_name, options, option), given_by
        if each.by != each.key:  # an effort sets it, perhaps below a part that was not there for the client's options
            if path is None:
                raise invalid(each.param, f"{each.by} sets {each.key}, which the other options leave no place for")
            given = {find_option(strategy_name, options, other): by for other, by in given_by.items()}
        path = path or option
        if path in given:
            raise invalid(each.param, _tell_twice(each, given[path]))
        options[path], given_by[path] = _check_allowed(each.param, name, path, each.value), each.by
    source = "scale" if settings else "model"
    try:
        strategy = make(strategy_name, options)
    except ConfigError as error:
        raise invalid(source, str(error)) from None
    _require_bounded(strategy, source)
    return strategy


def _list_settings(
    name: Name, settings: Mapping[str, JSON], effort: str | None, efforts: Mapping[str, Mapping[str, JSON]]
) -> list[_Setting]:
    """The options of a request as written, then those that an effort sets. Raises Refusal."""
    pairs = [("model", *_pair(option)) for option in name.options]
    pairs += [(f"scale.{key}", key, value) for key, value in _flatten(settings)]
    words = [(param, EFFORT, value) for param, key, value in pairs if key == EFFORT]
    words += [] if effort is None else [("reasoning_effort", "reasoning_effort", effort)]
    return [_Setting(param, key, value, key) for param, key, value in pairs if key != EFFORT] + [
        _Setting(param, key, value, by)
        for param, by, word in words
        for key, value in _list_of_effort(param, name, word, efforts)
    ]


def _tell_twice(setting: _Setting, by: str) -> str:
    """What a client is told where `by` has set the option before."""
    same = by == setting.by
    return f"{by} is set twice" if same else f"{setting.by} and {by} both set {setting.key}; give one of them"


def _require_whole(tuned: Strategy, name: Name, settings: Mapping[str, JSON], effort: str | None) -> Strategy:
    given = {"model": name.options, "scale": settings, "reasoning_effort": effort}
    for param, value in given.items():
        if value:
            raise invalid(param, f"@{TUNED} is a whole strategy and takes no options; name another one to set them")
    return tuned


def cap_tokens(strategy: Strategy, most: int) -> Strategy:
    """The strategy with no solution of more than `most` new tokens, reasoning included."""
    changes: dict[str, Any] = {name: min(value or most, most) for name, value in _list_token_limits(strategy).items()}
    changes |= {name: cap_tokens(inner, most) for name, inner in list_parts(strategy)}
    return cast("Strategy", replace(cast("Any", strategy), **changes))


def find_token_limit(strategy: Strategy) -> int | None:
    """The strategy's largest limit of new tokens of a call; None if it leaves one to the model family."""
    limits = [limit for each in nested(strategy) for limit in _list_token_limits(each).values()]
    known = [limit for limit in limits if limit is not None]
    return max(known, default=None) if len(known) == len(limits) else None


def _list_token_limits(strategy: Strategy) -> dict[str, int | None]:
    """The options that limit the new tokens of a solution, by name."""
    options = options_of(type(strategy))
    return {name: getattr(strategy, name) for name, option in options.items() if option.limits_tokens}


def _flatten(settings: Mapping[str, JSON], under: str = "", depth: int = 0) -> Iterator[tuple[str, JSON]]:
    """The settings by path: `{"route": {"name": "escalate", "accept": 0.5}}` is route=escalate, route.accept=0.5."""
    if depth > MOST_NESTED:
        raise invalid("scale", f"at most {MOST_NESTED} tables in one another")
    for key, value in settings.items():
        if not isinstance(value, Mapping):
            yield under + key, value
            continue
        inner = dict(cast("Mapping[str, JSON]", value))
        if "name" in inner:
            yield under + key, inner.pop("name")
        yield from _flatten(inner, f"{under}{key}.", depth + 1)


def _pair(option: str) -> tuple[str, str]:
    try:
        return spelling.pair(option)
    except ConfigError as error:
        raise invalid("model", f"in the name, {error}") from None


def takes_effort(name: Name) -> bool:
    """Whether a word of effort sets options of the strategy: it says how a route spends."""
    return name.strategy in _list_routed()


def _list_routed() -> list[str]:
    return [strategy for strategy in STRATEGIES if find_option(strategy, {}, "route")]


def _list_of_effort(
    param: str, name: Name, effort: JSON, efforts: Mapping[str, Mapping[str, JSON]]
) -> Iterable[tuple[str, JSON]]:
    if not takes_effort(name) or not isinstance(effort, str) or effort not in efforts:
        where = ", ".join(f"@{strategy}" for strategy in _list_routed())
        what = "" if param == "reasoning_effort" else f"{EFFORT} "
        raise invalid(param, f"{what}must be one of {', '.join(efforts)}, on {where} only (it sets the route)")
    return efforts[effort].items()


def _check_allowed(param: str, name: Name, option: str, value: JSON) -> JSON:
    if refusal := _explain_refusal(option):
        raise invalid(param, f"{option} cannot be set by a client: {refusal}")
    if not isinstance(value, str | int | float):
        raise invalid(param, f"{option} must be a number or a text")
    if option.rsplit(".", 1)[-1] == "base" and find_option(str(value), {}, "base"):
        raise invalid(param, f"a {name.strategy} over a {value} is not served")
    return value


def _explain_refusal(option: str) -> str | None:
    """Why a client may not set the option, of whichever strategy it is; None if it may."""
    last = option.rsplit(".", 1)[-1]
    described = (options_of(shape).get(last) for shape in list_shapes())
    return next((each.client_refusal for each in described if each is not None and each.client_refusal), None)


def _require_bounded(strategy: Strategy, param: str) -> None:
    for each in nested(strategy):
        for name, option in options_of(cast("Any", type(each))).items():
            if option.client_most is not None and (getattr(each, name) or 0) > option.client_most:
                raise invalid(param, f"{name} = {getattr(each, name)}: at most {option.client_most} here")
