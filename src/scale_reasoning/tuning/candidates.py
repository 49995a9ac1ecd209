"""Which strategies a tuning tries: the table of candidates.toml or another one, as far as the model can run them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from scale_reasoning.endpoint import request_for
from scale_reasoning.engines import connect
from scale_reasoning.engines.connection import Connection, ModelSpec, derive_system1, find_family
from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.files import read_toml, why
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.recipe import multiply_out
from scale_reasoning.strategies import describe, name_in_words
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.options import nested
from scale_reasoning.types import JSON, Message, Mode

TABLE = Path(__file__).with_suffix(".toml")
QUESTION = "What is 17 + 25? Reply with the number only."
MOST_CANDIDATES = 200
"""More would need more problems than anyone has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The candidates that a model can run, and a line for each reason why others were left out."""

    strategies: tuple[Strategy, ...]
    left_out: tuple[str, ...]


def read_candidates(file: Path = TABLE) -> list[dict[str, JSON]]:
    """The strategies of a file, each a table with a `name` and options. Raises ConfigError."""
    where = f"candidates in {file}"
    try:
        table = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {why(error)}") from error
    refuse_unknown_keys(where, table, {"strategies"})
    listed = table.get("strategies")
    items = cast("list[JSON]", listed) if isinstance(listed, list) else []
    if not items or not all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items):  # pyright: ignore[reportUnknownMemberType]
        raise ConfigError(f"{where}: must have [[strategies]], each with a name")
    found = [each for item in items for each in multiply_out(cast("Mapping[str, JSON]", item))]
    if len(found) > MOST_CANDIDATES:
        raise ConfigError(f"{where}: {len(found):,} candidates; at most {MOST_CANDIDATES}")
    return found


def find_modes(model: ModelSpec) -> frozenset[Mode]:
    """The modes that a model has, System 1 from another model included."""
    specs = {Mode.SYSTEM2: model, Mode.SYSTEM1: derive_system1(model) or model}
    return frozenset(mode for mode, spec in specs.items() if find_family(spec).mode(mode) is not None)


def choose_first(modes: frozenset[Mode]) -> dict[str, JSON]:
    """The first row, with which all others are compared: chain of thought in the mode that a user would take."""
    return {"name": "cot", "mode": str(Mode.SYSTEM2 if Mode.SYSTEM2 in modes else Mode.SYSTEM1)}


def select_possible(strategies: Iterable[Strategy], modes: frozenset[Mode], *, logprobs: bool) -> Fitting:
    """The strategies that need only these modes and, without `logprobs`, no log-probabilities."""
    kept: list[Strategy] = []
    left_out: dict[str, list[str]] = {}
    for strategy in strategies:
        missing = sorted(list_modes(strategy) - modes)
        if missing:
            reason = f"the model has no {' and no '.join(map(_name_mode, missing))}"
        elif not logprobs and needs_logprobs(strategy):
            reason = "the server gives no log-probabilities"
        else:
            kept.append(strategy)
            continue
        left_out.setdefault(reason, []).append(name_in_words(describe(strategy)))
    lines = (f"left out, because {reason}: {'; '.join(names)}" for reason, names in left_out.items())
    return Fitting(strategies=tuple(kept), left_out=tuple(lines))


def list_modes(strategy: Strategy) -> set[Mode]:
    """The modes that a strategy and its parts need."""
    needed: set[Mode] = set()
    for part in nested(strategy):
        if getattr(part, "NEEDS_BOTH_MODES", False):
            needed |= set(Mode)
        elif isinstance(part, CoT):
            needed.add(part.mode)
    return needed


def needs_logprobs(strategy: Strategy) -> bool:
    """Whether a part of the strategy does not do what it says without log-probabilities."""
    return any(getattr(part, "NEEDS_LOGPROBS", False) for part in nested(strategy))


async def gives_logprobs(connection: Connection) -> bool:
    """Whether the model's server gives log-probabilities: asks one short question. Raises EngineError, ConfigError.

    A reply without a text shows nothing, so it does not count against the server.
    """
    async with connect(connection) as endpoints:
        mode = Mode.SYSTEM1 if Mode.SYSTEM1 in endpoints else Mode.SYSTEM2
        request = request_for(endpoints, (Message("user", QUESTION),), mode, 1, 16, None, 1)
        reply = await endpoints[mode].engine.generate(request)
    return bool(reply.logprobs) or not reply.text


def _name_mode(mode: Mode) -> str:
    return "System 1" if mode is Mode.SYSTEM1 else "System 2"


def drop_repeats(strategies: Sequence[Strategy]) -> list[Strategy]:
    """Each distinct strategy once, in the order given."""
    return [each for number, each in enumerate(strategies) if each not in strategies[:number]]
