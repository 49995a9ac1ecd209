"""A chat request to a strategy model, read: every parameter is honoured or refused with a reason.

Decides which parameters of OpenAI's protocol a strategy can keep, and within which bounds. Knows nothing of how a
problem is solved or an answer is written.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec

from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import problem_of
from scale_reasoning.types import JSON, Problem
from scale_reasoning.web.proxy.conversation import problem_text
from scale_reasoning.web.proxy.names import Name, capped, strategy_of
from scale_reasoning.web.proxy.refusals import Refusal, invalid, unsupported

MOST_CHOICES, MOST_STOPS, LONGEST_STOP = 16, 16, 500

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One request, ready to be run.

    `model` is the name it asked for. `sampling` replaces the profile's values, key by key. `token_budget` bounds
    the new tokens of all calls together (None: the server's bound alone). `record` asks for the record in the answer.
    """

    model: str
    strategy: Strategy
    problem: Problem
    seed: int
    choices: int
    stops: tuple[str, ...]
    sampling: Mapping[str, float | int]
    token_budget: int | None
    stream: bool
    include_usage: bool
    record: bool


class Envelope(msgspec.Struct):
    """What is read of every request, those that are passed through too."""

    model: str
    messages: list[msgspec.Raw] = []


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    top_k: int | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=MOST_CHOICES)] | None = None
    reasoning_effort: str | None = None
    scale: dict[str, Any] | None = None


_SAID_NOTHING: dict[str, tuple[JSON, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "store": (False,),
}
"""Values of parameters without support that ask for nothing: some clients send them always."""

_ABOUT_THE_CALLER = {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"}
"""What says nothing of the answer wanted, and is read by nobody here."""

_REASONS = {
    "tools": "a method's calls use none",
    "functions": "a method's calls use none",
    "response_format": "the answer is mathematics in plain text",
    "logprobs": "an answer is the work of many calls",
    "top_logprobs": "an answer is the work of many calls",
    "audio": "text only",
    "modalities": "text only",
}


def envelope(content: bytes, *, most_messages: int) -> Envelope:
    """The model's name in a request's body. Raises Refusal for a body that is no chat request, or too long a one."""
    try:
        read = msgspec.json.decode(content, type=Envelope)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not JSON: {error}") from None
    if len(read.messages) > most_messages:
        raise invalid(
            "messages", f"{len(read.messages)} of them, at most {most_messages} here", "array_above_max_length"
        )
    return read


def read(content: bytes, name: Name) -> Chat:
    """The request in full. Raises Refusal naming the parameter that is wrong or cannot be honoured."""
    said: dict[str, Any] = {key: value for key, value in msgspec.json.decode(content).items() if value is not None}
    body = _body(said)
    record, budget, knobs = _own(body.scale or {})
    strategy = strategy_of(name, knobs, body.reasoning_effort)
    limits = [limit for limit in (body.max_tokens, body.max_completion_tokens) if limit is not None]
    choices = body.n or 1
    if record and choices > 1:
        raise invalid("scale.record", "needs n = 1")
    return Chat(
        model=body.model,
        strategy=capped(strategy, min(limits)) if limits else strategy,
        problem=problem_of(problem_text(body.messages)),
        seed=secrets.randbits(31) if body.seed is None else body.seed,
        choices=choices,
        stops=_stops(body.stop),
        sampling={key: said[key] for key in ("temperature", "top_p", "top_k", "min_p") if key in said},
        token_budget=budget,
        stream=body.stream or False,
        include_usage=_include_usage(body.stream_options or {}, streams=body.stream or False),
        record=record,
    )


def _body(said: Mapping[str, Any]) -> _Body:
    known: dict[str, Any] = {}
    for key, value in said.items():
        if key in _Body.__struct_fields__:
            known[key] = value
        elif key not in _ABOUT_THE_CALLER and value not in _SAID_NOTHING.get(key, ()):
            raise unsupported(key, _REASONS.get(key, "it would be without effect"))
    try:
        return msgspec.convert(known, _Body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _own(scale: Mapping[str, JSON]) -> tuple[bool, int | None, dict[str, JSON]]:
    """Of the body's `scale` object: whether the record is wanted, the token budget, and the strategy's knobs."""
    knobs = dict(scale)
    record, budget = knobs.pop("record", False), knobs.pop("token_budget", None)
    if not isinstance(record, bool):
        raise invalid("scale.record", "must be true or false")
    if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 1):
        raise invalid("scale.token_budget", "must be a whole number of tokens, at least 1")
    return record, budget, knobs


def _stops(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MOST_STOPS or any(not 0 < len(each) <= LONGEST_STOP for each in stops):
        raise invalid("stop", f"must be at most {MOST_STOPS} texts of 1 to {LONGEST_STOP} characters")
    return stops


def _include_usage(options: Mapping[str, JSON], *, streams: bool) -> bool:
    for key, value in options.items():
        if key not in ("include_usage", "include_obfuscation") or not isinstance(value, bool):
            raise invalid(f"stream_options.{key}", "only include_usage is known, true or false")
    if options and not streams:
        raise invalid("stream_options", "needs stream = true")
    return bool(options.get("include_usage"))


def _invalid(error: msgspec.ValidationError) -> Refusal:
    told, _, where = str(error).partition(" - at `$")
    param = re.sub(r"^\.|`$", "", where)
    missing = re.search(r"missing required field `(\w+)`", told)
    return invalid(missing[1] if missing else param or "body", told[:1].lower() + told[1:])
