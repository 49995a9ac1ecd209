"""The flags about money and caps: prices from a file or three numbers, and what a run may pay in all."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scale_reasoning.cli.flags import RunFlags
from scale_reasoning.cli.options import say
from scale_reasoning.errors import ConfigError
from scale_reasoning.prices import HIGHEST, Price, Prices, make_uniform, read_prices
from scale_reasoning.runs.manifest import Manifest, models_of

if TYPE_CHECKING:
    from scale_reasoning.runs.cap import Cap, CappedJournal
    from scale_reasoning.runs.store import Store


def add_prices(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Adds the flag with the prices."""
    parser.add_argument(
        "--prices",
        metavar="FILE|PROMPT,CACHED,COMPLETION",
        help=f"prices per million tokens, a TOML file by model or three numbers for all: {purpose}",
    )


def read_prices_flag(text: str | None) -> Prices | None:
    """The prices of the flag. Raises ConfigError."""
    if text is None:
        return None
    if text.endswith(".toml") or Path(text).is_file():
        return read_prices(Path(text))
    try:
        prompt, cached, completion = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--prices {text}: must be a file, or three numbers, PROMPT,CACHED,COMPLETION") from None
    if not all(0 <= price <= HIGHEST for price in (prompt, cached, completion)):
        raise ConfigError(f"--prices {text}: a price must be from 0 to {HIGHEST:,.0f}")
    return make_uniform(Price(prompt=prompt, cached=cached, completion=completion), f"--prices {text}")


def read_caps(flags: RunFlags, manifest: Manifest) -> tuple[Cap, ...]:
    """The caps of the flags. Raises ConfigError, also for a model of the run that has no price."""
    from scale_reasoning.runs.cap import CostCap, TokenCap

    caps: list[Cap] = [] if flags.max_tokens_total is None else [TokenCap(most=flags.max_tokens_total)]
    prices = read_prices_flag(flags.prices)
    if flags.max_cost is None:
        if prices is not None:
            raise ConfigError("--prices: a run needs prices only for --max-cost; give them to `scale report`")
        return tuple(caps)
    if prices is None:
        raise ConfigError(f"--max-cost {flags.max_cost:g}: needs --prices FILE")
    if not (math.isfinite(flags.max_cost) and flags.max_cost > 0):
        raise ConfigError(f"--max-cost {flags.max_cost:g}: must be more than 0")
    for cell in manifest.cells:
        if cell.model.model or not cell.model.base_url:  # else the server has yet to name it
            prices.require(models_of(cell.model))
    return (*caps, CostCap(most=flags.max_cost, prices=prices))


def make_cap(store: Store, caps: tuple[Cap, ...]) -> CappedJournal | None:
    """The journal and gate of a run with these caps; None without any."""
    from scale_reasoning.runs.cap import CappedJournal

    return CappedJournal(store, caps, say=say) if caps else None


def write_caps(flags: RunFlags, amounts: Sequence[float] = ()) -> str:
    """The flags of the caps as a command has them; with `amounts`, in the order of `read_caps`, in place of theirs."""
    given = [amount for amount in (flags.max_tokens_total, flags.max_cost) if amount is not None]
    left, words = iter(amounts or given), list[str]()
    if flags.max_tokens_total is not None:
        words.append(f"--max-tokens-total {math.ceil(next(left))}")
    if flags.max_cost is not None:
        words.append(f"--max-cost {next(left):g} --prices {flags.prices}")
    return " ".join(words)
