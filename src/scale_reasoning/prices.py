"""Prices of models in a user's file: a table per model, matched on its name, with money per million tokens by mode.

Has no prices of its own. A price or a count that is unknown makes a cost unknown, never zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, cast

import msgspec

from scale_reasoning.errors import ConfigError, refuse_unknown_keys
from scale_reasoning.files import read_toml, why
from scale_reasoning.profiles import check_patterns, telling_name
from scale_reasoning.types import JSON, Mode, Usage

HIGHEST = 1e9
"""Per million tokens, in any currency; more is a mistake."""
MILLION = 1e6

Money = Annotated[float, msgspec.Meta(ge=0, le=HIGHEST)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Money per million tokens: prompt tokens, those of them that were cached (None: they cost as much as the others),
    new tokens.
    """

    prompt: Money
    cached: Money | None = None
    completion: Money

    def compute_cost(self, usage: Usage) -> float | None:
        """What tokens cost; None if a count that matters is unknown."""
        cached_price = self.prompt if self.cached is None else self.cached
        cached = 0 if usage.cached_tokens is None and cached_price == self.prompt else usage.cached_tokens
        if usage.prompt_tokens is None or usage.completion_tokens is None or cached is None:
            return None
        fresh = usage.prompt_tokens - cached
        return (fresh * self.prompt + cached * cached_price + usage.completion_tokens * self.completion) / MILLION

    def compute_most(self, usage: Usage) -> float | None:
        """What tokens cost at most, where it is unknown which were cached; None if another count is unknown."""
        if usage.cached_tokens is not None or usage.prompt_tokens is None:
            return self.compute_cost(usage)
        either = (self.compute_cost(replace(usage, cached_tokens=cached)) for cached in (0, usage.prompt_tokens))
        return max((cost for cost in either if cost is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrices:
    """The prices of the models whose names `match`, in both modes, or by mode where they differ."""

    match: tuple[str, ...]
    both: Price | None = None
    by_mode: Mapping[Mode, Price] = field(default_factory=dict[Mode, Price])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices in one currency, which is a word or empty. Of models that match, the first counts. `where` names the
    source in messages.
    """

    where: str
    currency: str = ""
    models: tuple[ModelPrices, ...]

    def find(self, model: str, mode: Mode) -> Price | None:
        """The price of a model in a mode, None if there is none."""
        name = telling_name(model)
        found = next((each for each in self.models if any(re.search(one, name) for one in each.match)), None)
        return None if found is None else found.by_mode.get(mode, found.both)

    def require(self, models: Mapping[Mode, str]) -> None:
        """Raises ConfigError for a model without a price."""
        for mode, model in models.items():
            if self.find(model, mode) is None:
                raise ConfigError(f"{self.where}: {explain_missing(model, mode)}")


def explain_missing(model: str, mode: Mode) -> str:
    """Says that a model has no price, and what to do."""
    name = "System 1" if mode is Mode.SYSTEM1 else "System 2"
    return f"no price for {model} in {name}: add a table whose match fits the name"


def make_uniform(price: Price, where: str) -> Prices:
    """One price for all models."""
    return Prices(where=where, models=(ModelPrices(match=("",), both=price),))


def read_prices(file: Path) -> Prices:
    """The prices in a TOML file (docs/evaluation.md has an example). Raises ConfigError."""
    where = f"prices file {file}"
    try:
        said = read_toml(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {why(error)}") from error
    if "currency" not in said:
        raise ConfigError(f'{where}: needs the currency of its prices, for example currency = "USD"')
    currency = _convert(f"{where}: currency", said.pop("currency"), Word)
    models = tuple(_read_model(f"{where}, [{name}]", table) for name, table in said.items())
    if not models:
        raise ConfigError(f"{where}: has no prices: add a table per model, with match, prompt and completion")
    return Prices(where=where, currency=currency, models=models)


_PRICE_KEYS = {each.name for each in fields(Price)}
_MODES = {mode.value for mode in Mode}


def _read_model(where: str, table: JSON) -> ModelPrices:
    said = _require_table(where, table)
    refuse_unknown_keys(where, said, {"match", *_PRICE_KEYS, *_MODES})
    match = _convert(f"{where}: match", said.get("match"), tuple[str, ...])
    check_patterns(where, match)
    shared = {key: said[key] for key in _PRICE_KEYS & said.keys()}
    by_mode: dict[Mode, Price] = {}
    for mode in Mode:
        if mode.value in said:
            own = _require_table(f"{where}.{mode.value}", said[mode.value])
            refuse_unknown_keys(f"{where}.{mode.value}", own, _PRICE_KEYS)
            by_mode[mode] = _read_price(f"{where}.{mode.value}", {**shared, **own})
    both = _read_price(where, shared) if len(by_mode) < len(Mode) and shared else None
    if not match or not (both or by_mode):
        raise ConfigError(f"{where}: needs match, and prompt and completion for both modes or for one")
    return ModelPrices(match=match, both=both, by_mode=by_mode)


def _read_price(where: str, said: Mapping[str, JSON]) -> Price:
    price: Price = _convert(where, said, Price)
    if not all(math.isfinite(each) for each in (price.prompt, price.completion, price.cached or 0.0)):
        raise ConfigError(f"{where}: a price must be a number from 0 to {HIGHEST:,.0f}")
    return price


def _require_table(where: str, value: JSON) -> Mapping[str, JSON]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be a table")
    return cast("Mapping[str, JSON]", value)


def _convert(where: str, value: JSON, shape: JSON) -> JSON:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
