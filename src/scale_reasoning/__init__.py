"""SCALE: selective resource allocation for test-time scaling in mathematical reasoning.

async with connect(Connection(model="Qwen/Qwen3-32B", base_url="http://127.0.0.1:8000/v1")) as endpoints:
    record = await solve("How many primes are below 100?", Scale(), endpoints=endpoints)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scale_reasoning.ask import ask
    from scale_reasoning.engines import Connection, connect, endpoints
    from scale_reasoning.engines.scripted import Scripted
    from scale_reasoning.engines.sim import Sim, run_virtual
    from scale_reasoning.errors import ConfigError, EngineError, ScaleError, StrategyError
    from scale_reasoning.lm import LM, Strategy
    from scale_reasoning.runs.attempt import attempt, solve
    from scale_reasoning.strategies import STRATEGIES
    from scale_reasoning.strategies.cot import CoT
    from scale_reasoning.strategies.inftythink import InftyThink
    from scale_reasoning.strategies.scale import Scale
    from scale_reasoning.strategies.vote import Vote
    from scale_reasoning.types import (
        Completion,
        Delta,
        Engine,
        Message,
        Mode,
        Problem,
        Record,
        Request,
        Solution,
    )

__all__ = [
    "LM",
    "STRATEGIES",
    "CoT",
    "Completion",
    "ConfigError",
    "Connection",
    "Delta",
    "Engine",
    "EngineError",
    "InftyThink",
    "Message",
    "Mode",
    "Problem",
    "Record",
    "Request",
    "Scale",
    "ScaleError",
    "Scripted",
    "Sim",
    "Solution",
    "Strategy",
    "StrategyError",
    "Vote",
    "ask",
    "attempt",
    "connect",
    "endpoints",
    "run_virtual",
    "solve",
]

_PLACES = {
    "ask": ("ask",),
    "engines": (
        "Connection",
        "connect",
        "endpoints",
    ),
    "engines.scripted": ("Scripted",),
    "engines.sim": (
        "Sim",
        "run_virtual",
    ),
    "errors": (
        "ConfigError",
        "EngineError",
        "ScaleError",
        "StrategyError",
    ),
    "lm": (
        "LM",
        "Strategy",
    ),
    "runs.attempt": (
        "attempt",
        "solve",
    ),
    "strategies": ("STRATEGIES",),
    "strategies.cot": ("CoT",),
    "strategies.inftythink": ("InftyThink",),
    "strategies.scale": ("Scale",),
    "strategies.vote": ("Vote",),
    "types": (
        "Completion",
        "Delta",
        "Engine",
        "Message",
        "Mode",
        "Problem",
        "Record",
        "Request",
        "Solution",
    ),
}
"""The public names by the module that each comes from, which is imported when the name is first asked for: the `scale`
command answers Ctrl-C before anything else is loaded.
"""


def __getattr__(name: str) -> object:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
