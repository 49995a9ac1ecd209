"""Which models there are: the server's own list, and the served model under the name of every strategy."""

from __future__ import annotations

import asyncio

import msgspec

from scale_reasoning.engines.listing import at
from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.upstream import Upstream


class ModelList:
    """The server's models and the served one's strategies, fetched when first asked for and then kept for a while."""

    SECONDS = 60.0

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._entries: dict[str, JSON] = {}
        self._fresh_until = 0.0

    async def entries(self) -> dict[str, JSON]:
        """Every entry by its id."""
        now = asyncio.get_running_loop().time()
        if now >= self._fresh_until:
            listed = await self._upstream.models()
            own = [self._upstream.model, *(f"{self._upstream.model}@{name}" for name in STRATEGIES)]
            self._entries = {name: _entry(name) for name in own} | {
                str(at(entry, "id")): entry for entry in listed if at(entry, "id")
            }
            self._fresh_until = now + (self.SECONDS if listed else 0)
        return self._entries

    async def whole(self) -> bytes:
        """The list as the protocol spells it."""
        return msgspec.json.encode({"object": "list", "data": list((await self.entries()).values())})

    async def one(self, name: str) -> bytes:
        """One entry. Raises Refusal (404) when there is none of that name."""
        entry = (await self.entries()).get(name)
        if entry is None:
            raise Refusal(404, "model_not_found", "there is no model of this name", "model")
        return msgspec.json.encode(entry)


def _entry(name: str) -> JSON:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scale"}
