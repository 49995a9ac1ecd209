"""Where the calls of a mode go, and the request for it. Knows nothing of paths, journals or sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from scale_reasoning.fit import HOPEFUL, MIN_NEW_TOKENS, prompt_tokens
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.types import MOST_LOGPROBS, Engine, Message, Mode, Request, Schema, SolveMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the calls of a mode go: an engine, the model's name there, and the mode's profile.

    `window` counts tokens, prompt and reply together; None where unknown.
    """

    engine: Engine
    model: str
    profile: ModeProfile
    window: int | None = None


Endpoints: TypeAlias = Mapping[Mode, Endpoint]


def request_for(
    endpoints: Endpoints,
    messages: tuple[Message, ...],
    mode: Mode,
    seed: int,
    max_tokens: int | None,
    schema: Schema | None,
    logprobs: int | None = None,
) -> Request:
    """The request for these messages in the form that the endpoint's family needs, clipped to its window.

    Raises ValueError for `logprobs` out of bounds.
    """
    if logprobs is not None and not 0 <= logprobs <= MOST_LOGPROBS:
        raise ValueError(f"logprobs: {logprobs}: must be from 0 to {MOST_LOGPROBS}")
    endpoint = endpoints[mode]
    profile = endpoint.profile
    *earlier, last = (_write_turn(endpoints, message) for message in messages)
    if profile.suffix:
        last = Message(last.role, f"{last.content}\n\n{profile.suffix}")
    messages = (*earlier, last)
    limits = [limit for limit in (max_tokens, profile.max_tokens) if limit is not None]
    if endpoint.window is not None:
        # Hopeful first, so that a long prompt loses no room to an estimate; fit.py answers a refusal.
        limits.append(max(endpoint.window - prompt_tokens(messages, HOPEFUL), MIN_NEW_TOKENS))
    return Request(
        model=endpoint.model,
        messages=messages,
        mode=mode,
        seed=seed,
        max_tokens=min(limits, default=None),
        sampling=profile.sampling,
        schema=schema,
        extras=profile.extras,
        starts_thinking=profile.starts_thinking,
        limit_key=profile.limit_key,
        think=profile.think,
        logprobs=logprobs,
    )


def _write_turn(endpoints: Endpoints, message: Message) -> Message:
    """A turn as it is sent: one that asks for a solution ends in what its mode's family says of solutions."""
    if not isinstance(message, SolveMessage):
        return message
    sentence = endpoints[message.mode].profile.sentence
    return Message(message.role, f"{message.content}\n\n{sentence}" if sentence else message.content)
