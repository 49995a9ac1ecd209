"""Seconds to grade: 10,000 integer answers, 1,000 symbolic ones, and the same 1,000 with five that never end.

python benchmarks/grading.py
"""

from __future__ import annotations

import asyncio
import time

from scale_reasoning.graders.integer import Integer
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Solution


async def integers(count: int) -> float:
    grader, problem, solution = Integer(), Problem(id="p", text="", answer="1234"), Solution(answer=r"m+n=1{,}234")
    started = time.perf_counter()
    for _ in range(count):
        assert (await grader.grade(problem, solution)).correct
    return time.perf_counter() - started


async def symbolic(count: int, endless: int) -> float:
    async with Symbolic() as grader:
        pairs = [(rf"\sqrt{{{4 * n}}}", rf"2\sqrt{{{n}}}") for n in range(2, count + 2 - endless)]
        pairs += [("1", "9^{9^{9}}")] * endless
        await grader.same(*pairs[0])
        started = time.perf_counter()
        grades = await together(grader.same(*pair) for pair in pairs)
        seconds = time.perf_counter() - started
    assert sum(grade.correct for grade in grades) == count - endless
    return seconds


def main() -> None:
    print(f"10,000 integer gradings: {asyncio.run(integers(10_000)):.2f} s")
    clean, slowed = (asyncio.run(symbolic(1_000, endless)) for endless in (0, 5))
    print(f"1,000 symbolic gradings: {clean:.1f} s; five of them endless (5 s each, two workers): {slowed:.1f} s")


if __name__ == "__main__":
    main()
