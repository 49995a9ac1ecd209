"""What is said about an option of a strategy, once: its help, choices and range, as metadata of its field.

The checks of a strategy, its flags and their help, and what a client of the proxy may set all read this description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from scale_reasoning.errors import ConfigError

Value: TypeAlias = str | int | float | None

SYSTEM1_LIMIT = "new tokens of a System 1 solution; by default the model family's limit"
SYSTEM2_LIMIT = "new tokens of a System 2 solution, reasoning included; by default the model family's limit"
THINKING_BUDGET = (
    "new tokens of a System 2 thought: enforced by the server if it has a key for it, else by a second call that asks "
    "for the answer"
)
ANSWERS = r"any: read in \boxed{}, else in what the text calls its answer, else asked for; boxed: in \boxed{} only"
ON_LIMIT = "what becomes of a System 2 solution that its limit cuts off: it stands, or its result is asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The description of one field.

    help: one line without the default. flag: whether the option has a flag of its own; `--set` reaches all of them.
    low, high: the range of a number. at_most: the option whose value is the upper bound. client_most: the largest
    value that a client of the proxy may set; client_refusal: why a client may not set it at all. limits_tokens: whether
    it limits the new tokens of a solution. choices: the allowed texts, of a Literal or an Enum.
    """

    help: str
    flag: bool = False
    low: float | None = None
    high: float | None = None
    at_most: str | None = None
    client_most: int | None = None
    client_refusal: str | None = None
    limits_tokens: bool = False
    name: str = ""
    default: Value = None
    choices: tuple[str, ...] = ()


def option(default: Value, help: str, **description: Any) -> Any:  # noqa: A002  argparse calls it help too
    """A field with this default and description; see Option for the keywords."""
    return field(default=default, metadata={"option": {"help": help, **description}})


def count(default: int | None, help: str, **description: Any) -> Any:  # noqa: A002
    """An option that is a number of things, at least 1, or None."""
    return option(default, help, low=1, **description)


def token_limit(default: int | None, help: str, **description: Any) -> Any:  # noqa: A002
    """An option that limits the new tokens of a solution."""
    return count(default, help, limits_tokens=True, **description)


def part(make: Callable[[], Any], help: str, *, flag: bool = False) -> Any:  # noqa: A002
    """An option that is a value of a table, such as a strategy or an allocator; `make` makes the default one."""
    return field(default_factory=make, metadata={"option": {"help": help, "flag": flag}})


def prompts_file() -> Any:
    """The option for a prompts file of the user's."""
    return option(
        "",
        "a prompts file instead of the strategy's own",
        flag=True,
        client_refusal="it names a file of the server's machine",
    )


@cache
def options_of(shape: Any) -> Mapping[str, Option]:
    """The options of a strategy's class that are described, by name; {} for a class without descriptions."""
    types = get_type_hints(shape)
    return {
        each.name: Option(
            **each.metadata["option"],
            name=each.name,
            default=None if each.default is MISSING else cast("Value", each.default),
            choices=_choices(types[each.name]),
        )
        for each in fields(shape)
        if "option" in each.metadata
    }


def check_options(strategy: object) -> None:
    """Raises ConfigError that names the first option whose value is not allowed, the value, and what is allowed."""
    for each in options_of(cast("Any", type(strategy))).values():
        value: Any = getattr(strategy, each.name)
        if value is None:
            continue
        said = f"{each.name} = {value!r}" if isinstance(value, str) else f"{each.name} = {value}"
        if each.choices and value not in each.choices:
            raise ConfigError(f"{said}: must be one of {', '.join(each.choices)}")
        if wanted := _outside(each, value):
            raise ConfigError(f"{said}: must be {wanted}")
        most = None if each.at_most is None else getattr(strategy, each.at_most)
        if most is not None and value > most:
            raise ConfigError(f"{said}: must be at most {each.at_most} = {most}")


def list_parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The options of a strategy, or of a part of one, that are parts themselves, with their names."""
    for each in fields(value):
        inner = getattr(value, each.name)
        if is_dataclass(inner) and not isinstance(inner, type):
            yield each.name, inner


def nested(value: Any) -> Iterator[Any]:
    """The strategy and all its parts, from the outside in."""
    yield value
    for _, inner in list_parts(value):
        yield from nested(inner)


def _outside(each: Option, value: Any) -> str | None:
    """The range of an option, in words, if the value is not in it."""
    if each.low is None or (each.low <= value and (each.high is None or value <= each.high)):
        return None
    return f"at least {each.low:g}" if each.high is None else f"from {each.low:g} to {each.high:g}"


def _choices(kind: Any) -> tuple[str, ...]:
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return tuple(choice for each in get_args(kind) for choice in _choices(each))
    if get_origin(kind) is Literal:
        return tuple(str(each) for each in get_args(kind))
    return tuple(str(each) for each in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ()
