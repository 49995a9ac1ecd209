"""SCALE from Python in ten lines, on the student, which solves such problems only. Other models: Connection() is the
default one, Connection(model=..., base_url=...) is a server's.

python examples/ten_lines.py
"""

import asyncio

from scale_reasoning import Connection, Scale, connect, solve


async def main() -> None:
    async with connect(Connection(model="student")) as endpoints:
        record = await solve("C = 517. D = C + 8. E = D × 7. Find E.", Scale(), endpoints=endpoints, answer="3675")
    for step in record.solution.steps if record.solution else ():
        print(step.mode, step.difficulty, step.subproblem)
    print("answer:", record.solution and record.solution.answer, "correct:", record.grade and record.grade.correct)
    print("tokens:", record.usage.total.completion_tokens)


if __name__ == "__main__":
    asyncio.run(main())
