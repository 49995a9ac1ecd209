"""How well a run fills a server, and what sweeps save, on the simulated server's virtual clock.

    python benchmarks/scheduling.py

Makespan of 30 problems x 8 samples of SCALE at 64 slots, beside the bound max(longest chain, total work / slots); new
tokens of a sweep of eight taus and of one of six limits, beside separate runs.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.runs.simulated import MODEL, fresh, manifest, problems

from scale_reasoning import endpoints
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.sim import Sim, Speeds, run_virtual
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.run import run
from scale_reasoning.runs.store import create, reading

SLOTS = 64
TAUS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
LIMITS = [4096, 6144, 8192, 12288, 16384, 32768]


def makespan(folder: Path, slots: int, spread: float) -> tuple[float, Sim]:
    plan = manifest([{"name": "scale"}], samples=8)

    async def timed() -> tuple[float, Sim]:
        engine = Sim(Speeds(slots=slots, spread=spread))
        with create(folder, plan, {"d": problems(30)}) as store:
            models = {MODEL: endpoints(Retrying(Limited(engine, in_flight=slots)), "sim")}
            await run(store, models)
        return asyncio.get_running_loop().time(), engine

    return run_virtual(timed())


def tokens(folder: Path, cells: list[dict[str, object]], *, reuse: bool = True) -> int:
    fresh(folder, manifest(cells, samples=2, reuse=reuse), 30, Sim())
    with reading(folder) as store:
        return store.paid()[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for spread in (0.4, 0.6, 0.8):
            seconds, engine = makespan(folder / f"run {spread}", SLOTS, spread)
            makespan(folder / f"free {spread}", 100_000, spread)
            longest = max(outcome.seconds for outcome in cells_of(folder / f"free {spread}")[0].outcomes)
            bound = max(longest, engine.busy_seconds / SLOTS)
            print(f"spread {spread}: makespan {seconds:,.0f} s, bound {bound:,.0f} s, longest chain {longest:,.0f} s: "
                  f"{seconds / bound:.3f}x")  # fmt: skip
        for what, cells in (
            ("tau sweep of 8", [{"name": "scale", "tau": tau} for tau in TAUS]),
            ("tau sweep of 8, titles", [{"name": "scale", "tau": tau, "assess.context": "titles"} for tau in TAUS]),
            ("budget sweep of 6", [{"name": "scale", "tau": 0.2, "system2_max_tokens": limit} for limit in LIMITS]),
        ):
            swept = tokens(folder / what, cells)
            apart = sum(tokens(folder / f"{what} {n}", [cell], reuse=False) for n, cell in enumerate(cells))
            print(f"{what}: {swept:,} new tokens, {apart:,} in separate runs: {swept / apart:.2f}x")


if __name__ == "__main__":
    main()
