"""SCALE's options as former versions wrote them, read as what they meant: runs and recipes that exist go on.

Until allocators and assessors were values, `tau`, `route`, `random_share`, `last_mode` and `assess_context` stood side
by side, whether the route used them or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from scale_reasoning.types import JSON

FORMER = frozenset({"random_share", "last_mode", "assess_context"})


def modernise_tree(described: Mapping[str, JSON]) -> dict[str, JSON]:
    """A described strategy, and those under it, in today's form."""
    today = modernise(str(described.get("name")), described)
    return {
        key: modernise_tree(cast("Mapping[str, JSON]", value)) if isinstance(value, Mapping) else value
        for key, value in today.items()
    }


def modernise(name: str, settings: Mapping[str, JSON]) -> dict[str, JSON]:
    """The settings of a strategy in today's form; they are unchanged if no former option is among them."""
    if name != "scale" or not FORMER & settings.keys():
        return dict(settings)
    today = {key: value for key, value in settings.items() if key not in FORMER}
    route = today.get("route", "threshold")
    if isinstance(route, str):
        tau, share = today.pop("tau", None), settings.get("random_share")
        used: Mapping[str, JSON] = {"threshold": {"tau": tau}, "random": {"share": share}}.get(route, {})
        table: dict[str, JSON] = {"name": route, **{key: value for key, value in used.items() if value is not None}}
        if route in ("system1", "system2"):
            table = {"name": "always", "mode": route}
        last_thinks = settings.get("last_mode") == "system2"
        today["route"] = {"name": "last-thinks", "then": table} if last_thinks else table
    if "assess_context" in settings:
        today["assess"] = {"name": "rated", "context": settings["assess_context"]}
    return today
