"""What attempts cost: money where there are prices, else floating-point operations: 2 x active parameters x new tokens.

The operations count new tokens only, as Tok does. Nothing that is unknown is estimated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scale_reasoning.engines.catalogue import CATALOGUE, SMOLLM2, STUDENT
from scale_reasoning.prices import Price, Prices, explain_missing
from scale_reasoning.profiles import telling_name
from scale_reasoning.runs.outcome import Cell, Outcome
from scale_reasoning.types import NO_USAGE, Mode, Usage

FLOP = "FLOP"
"""The unit without prices: floating-point operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costing:
    """How attempts are costed: at prices, or, without any, by operations."""

    prices: Prices | None = None

    @property
    def unit(self) -> str:
        """The currency of the prices, which may be empty, or FLOP."""
        return FLOP if self.prices is None else self.prices.currency

    def compute(self, cell: Cell, outcome: Outcome) -> float | None:
        """What an attempt of the cell cost in both modes together; None if that of a mode is unknown."""
        total = 0.0
        for mode, model, usage in _list_used(cell, outcome):
            cost = self._compute_part(model, mode, usage)
            if cost is None:
                return None
            total += cost
        return total

    def explain(self, cell: Cell, outcomes: Iterable[Outcome]) -> str:
        """Why the cost of an attempt is unknown, the first reason; empty if none is."""
        reasons = (self._explain_part(*used) for outcome in outcomes for used in _list_used(cell, outcome))
        return next(filter(None, reasons), "")

    def list_prices(self, cell: Cell) -> dict[Mode, Price | None]:
        """The prices of the cell's models by mode; empty without prices."""
        prices = self.prices
        return {} if prices is None else {mode: prices.find(model, mode) for mode, model in _models(cell).items()}

    def _compute_part(self, model: str, mode: Mode, usage: Usage) -> float | None:
        if self.prices is not None:
            price = self.prices.find(model, mode)
            return None if price is None else price.compute_cost(usage)
        parameters = count_parameters(model)
        if parameters is None or usage.completion_tokens is None:
            return None
        return 2 * parameters * usage.completion_tokens

    def _explain_part(self, mode: Mode, model: str, usage: Usage) -> str:
        if self._compute_part(model, mode, usage) is not None:
            return ""
        if self.prices is not None and self.prices.find(model, mode) is None:
            return f"{self.prices.where}: {explain_missing(model, mode)}"
        if self.prices is None and count_parameters(model) is None:
            return f"the name {model} does not say how many parameters it has: give --prices"
        return "the server did not report the tokens of every call" + (
            ", or not which were cached, and these have a price of their own" if self.prices is not None else ""
        )


def choose_costing(cells: Iterable[Cell], prices: Prices | None) -> Costing | None:
    """Prices if there are any; operations if System 1 is another model in one of the cells; else None, because tokens
    say as much.
    """
    if prices is not None:
        return Costing(prices=prices)
    return Costing() if any(len(set(_models(cell).values())) > 1 for cell in cells) else None


def _models(cell: Cell) -> Mapping[Mode, str]:
    return cell.models or dict.fromkeys(Mode, cell.model)


def _list_used(cell: Cell, outcome: Outcome) -> Iterator[tuple[Mode, str, Usage]]:
    """Mode, model and usage of the modes in which the attempt made calls."""
    for mode, model in _models(cell).items():
        usage = outcome.by_mode.get(mode, NO_USAGE)
        if usage != NO_USAGE:
            yield mode, model, usage


_SIZE = re.compile(r"(?<![a-z0-9.])(a?)([0-9]{1,5}(?:\.[0-9]{1,3})?)([bm])(?![a-z0-9])")


def count_parameters(model: str) -> float | None:
    """The parameters that a token is computed with: of a model that SCALE fetches, else read off the name.

    `7b` and `1.5b` are billions, `135m` millions; `30b-a3b` has 3 billion active ones. None where the name says nothing
    or several sizes.
    """
    row = CATALOGUE.get(SMOLLM2.name if model == STUDENT else model)
    found = _SIZE.findall(telling_name(row.title if row else model))
    for active, unit, scale in (("a", "b", 1e9), ("", "b", 1e9), ("", "m", 1e6)):
        sizes = {float(number) for is_active, number, of in found if (is_active, of) == (active, unit)}
        if sizes:
            return sizes.pop() * scale or None if len(sizes) == 1 else None
    return None
