"""Reads a chat request to a strategy model: every parameter is supported or refused with a reason.

Decides which parameters of OpenAI's protocol a strategy supports, and within which bounds. Does not know how a problem
is solved or a response is written.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

import msgspec

from scale_reasoning.lm import Strategy
from scale_reasoning.profiles import EFFORTS
from scale_reasoning.runs.attempt import problem_of
from scale_reasoning.types import JSON, Problem
from scale_reasoning.web.proxy.conversation import problem_text
from scale_reasoning.web.proxy.names import Name, capped, strategy_of, token_limit
from scale_reasoning.web.proxy.refusals import Refusal, invalid, unsupported

MOST_CHOICES, MOST_STOPS, LONGEST_STOP = 16, 16, 500

LONGEST_NAME = 1000
"""Characters of a model's name with its options, which every event of a stream repeats."""

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One request, ready to be run.

    model: the name in the request. sampling: replaces the profile's values, key by key. token_budget: limit of new
    tokens of all calls together, None for the server's limit. record: whether the response has the record.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is read of every request, also of one that is passed through; `body` is the whole body."""

    model: str
    body: Mapping[str, JSON]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=-1, lt=2**31)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=MOST_CHOICES)] | None = None
    reasoning_effort: str | None = None
    scale: dict[str, Any] | None = None


_NEUTRAL: dict[str, tuple[JSON, ...]] = {
    "add_generation_prompt": (True,),
    "best_of": (1,),
    "chat_template_kwargs": ({},),
    "echo": (False,),
    "extra_body": ({},),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "ignore_eos": (False,),
    "include_reasoning": (True,),
    "length_penalty": (1,),
    "logit_bias": ({}, []),
    "logprobs": (False, 0),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "reasoning": ({},),
    "repeat_penalty": (1,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"}, {}),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop_token_ids": ([],),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_a": (0,),
    "top_logprobs": (0,),
    "typical_p": (1,),
    "use_beam_search": (False,),
    "verbosity": ("medium",),
}
"""Neutral values of unsupported parameters, which some clients always send."""

_ABOUT_THE_CALLER = {
    "cache_prompt", "metadata", "priority", "prompt_cache_key", "prompt_cache_retention", "request_id",
    "safety_identifier", "service_tier", "store", "user",
}  # fmt: skip
"""Parameters that do not concern the answer, and are ignored."""

_REASONS = {
    "tools": "the calls of a strategy use none",
    "functions": "the calls of a strategy use none",
    "response_format": "the answer is mathematics in plain text",
    "logprobs": "an answer comes from several calls",
    "top_logprobs": "an answer comes from several calls",
    "audio": "text only",
    "modalities": "text only",
}


def read_envelope(body: Mapping[str, JSON], *, most_messages: int) -> Envelope:
    """Reads the model's name in a request's body. Raises Refusal for a body that is not a chat request, or too long."""
    model, messages = body.get("model"), body.get("messages", [])
    if not isinstance(model, str):
        raise invalid("model", "must be given, as a text" if model is None else "must be a text")
    if len(model) > LONGEST_NAME:
        raise invalid("model", f"over {LONGEST_NAME:,} characters", "string_above_max_length")
    if not isinstance(messages, list):
        raise invalid("messages", "must be an array")
    if (count := len(cast("list[JSON]", messages))) > most_messages:
        raise invalid("messages", f"{count} of them, at most {most_messages} here", "array_above_max_length")
    return Envelope(model=model, body=body)


def read_chat(
    content: Mapping[str, JSON],
    name: Name,
    *,
    max_calls: int,
    efforts: Mapping[str, Mapping[str, JSON]] = EFFORTS,
    tuned: Strategy | None = None,
) -> Chat:
    """Reads the whole request. Raises Refusal that names a wrong or unsupported parameter, and if the request could
    make more than `max_calls` model calls. `efforts`, `tuned`: see strategy_of.
    """
    said: dict[str, Any] = {key: value for key, value in content.items() if value is not None}
    body = _body(said)
    record, budget, options = _scale_object(body.scale or {})
    strategy = strategy_of(name, options, body.reasoning_effort, efforts, tuned)
    limits = [limit for limit in (body.max_tokens, body.max_completion_tokens) if limit is not None]
    choices = body.n or 1
    if record and choices > 1:
        raise invalid("scale.record", "needs n = 1")
    strategy = capped(strategy, min(limits)) if limits else strategy
    _require_bounded(strategy, choices, max_calls)
    return Chat(
        model=body.model,
        strategy=strategy,
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


def _require_bounded(strategy: Strategy, choices: int, max_calls: int) -> None:
    calls, tokens = choices * strategy.most_calls(), token_limit(strategy)
    if calls > max_calls:
        attempts = f"{choices} attempts of up to {calls // choices:,}" if choices > 1 else "one attempt"
        size = f" of up to {tokens:,} new tokens" if tokens else ""
        raise Refusal(
            400, "too_many_calls", f"this request could make {calls:,} model calls{size} ({attempts}), and this server "
            f"allows {max_calls:,}: ask for fewer (n, samples, candidates, max_steps), or have --max-calls raised",
            "n" if choices > 1 else "model",
        )  # fmt: skip


def _body(said: Mapping[str, Any]) -> _Body:
    known: dict[str, Any] = {}
    for key, value in said.items():
        if key in _Body.__struct_fields__:
            known[key] = value
        elif key not in _ABOUT_THE_CALLER and value not in _NEUTRAL.get(key, ()):
            raise unsupported(key, _REASONS.get(key, "it would have no effect"))
    try:
        return msgspec.convert(known, _Body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _scale_object(scale: Mapping[str, JSON]) -> tuple[bool, int | None, dict[str, JSON]]:
    """From the body's `scale` object: whether the record is wanted, the token budget, and the strategy's options."""
    options = dict(scale)
    record, budget = options.pop("record", False), options.pop("token_budget", None)
    if not isinstance(record, bool):
        raise invalid("scale.record", "must be true or false")
    if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 1):
        raise invalid("scale.token_budget", "must be a whole number of tokens, at least 1")
    return record, budget, options


def _stops(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MOST_STOPS or any(not 0 < len(each) <= LONGEST_STOP for each in stops):
        raise invalid("stop", f"must be at most {MOST_STOPS} texts of 1 to {LONGEST_STOP} characters")
    return stops


def _include_usage(options: Mapping[str, JSON], *, streams: bool) -> bool:
    for key, value in options.items():
        if key not in ("include_usage", "include_obfuscation") or not isinstance(value, bool):
            raise invalid(f"stream_options.{key}", "only include_usage is known, true or false")
    if options.get("include_usage") and not streams:
        raise invalid("stream_options", "needs stream = true")
    return bool(options.get("include_usage"))


def _invalid(error: msgspec.ValidationError) -> Refusal:
    told, _, where = str(error).partition(" - at `$")
    param = re.sub(r"^\.|`$", "", where)
    missing = re.search(r"missing required field `(\w+)`", told)
    return invalid(missing[1] if missing else param or "body", told[:1].lower() + told[1:])
