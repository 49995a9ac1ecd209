"""Asks until a reply parses, a bounded number of times.

Decides how often, and the path of each try (`.../assess`, `.../assess/try2`, ...), so that each has its own seed.
Malformed replies of the model are caught here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from scale_reasoning.errors import ParseError
from scale_reasoning.lm import LM
from scale_reasoning.types import Completion, Message, Mode, Schema, Stage

T = TypeVar("T")


async def ask(
    lm: LM,
    messages: tuple[Message, ...],
    parse: Callable[[str], T],
    *,
    mode: Mode,
    tries: int,
    stage: Stage = Stage.SOLVE,
    max_tokens: int | None = None,
    schema: Schema | None = None,
) -> T:
    """The first reply that `parse` reads, in at most `tries` calls.

    `parse` takes the reply's text and raises ValueError if it cannot read it. A reply that is cut off is not parsed,
    because its end may be missing. Raises ParseError with every reply when none parses.
    """
    return await ask_completion(
        lm,
        messages,
        lambda completion: parse(completion.text),
        mode=mode,
        tries=tries,
        stage=stage,
        max_tokens=max_tokens,
        schema=schema,
    )


async def ask_completion(
    lm: LM,
    messages: tuple[Message, ...],
    read: Callable[[Completion], T],
    *,
    mode: Mode,
    tries: int,
    stage: Stage = Stage.SOLVE,
    max_tokens: int | None = None,
    schema: Schema | None = None,
    logprobs: int | None = None,
) -> T:
    """As `ask`; `read` takes the whole completion, with the log-probabilities of its tokens if they are asked for."""
    replies: list[str] = []
    for number in range(1, tries + 1):
        attempt = lm if number == 1 else lm.at(f"try{number}")
        completion = await attempt.chat(
            messages, mode=mode, stage=stage, max_tokens=max_tokens, schema=schema, logprobs=logprobs
        )
        if not completion.cut_off:
            try:
                return read(completion)
            except ValueError:
                pass
        replies.append(completion.text)
    error = ParseError(f"no reply of {tries} could be read", tuple(replies))
    error.path = lm.path
    raise error
