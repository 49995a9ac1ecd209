"""SCALE: selective resource allocation for test-time scaling in mathematical reasoning.

async with connect(Connection(model="Qwen/Qwen3-32B", base_url="http://127.0.0.1:8000/v1")) as endpoints:
    record = await solve("How many primes are below 100?", Scale(tau=0.2), endpoints=endpoints)
"""

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
from scale_reasoning.types import Completion, Delta, Engine, Message, Mode, Problem, Record, Request, Solution

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
