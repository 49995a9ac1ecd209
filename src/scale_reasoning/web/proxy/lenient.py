"""`--lenient`: the plain model in place of a strategy that cannot honour a request, and the header that says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scale_reasoning.types import JSON

LENIENT = "x-scale-lenient"
"""The header of a response that the plain model gave in a strategy's place. It names what was asked of the strategy."""

MOST_NAMED = 8
"""Parameters that the header names."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,63}")


def name_params(params: Sequence[str]) -> str:
    """Names of parameters as a header has them: no other text of a client goes into a header."""
    named = [param if _PLAIN_NAME.fullmatch(param) else "other" for param in params]
    return ", ".join(dict.fromkeys(named[:MOST_NAMED])) + (", ..." if len(named) > MOST_NAMED else "")


def make_plain(said: Mapping[str, JSON], model: str) -> dict[str, JSON]:
    """The body of a request as the plain model gets it: under its own name, without what is for strategies."""
    return {**{key: value for key, value in said.items() if key != "scale"}, "model": model}
