"""Whether the model servers can be reached, accept the key and have the model: checked at the start, until they do.

Decides which problem ends the start and which is waited for. Does not know requests.
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
"""Time limit for a model server to list its models."""

AGAIN_SECONDS = 2.0
"""Seconds between two checks of a server that is not ready."""

NO_LIST = (404, 405, 501)
"""Statuses of a server without a list of models; only the first request shows whether it has the model."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model server, and the model that it should have."""

    server: OpenAI | Llama
    model: str


class Readiness:
    """`why` says what is missing, None if nothing is. `seconds` is the time until the next check."""

    seconds = AGAIN_SECONDS

    def __init__(self, targets: Sequence[Target]) -> None:
        self.why: str | None = "the model server has not been checked yet"
        self._targets = tuple(targets)

    async def first(self) -> None:
        """Checks for the first time. Raises ConfigError for a refused key, or a model that a server does not have."""
        wrong = await self._ask()
        if wrong is not None:
            raise wrong

    async def settle(self, say: Callable[[str], None]) -> None:
        """Checks again until nothing is missing; says what is missing whenever that changes."""
        lacked = self.why
        while lacked is not None:
            await asyncio.sleep(self.seconds)
            await self._ask()
            lacks = self.why
            if lacks != lacked:
                say("ready" if lacks is None else f"not ready: {lacks}")
            lacked = lacks

    async def _ask(self) -> ConfigError | None:
        """Sets `why`; returns an error that waiting does not fix."""
        for target in self._targets:
            try:
                await _require_model(target)
            except ConfigError as error:
                self.why = str(error)
                return error
            except (EngineError, TimeoutError) as error:
                silent = f"{target.server.base_url} did not list its models in {PROBE_SECONDS:g} s"
                self.why = silent if isinstance(error, TimeoutError) else str(error)
                return None
        self.why = None
        return None


async def _require_model(target: Target) -> None:
    """Raises ConfigError if the server does not have the model or refuses the key, EngineError if it cannot say."""
    if isinstance(target.server, Llama):
        return  # it was started with this model
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            entries = read_list(await target.server.fetch("/models"))
    except Rejected as error:
        if error.status in NO_LIST:
            return
        if error.status in KEY_REFUSED:
            raise ConfigError(f"the API key was refused: {error}") from None
        raise
    if not entries or f"{target.model}:latest" in entries:  # Ollama leaves this tag out of the name
        return
    found = check_model(target.model, entries)
    if found.verdict == "no":
        raise ConfigError(f"{target.server.base_url}: model {found.found}; {found.fix}")
