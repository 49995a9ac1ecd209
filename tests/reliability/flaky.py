"""A model whose every reply follows from the request, on a server that fails a share of them, in mixed ways."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from typing import Any

from aiohttp import web
from tests.engines.faults import FAULTS, Ask
from tests.servers import stream

WAYS = (
    "429", "429-for-no-time", "500", "502-html", "503", "reset", "reset-in-stream", "truncated", "truncated-in-event",
    "malformed-event", "short-of-its-length", "no-choices", "error-in-stream", "200-html", "closed-in-headers",
)  # fmt: skip


class Flaky:
    """A handler (see tests.servers). Which requests fail, and how, is drawn from their content and their number.

    `asked` and `answered` count by request; `ways` counts the failures.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.asked, self.answered, self.ways = Counter[str](), Counter[str](), Counter[str]()

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        name = named(body)
        self.asked[name] += 1
        chance = random.Random(f"{name} {self.asked[name]}")
        if chance.random() < self.share:
            way = chance.choice(WAYS)
            self.ways[way] += 1
            return await FAULTS[way](Ask(request, body, self.asked[name]))
        response = await stream(request, reply_to(body))
        self.answered[name] += 1
        return response


def named(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def reply_to(body: dict[str, Any]) -> str:
    """Two sub-problems, a difficulty and an answer that no other request has."""
    chance = random.Random(named(body))
    form = body.get("response_format", {}).get("json_schema", {}).get("name")
    if form == "decomposition":
        return json.dumps({"subproblems": [f"How much is {chance.randrange(10**6)}?", f"And {chance.randrange(99)}?"]})
    if form == "choice":
        return json.dumps({"choice": chance.randint(1, 2)})
    if form == "difficulty":
        return json.dumps({"difficulty": chance.randrange(100) / 100})
    return f"It is \\boxed{{{chance.randrange(4)}}}."
