"""Reads a chat request to a strategy model: every parameter is supported or refused with a reason.

Decides which parameters of OpenAI's protocol a strategy supports, and within which bounds. Does not know how a problem
is solved or a response is written.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

import msgspec

from scale_reasoning.lm import Strategy
from scale_reasoning.profiles import EFFORTS
from scale_reasoning.runs.attempt import problem_of
from scale_reasoning.types import JSON, Problem
from scale_reasoning.web.proxy.conversation import problem_text
from scale_reasoning.web.proxy.names import Name, cap_tokens, find_token_limit, strategy_of, takes_effort
from scale_reasoning.web.proxy.parameters import explain_unsupported, list_unsupported_keys
from scale_reasoning.web.proxy.refusals import UNSUPPORTED, Refusal, invalid, unsupported

MOST_CHOICES, MOST_STOPS, LONGEST_STOP = 16, 16, 500

LONGEST_NAME = 1000
"""Characters of a model's name with its options, which every event of a stream repeats."""

CONTENT = "content"
"""The option that says what the content of an answer is."""

Shown: TypeAlias = Literal["last", "all"]
SHOWN: tuple[Shown, ...] = get_args(Shown)

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One request, ready to be run.

    model: the name in the request. sampling: replaces the profile's values, key by key. token_budget: limit of new
    tokens of all calls together, None for the server's limit. record: whether the response has the record. shown: what
    the content is, the last step's text or all of them.
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
    shown: Shown = "last"


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


def list_unsupported(content: Mapping[str, JSON], name: Name) -> list[str]:
    """What the strategy of a request cannot honour: parameters, and the first place in a message that is not text."""
    said = _leave_out_null(content)
    found = list_unsupported_keys(said, _Body.__struct_fields__)
    if "reasoning_effort" in said and not takes_effort(name):
        found.append("reasoning_effort")
    messages = said.get("messages")
    if isinstance(messages, list) and messages and all(isinstance(each, dict) for each in cast("list[Any]", messages)):
        try:
            problem_text(cast("list[dict[str, JSON]]", messages))
        except Refusal as refusal:
            if refusal.code == UNSUPPORTED:
                found.append(refusal.param or "messages")
    return found


def leave_out(content: Mapping[str, JSON], lacks: Sequence[str]) -> dict[str, JSON]:
    """The request without what its strategy cannot honour, as `list_unsupported` names it; the rest may be wrong."""
    rest = {key: value for key, value in content.items() if key not in lacks}
    has_text = not any(each == "messages" or each.startswith("messages[") for each in lacks)
    return rest if has_text else {**rest, "messages": [{"role": "user", "content": "?"}]}


def read_chat(
    content: Mapping[str, JSON],
    name: Name,
    *,
    max_calls: int,
    efforts: Mapping[str, Mapping[str, JSON]] = EFFORTS,
    tuned: Strategy | None = None,
    shown: Shown = "last",
) -> Chat:
    """Reads the whole request. Raises Refusal that names a wrong or unsupported parameter, and if the request could
    make more than `max_calls` model calls. `efforts`, `tuned`: see strategy_of. shown: see Chat, by default.
    """
    said = _leave_out_null(content)
    body = _body(said)
    asked, options = _scale_object(body.scale or {})
    record, budget = asked.record, asked.token_budget
    shown = _choose_shown(name, asked) or shown
    strategy = strategy_of(name, options, body.reasoning_effort, efforts, tuned)
    limits = [limit for limit in (body.max_tokens, body.max_completion_tokens) if limit is not None]
    choices = body.n or 1
    if record and choices > 1:
        raise invalid("scale.record", "needs n = 1")
    strategy = cap_tokens(strategy, min(limits)) if limits else strategy
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
        shown=shown,
    )


def _require_bounded(strategy: Strategy, choices: int, max_calls: int) -> None:
    calls, tokens = choices * strategy.most_calls(), find_token_limit(strategy)
    if calls > max_calls:
        attempts = f"{choices} attempts of up to {calls // choices:,}" if choices > 1 else "one attempt"
        size = f" of up to {tokens:,} new tokens" if tokens else ""
        raise Refusal(
            400, "too_many_calls", f"this request could make {calls:,} model calls{size} ({attempts}), and this server "
            f"allows {max_calls:,}: ask for fewer (n, samples, candidates, max_steps), or have --max-calls raised",
            "n" if choices > 1 else "model",
        )  # fmt: skip


def _body(said: Mapping[str, Any]) -> _Body:
    for key in list_unsupported_keys(said, _Body.__struct_fields__):
        raise unsupported(key, explain_unsupported(key))
    try:
        return msgspec.convert({key: said[key] for key in said if key in _Body.__struct_fields__}, _Body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a body's `scale` object asks for besides the strategy's options."""

    record: bool
    token_budget: int | None
    content: JSON


def _scale_object(scale: Mapping[str, JSON]) -> tuple[_Asked, dict[str, JSON]]:
    """From the body's `scale` object: what it asks for, and the strategy's options."""
    options = dict(scale)
    record, budget, content = (
        options.pop("record", False),
        options.pop("token_budget", None),
        options.pop(CONTENT, None),
    )
    if not isinstance(record, bool):
        raise invalid("scale.record", "must be true or false")
    if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 1):
        raise invalid("scale.token_budget", "must be a whole number of tokens, at least 1")
    return _Asked(record, budget, content), options


def _choose_shown(name: Name, asked: _Asked) -> Shown | None:
    """What the content is, as the model's name or the `scale` object says; None if neither does."""
    given = [("model", each) for each in name.content]
    given += [("scale.content", asked.content)] if asked.content is not None else []
    if len(given) > 1:
        raise invalid(given[-1][0], f"{CONTENT} is set twice")
    for param, value in given:
        if value not in SHOWN:
            raise invalid(param, f"{CONTENT} must be one of {', '.join(SHOWN)}")
        return value
    return None


def _leave_out_null(content: Mapping[str, JSON]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value is not None}


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
