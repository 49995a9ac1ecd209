"""An engine of your own: anything with one `generate`. Here, a calculator that poses as a model.

python examples/own_engine.py
"""

import asyncio
import re

from scale_reasoning import Completion, Delta, Request, Scale, endpoints, solve
from scale_reasoning.types import OnDelta, Usage


class Calculator:
    """Adds the numbers of the problem; rates every step easy."""

    async def generate(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        asked = request.schema.name if request.schema else None
        if asked == "decomposition":
            text = '{"subproblems": ["What is the sum of the numbers?"]}'
        elif asked == "difficulty":
            text = '{"difficulty": 0.1}'
        else:
            problem = request.messages[1].content.split("\n")[0]
            text = rf"The sum is \boxed{{{sum(map(int, re.findall(r'[0-9]+', problem)))}}}."
        if on_delta is not None:
            on_delta(Delta(text=text))
        return Completion(text=text, finish_reason="stop", usage=Usage(prompt_tokens=0, completion_tokens=len(text)))


async def main() -> None:
    record = await solve("What is 17 + 25?", Scale(candidates=1), endpoints=endpoints(Calculator(), "calculator"))
    print("answer:", record.solution and record.solution.answer)


if __name__ == "__main__":
    asyncio.run(main())
