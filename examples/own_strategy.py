"""A strategy of your own: a frozen dataclass with `solve` and a bound on its calls.

Here: solve twice, and think a third time where the two answers differ.

python examples/own_strategy.py
"""

import asyncio
from dataclasses import dataclass

from scale_reasoning import LM, Connection, CoT, Mode, Problem, Solution, connect, solve


@dataclass(frozen=True, kw_only=True)
class SecondOpinion:
    """Two fast chains; where they differ, a slow one decides."""

    quick: CoT = CoT(mode=Mode.SYSTEM1)
    slow: CoT = CoT(mode=Mode.SYSTEM2)

    def most_calls(self) -> int:
        return 3

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        first = await self.quick.solve(problem, lm.at("first"))
        second = await self.quick.solve(problem, lm.at("second"))
        if first.answer is not None and first.answer == second.answer:
            return first
        return await self.slow.solve(problem, lm.at("third"))


async def main() -> None:
    async with connect(Connection(model="smollm2")) as endpoints:
        record = await solve("What is 17 + 25?", SecondOpinion(), endpoints=endpoints)
    print("calls:", [call.path for call in record.calls])
    print("answer:", record.solution and record.solution.answer)


if __name__ == "__main__":
    asyncio.run(main())
