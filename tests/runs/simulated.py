"""Runs on the simulated server and its virtual clock, for tests and benchmarks of everything around a strategy."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scale_reasoning.engines import endpoints
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import Store, create, resume
from scale_reasoning.types import Completion, Engine, OnDelta, Problem, Request

MODEL = ModelSpec(model="sim")


def problems(count: int) -> list[Problem]:
    return [Problem(id=f"p{n:05}", text=f"Problem number {n}. " * (1 + n % 7), answer=str(n % 4)) for n in range(count)]


def manifest(strategies: Sequence[dict[str, Any]], *, samples: int = 2, reuse: bool = True) -> Manifest:
    cells = tuple(CellSpec(dataset=DatasetSpec(name="d"), model=MODEL, strategy=each) for each in strategies)
    return Manifest(cells=cells, samples=samples, reuse=reuse).normalise()


class Broken(Exception):
    """The process was killed here."""


class Fuse:
    """An engine that is killed with everything around it once it has answered `calls` calls."""

    def __init__(self, engine: Engine, calls: int) -> None:
        self.engine, self.left = engine, calls

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        completion = await self.engine.generate(request, on_delta)
        if self.left == 0:
            raise Broken
        self.left -= 1
        return completion


def go(store: Store, engine: Engine, *, in_flight: int = 64, attempts: int = 256) -> None:
    models = {MODEL: endpoints(Retrying(Limited(engine, in_flight=in_flight)), "sim")}
    run_virtual(run(store, models, attempts_in_flight=attempts))


def fresh(folder: Path, plan: Manifest, count: int, engine: Engine, **more: int) -> None:
    with create(folder, plan, {"d": problems(count)}) as store:
        go(store, engine, **more)


def again(folder: Path, engine: Engine, **more: int) -> None:
    with resume(folder) as store:
        go(store, engine, **more)


def content(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a run's database but times."""
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
        return {
            table: [tuple(map(_timeless, row)) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]
            for table in ("problems", "completions", "attempts")
        }


def _timeless(value: Any) -> Any:
    return re.sub(rb'"(model_)?seconds":[0-9.e+-]+', b"", value) if isinstance(value, bytes) else value


__all__ = ["Broken", "Fuse", "Sim", "Speeds", "again", "content", "fresh", "go", "manifest", "problems"]
