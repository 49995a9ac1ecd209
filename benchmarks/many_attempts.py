"""Memory of a run of many attempts on the simulated server: finished text must leave it.

    python benchmarks/many_attempts.py [attempts]

Prints peak memory and time at a tenth of the attempts and at all of them.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.runs.simulated import fresh, manifest

from scale_reasoning.engines.sim import Sim


def main() -> None:
    attempts = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for count in (attempts // 10, attempts):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            fresh(Path(folder) / "run", manifest([{"name": "cot"}], samples=8), count // 8, Sim())
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{count:,} attempts: peak {peak:.0f} MB, {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
