"""Whether the model servers are there, accept the key and have the model: asked at the start, and until they do.

Decides what ends the start and what is waited for. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scale_reasoning.engines.listing import check_model, read_list
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.errors import ConfigError, EngineError, Rejected
from scale_reasoning.web.proxy.refusals import KEY_REFUSED

PROBE_SECONDS = 5.0
"""Seconds a model server is given to list its models."""

AGAIN_SECONDS = 2.0
"""Seconds between two questions to a server that is not ready."""

NO_LIST = (404, 405, 501)
"""Statuses of a server that has no list of models: whether it has the model shows with the first request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A model server, and the model that is wanted of it."""

    server: OpenAI | Llama
    model: str


class Readiness:
    """`why` says what is missing; None when nothing is. `seconds` is how soon that may have changed."""

    seconds = AGAIN_SECONDS

    def __init__(self, asked: Sequence[Asked]) -> None:
        self.why: str | None = "the model server was not asked yet"
        self._asked = tuple(asked)

    async def first(self) -> None:
        """Asks for the first time. Raises ConfigError for a refused key, or a model that a server does not have."""
        wrong = await self._ask()
        if wrong is not None:
            raise wrong

    async def settle(self, say: Callable[[str], None]) -> None:
        """Asks again until everything is there, and says so; says what is missing when that changes."""
        lacked = self.why
        while lacked is not None:
            await asyncio.sleep(self.seconds)
            await self._ask()
            lacks = self.why
            if lacks != lacked:
                say("ready" if lacks is None else f"not ready: {lacks}")
            lacked = lacks

    async def _ask(self) -> ConfigError | None:
        """Sets `why`; returns the error that waiting will not help."""
        for asked in self._asked:
            try:
                await _has(asked)
            except ConfigError as error:
                self.why = str(error)
                return error
            except (EngineError, TimeoutError) as error:
                silent = f"{asked.server.base_url} did not list its models in {PROBE_SECONDS:g} s"
                self.why = silent if isinstance(error, TimeoutError) else str(error)
                return None
        self.why = None
        return None


async def _has(asked: Asked) -> None:
    """Raises ConfigError where the server is the wrong one for this model or key, EngineError where it does not say."""
    if isinstance(asked.server, Llama):
        return  # it was started with this model
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            entries = read_list(await asked.server.fetch("/models"))
    except Rejected as error:
        if error.status in NO_LIST:
            return
        if error.status in KEY_REFUSED:
            raise ConfigError(f"the API key was refused: {error}") from None
        raise
    if not entries or f"{asked.model}:latest" in entries:  # Ollama leaves this tag out when it is asked for a model
        return
    found = check_model(asked.model, entries)
    if found.verdict == "no":
        raise ConfigError(f"{asked.server.base_url}: model {found.found}; {found.fix}")
