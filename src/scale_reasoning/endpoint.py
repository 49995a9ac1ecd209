"""Where the calls of a mode go, and the request for it. Knows nothing of paths, journals or sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from scale_reasoning.errors import ConfigError
from scale_reasoning.fit import HOPEFUL, MIN_NEW_TOKENS, prompt_tokens
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.servers import GENERIC, Server, add_budget, add_effort, find_server, keeps_budget, list_efforts
from scale_reasoning.types import JSON, MOST_LOGPROBS, Engine, Message, Mode, Request, Schema, SolveMessage

ANSWER_TOKENS = 512
"""New tokens that are held back for an answer where a thought has a budget, and the limit of a second call for one:
enough for a result, not for going on thinking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How much a request may think: most tokens of the thought, and a word of effort. None where nothing is said."""

    budget: int | None = None
    effort: str | None = None


FREELY = Thinking()
"""As the family's profile says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the calls of a mode go: an engine, the model's name there, and the mode's profile.

    `window` counts tokens, prompt and reply together; None where unknown. `server` is the kind of its server
    (servers.py), for which the profile's keys are.
    """

    engine: Engine
    model: str
    profile: ModeProfile
    window: int | None = None
    server: str = GENERIC

    @property
    def kind(self) -> Server:
        """The kind of its server."""
        return find_server(self.server)

    @property
    def keeps_budget(self) -> bool:
        """Whether its server is known to enforce a budget of thinking tokens."""
        return keeps_budget(self.profile, self.kind)

    def check_thinking(self, thinking: Thinking) -> None:
        """Raises ConfigError for an effort that the family or the server lacks, or a budget that is too small."""
        known = list_efforts(self.profile, self.kind)
        if thinking.effort is not None and thinking.effort not in known:
            taken = ", ".join(known) or "no effort at all: name a thinking budget, or none"
            raise ConfigError(f"effort {thinking.effort}: {self.model} (server: {self.kind.title}) takes {taken}")
        least = self.kind.least_budget
        if thinking.budget is not None and self.keeps_budget and thinking.budget < least:
            raise ConfigError(f"thinking budget {thinking.budget:,}: {self.kind.title} takes at least {least:,} tokens")

    def write_extras(self, thinking: Thinking, most: int | None) -> Mapping[str, JSON]:
        """The body keys of a request that thinks like this and has at most `most` new tokens.

        Of a budget that the server enforces, tokens for an answer are held back.
        """
        extras = self.profile.extras
        if thinking.effort is not None:
            extras = add_effort(extras, self.profile, self.kind, thinking.effort)
        if thinking.budget is not None and self.keeps_budget:
            extras = add_budget(extras, self.profile, self.kind, hold_back(thinking.budget, most))
        return extras


Endpoints: TypeAlias = Mapping[Mode, Endpoint]


def check_thinking(endpoints: Endpoints, mode: Mode, thinking: Thinking) -> None:
    """Raises ConfigError where the mode's model or server cannot think like this, or nothing would enforce a budget.

    A mode without an endpoint is left to its first call, which says what to do.
    """
    endpoint = endpoints.get(mode)
    if endpoint is None:
        return
    endpoint.check_thinking(thinking)
    is_enforced = mode is Mode.SYSTEM1 or endpoint.keeps_budget or Mode.SYSTEM1 in endpoints
    if thinking.budget is not None and not is_enforced:
        raise ConfigError(
            f"thinking budget {thinking.budget:,}: no server enforces it for {endpoint.model}, and the second call "
            f"that would is System 1's: {endpoint.profile.pair_hint}"
        )


def request_for(
    endpoints: Endpoints,
    messages: tuple[Message, ...],
    mode: Mode,
    seed: int,
    max_tokens: int | None,
    schema: Schema | None,
    logprobs: int | None = None,
    thinking: Thinking | None = None,
) -> Request:
    """The request for these messages in the form that the endpoint's family needs, clipped to its window.

    Raises ValueError for `logprobs` out of bounds, ConfigError for a `thinking` that the endpoint cannot do.
    """
    if logprobs is not None and not 0 <= logprobs <= MOST_LOGPROBS:
        raise ValueError(f"logprobs: {logprobs}: must be from 0 to {MOST_LOGPROBS}")
    endpoint = endpoints[mode]
    profile = endpoint.profile
    *earlier, last = (_write_turn(endpoints, message) for message in messages)
    if profile.suffix:
        last = Message(last.role, f"{last.content}\n\n{profile.suffix}")
    messages = _switch_in_system((*earlier, last), profile.system_suffix)
    limits = [limit for limit in (max_tokens, profile.max_tokens) if limit is not None]
    if endpoint.window is not None:
        # Hopeful first, so that a long prompt loses no room to an estimate; fit.py answers a refusal.
        limits.append(max(endpoint.window - prompt_tokens(messages, HOPEFUL), MIN_NEW_TOKENS))
    most = min(limits, default=None)
    if thinking is not None:
        endpoint.check_thinking(thinking)
    return Request(
        model=endpoint.model,
        messages=messages,
        mode=mode,
        seed=seed,
        max_tokens=most,
        sampling=profile.sampling,
        schema=schema,
        extras=profile.extras if thinking is None else endpoint.write_extras(thinking, most),
        starts_thinking=profile.starts_thinking,
        limit_key=profile.limit_key,
        think=profile.think,
        logprobs=logprobs,
    )


def explain_budget(endpoints: Endpoints) -> str | None:
    """What enforces a thinking budget where System 2's server is not known to; None where it is known to."""
    endpoint = endpoints.get(Mode.SYSTEM2)
    if endpoint is None or endpoint.keeps_budget:
        return None
    if not endpoint.profile.thinks:
        why = "the model is not known to think"
    elif endpoint.profile.takes_budget:
        why = f"kind of server {endpoint.server}: no key for it"
    else:
        why = "the model refuses one"
    return (
        f"no server enforces the thinking budget of {endpoint.model} ({why}): a thought that reaches it is cut off, "
        "and its answer asked for in a second call"
    )


def explain_family_limits(endpoints: Endpoints, limits: Mapping[Mode, int]) -> list[str]:
    """What is left of limits on new tokens that are above those of the model's family, a line for each."""
    return [
        f"{mode} of {endpoints[mode].model} writes at most {most:,} new tokens, the limit of its family, not "
        f"{limit:,} ({mode}_max_tokens); --profiles FILE raises it"
        for mode, limit in limits.items()
        if mode in endpoints and (most := endpoints[mode].profile.max_tokens) is not None and most < limit
    ]


def hold_back(budget: int, most: int | None) -> int:
    """The budget of a thought, so that of `most` new tokens ANSWER_TOKENS, or half if that is less, are left."""
    return budget if most is None else max(1, min(budget, max(most - ANSWER_TOKENS, most // 2)))


def _switch_in_system(messages: tuple[Message, ...], suffix: str) -> tuple[Message, ...]:
    """The messages with these words at the end of the system prompt, which is added where there is none."""
    if not suffix:
        return messages
    system = messages[0].content if messages[0].role == "system" else ""
    rest = messages[1:] if messages[0].role == "system" else messages
    return (Message("system", f"{system}\n\n{suffix}".strip()), *rest)


def _write_turn(endpoints: Endpoints, message: Message) -> Message:
    """A turn as it is sent: one that asks for a solution ends in what its mode's family says of solutions."""
    if not isinstance(message, SolveMessage):
        return message
    sentence = endpoints[message.mode].profile.sentence
    return Message(message.role, f"{message.content}\n\n{sentence}" if sentence else message.content)
