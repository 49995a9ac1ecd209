# ruff: noqa: E501  # a wording stays on one line
"""What each wording of a refusal objects to in a request, and in which order changes are offered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.engines.changes import Bound, Change, Drop, Fold, Put, Rename, Simplify
from scale_reasoning.engines.objections import find_changes
from scale_reasoning.engines.statements import LONGEST, MOST_STATEMENTS, read_statements
from scale_reasoning.types import Message


def body(**more: Any) -> dict[str, Any]:
    """A request with every key that the engine may send, and three switches."""
    properties = {"subproblems": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 9}}
    schema = {"type": "object", "properties": properties, "required": ["subproblems"], "additionalProperties": False}
    return {
        "model": "m",
        "messages": (Message("system", "Be brief."), Message("user", "Hi")),
        "stream": True,
        "seed": 7,
        "temperature": 0.6,
        "top_p": 0.95,
        "top_k": 20,
        "min_p": 0.0,
        "max_tokens": 8192,
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": {"name": "d", "strict": True, "schema": schema}},
        "chat_template_kwargs": {"enable_thinking": False},
        "thinking": {"type": "disabled"},
        "reasoning_effort": "none",
        **more,
    }


def error(message: str, **more: Any) -> str:
    return json.dumps({"error": {"message": message, **more}})


REFUSALS: list[tuple[str, list[Change]]] = [
    (error("Unrecognized request argument supplied: seed"), [Drop("seed")]),
    (error("Unrecognized request arguments supplied: seed, top_k"), [Drop("seed"), Drop("top_k")]),
    (error("Unknown parameter: 'top_k'.", param="top_k", code="unknown_parameter"), [Drop("top_k")]),
    (
        error(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            param="max_tokens",
        ),
        [Rename("max_tokens", "max_completion_tokens")],
    ),
    (
        error(
            "Unsupported value: 'temperature' does not support 0.6 with this model. Only the default (1) value is supported.",
            param="temperature",
        ),
        [Drop("temperature")],
    ),
    (error("Unsupported parameter: 'temperature' is not supported with this model."), [Drop("temperature")]),
    (
        error(
            "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'minimal', 'low', 'medium', and 'high'.",
            param="reasoning_effort",
        ),
        [Put("reasoning_effort", "minimal", was="none"), Drop("reasoning_effort")],
    ),
    (
        error(
            "max_tokens is too large: 8192. This model supports at most 4096 completion tokens, whereas you provided 8192.",
            param="max_tokens",
        ),
        [Bound("max_tokens", None, 4096)],
    ),
    (
        error(
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.", param="messages[0].role"
        ),
        [Fold()],
    ),
    (
        error(
            "Invalid schema for response_format 'd': In context=('properties', 'subproblems'), 'minItems' is not permitted.",
            param="response_format",
        ),
        [Simplify(frozenset({"minItems"})), Drop("response_format")],
    ),
    (
        error("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
        [Drop("response_format")],
    ),
    (
        error("This model does not support response format `json_schema`. See supported models"),
        [Drop("response_format")],
    ),
    (error("This response_format type is unavailable now"), [Drop("response_format")]),
    (error("`temperature` and `top_p` cannot both be specified for this model. Please use only one."), [Drop("top_p")]),
    (
        json.dumps(
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for claude-3",
                },
            }
        ),
        [Bound("max_tokens", None, 4096)],
    ),
    (
        error("`temperature` may only be set to 1 when thinking is enabled."),
        [Put("temperature", 1), Drop("temperature")],
    ),
    (error("temperature: range: 0..0.5"), [Bound("temperature", 0, 0.5), Drop("temperature")]),
    (error("temperature must be <= 0.5"), [Bound("temperature", None, 0.5), Drop("temperature")]),
    (error("invalid temperature: only 1 is allowed for this model"), [Put("temperature", 1), Drop("temperature")]),
    (error("invalid temperature: only 0.7 is allowed for this model"), [Put("temperature", 0.7), Drop("temperature")]),
    (
        error(
            "`max_tokens` must be less than or equal to `4096`, the maximum value for `max_tokens` is less than the `context_window` for this model",
            param="max_tokens",
        ),
        [Bound("max_tokens", None, 4096)],
    ),
    (error("property 'top_k' is unsupported, did you mean 'top_p'?"), [Drop("top_k")]),
    (error("property 'stream_options' is unsupported, did you mean 'stream'?"), [Drop("stream_options")]),
    (error("property 'min_p' is unsupported"), [Drop("min_p")]),
    (error("Invalid max_tokens value, the valid range of max_tokens is [1, 4096]"), [Bound("max_tokens", None, 4096)]),
    (error("Range of max_tokens should be [1,4096]"), [Bound("max_tokens", None, 4096)]),
    (
        json.dumps(
            [
                {
                    "error": {
                        "code": 400,
                        "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.\nInvalid JSON payload received. Unknown name "top_k": Cannot find field.',
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ]
        ),
        [Drop("seed"), Drop("top_k")],
    ),
    (
        json.dumps(
            {
                "error": {
                    "message": "Unable to submit request because it has a maxOutputTokens value of 8192 but the supported range is from 1 (inclusive) to 8000 (exclusive)."
                }
            }
        ),
        [Bound("max_tokens", None, 7999)],
    ),
    (
        json.dumps(
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "seed"],
                        "msg": "Extra inputs are not permitted",
                        "input": 7,
                    },
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "top_k"],
                        "msg": "Extra inputs are not permitted",
                        "input": 20,
                    },
                ]
            }
        ),
        [Drop("seed"), Drop("top_k")],
    ),
    (
        json.dumps(
            {
                "object": "error",
                "message": {
                    "detail": [
                        {
                            "type": "extra_forbidden",
                            "loc": ["body", "seed"],
                            "msg": "Extra inputs are not permitted",
                            "input": 1,
                        }
                    ]
                },
                "type": "invalid_request_error",
            }
        ),
        [Drop("seed")],
    ),
    (
        json.dumps(
            {
                "detail": [
                    {
                        "type": "less_than_equal",
                        "loc": ["body", "temperature"],
                        "msg": "Input should be less than or equal to 0.5",
                        "input": 0.6,
                    }
                ]
            }
        ),
        [Bound("temperature", None, 0.5), Drop("temperature")],
    ),
    (
        json.dumps(
            {
                "detail": [
                    {
                        "type": "literal_error",
                        "loc": ["body", "reasoning_effort"],
                        "msg": "Input should be 'low', 'medium' or 'high'",
                        "input": "none",
                    }
                ]
            }
        ),
        [Put("reasoning_effort", "low", was="none"), Drop("reasoning_effort")],
    ),
    (
        json.dumps(
            {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}
        ),
        [Fold()],
    ),
    (error("Extra inputs are not permitted, field: 'reasoning_effort', value: 'none'"), [Drop("reasoning_effort")]),
    (error("Extra inputs are not permitted, field: 'thinking'"), [Drop("thinking")]),
    ("seed: Extra inputs are not permitted", [Drop("seed")]),
    (
        json.dumps({"error": "Argument not supported on this model: reasoning_effort", "code": "invalid-argument"}),
        [Drop("reasoning_effort")],
    ),
    (
        json.dumps({"error": "Model grok-4-1-fast does not support parameter reasoningEffort."}),
        [Drop("reasoning_effort")],
    ),
    (error("chat_template_kwargs is not supported for this model"), [Drop("chat_template_kwargs")]),
    (
        error(
            "Unknown field 'chat_template_kwargs'. Allowed fields: model, messages, temperature, top_p, max_tokens, seed"
        ),
        [Drop("chat_template_kwargs")],
    ),
    (
        error(
            "Failed to deserialize the JSON body into the target type: unknown field `seed`, expected one of `model`, `messages`, `temperature`, `top_p` at line 1 column 40"
        ),
        [Drop("seed")],
    ),
    (
        error(
            "litellm.UnsupportedParamsError: databricks does not support parameters: ['seed', 'min_p'], for model=dbrx. To drop these, set `litellm.drop_params=True`"
        ),
        [Drop("seed"), Drop("min_p")],
    ),
    (
        error(
            'litellm.BadRequestError: OpenAIException - {"error":{"message":"Unrecognized request argument supplied: top_k","type":"invalid_request_error"}}'
        ),
        [Drop("top_k")],
    ),
    (
        json.dumps(
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {
                        "raw": '{"error":{"message":"property \'seed\' is unsupported"}}',
                        "provider_name": "X",
                    },
                }
            }
        ),
        [Drop("seed")],
    ),
    (error("System role not supported"), [Fold()]),
    (error("Conversation roles must alternate user/assistant/user/assistant/..."), [Fold()]),
    (error("System message must be at the beginning."), [Fold()]),
    (error("Developer instruction is not enabled for models/gemma-3-12b-it"), [Fold()]),
    (error("Only user and assistant roles are supported!"), [Fold()]),
    (
        error("Unsupported JSON schema fields: {'minItems', 'maxItems'}"),
        [Simplify(frozenset({"minItems", "maxItems"})), Drop("response_format")],
    ),
    (
        error("output_format.schema: For 'array' type, property 'maxItems' is not supported"),
        [Simplify(frozenset({"maxItems"})), Drop("response_format")],
    ),
    (error("The provided JSON schema contains features not supported by xgrammar."), [Drop("response_format")]),
    (error("json_schema.strict is not supported"), [Simplify(frozenset({"strict"})), Drop("response_format")]),
    (error("Input validation error: `top_p` must be > 0.0 and < 0.9"), [Drop("top_p")]),
    (error("Input validation error: `top_k` must be strictly positive"), [Drop("top_k")]),
    (error("stream_options.include_usage: not supported"), [Drop("stream_options")]),
    (error("Unexpected keyword argument 'chat_template_kwargs'"), [Drop("chat_template_kwargs")]),
    (error("Additional properties are not allowed ('seed', 'min_p' were unexpected)"), [Drop("seed"), Drop("min_p")]),
    (error("invalid thinking: only type=enabled is allowed for this model"), [Drop("thinking")]),
    (error("min_p is not supported in this model"), [Drop("min_p")]),
    (error("enable_thinking is not a valid parameter"), [Drop("chat_template_kwargs")]),
    (
        error("max_completion_tokens is too large: 8192.This model supports at most 4096 completion tokens"),
        [Bound("max_tokens", None, 4096)],
    ),
    (
        error("max_tokens (393216) exceeds model's maximum output tokens (4096) for model nemotron"),
        [Bound("max_tokens", None, 4096)],
    ),
    (error("max_tokens (8192) must be at most 4096"), [Bound("max_tokens", None, 4096)]),
    (error("top_k: must be positive"), [Drop("top_k")]),
    (error('"llama3.2" does not support thinking'), [Drop("thinking")]),
    (error("Unrecognized key(s) in object: 'seed'"), [Drop("seed")]),
    (
        json.dumps(
            {
                "error": {
                    "issues": [
                        {
                            "code": "unrecognized_keys",
                            "keys": ["seed"],
                            "path": [],
                            "message": "Unrecognized key(s) in object: 'seed'",
                        }
                    ],
                    "name": "ZodError",
                }
            }
        ),
        [Drop("seed")],
    ),
    (
        json.dumps(
            {
                "object": "error",
                "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted', 'input': 7}]",
            }
        ),
        [Drop("seed")],
    ),
    (
        error("Extra parameters ['seed'] are not allowed when extra-parameters is not set or set to be 'error'."),
        [Drop("seed")],
    ),
    (
        error(
            "Malformed input request: #: extraneous key [seed] is not permitted, please reformat your input and try again."
        ),
        [Drop("seed")],
    ),
    (
        error(
            "Malformed input request: #/max_tokens: 8192 is not less or equal to 4096, please reformat your input and try again."
        ),
        [Bound("max_tokens", None, 4096)],
    ),
    (
        error(
            "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096."
        ),
        [Bound("max_tokens", None, 4096)],
    ),
    (error("max_tokens参数非法:限制数值范围[1,4096]"), [Bound("max_tokens", None, 4096)]),
    (error("deepseek-reasoner does not support successive user or assistant messages"), [Fold()]),
    (error("After the (optional) system message(s), user and assistant roles should be alternating."), [Fold()]),
    (error("JSON mode is not enabled for models/gemma-3-12b-it"), [Drop("response_format")]),
    (error("deepseek-reasoner does not support Json Output"), [Drop("response_format")]),
    (
        json.dumps(
            {
                "error": {
                    "message": '["At body -> response_format -> ResponseFormatJSONSchema -> json_schema -> strict: Extra inputs are not permitted"]',
                    "type": "bad_request",
                }
            }
        ),
        [Simplify(frozenset({"strict"})), Drop("response_format")],
    ),
    (
        error("`reasoning_effort` must be one of `low`, `medium`, `high`"),
        [Put("reasoning_effort", "low", was="none"), Drop("reasoning_effort")],
    ),
    (
        error('invalid reasoning_effort value: \'none\' (must be "high", "medium", or "low")'),
        [Put("reasoning_effort", "low", was="none"), Drop("reasoning_effort")],
    ),
    (error("`temperature` is deprecated for this model."), [Drop("temperature")]),
    (error("TypeError: create() got an unexpected keyword argument 'min_p'"), [Drop("min_p")]),
    (error("Unsupported param: min_p"), [Drop("min_p")]),
    (
        error('response_format type must be one of "text" or "json_object", but got: json_schema'),
        [Drop("response_format")],
    ),
    (error("seed must be between 0 and 5"), [Drop("seed")]),
    (
        error(
            "Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.",
            param="stream",
        ),
        [Drop("stream")],
    ),
    (error("Streaming is not supported for this model"), [Drop("stream")]),
    # the same in other words
    (error("temperature is fixed at 1 for this model"), [Drop("temperature")]),
    (error("max_tokens exceeds the model's limit (4096)"), [Bound("max_tokens", None, 4096)]),
    (error("Requested max_tokens 8192 > 4096"), [Bound("max_tokens", None, 4096)]),
    (error("please use max_completion_tokens in place of max_tokens"), [Rename("max_tokens", "max_completion_tokens")]),
    (error("First message must use the 'user' role"), [Fold()]),
    (error("A conversation must start with a user message."), [Fold()]),
    (error('Unexpected role "system". The Messages API accepts a top-level `system` parameter.'), [Fold()]),
    (
        error("Input tag 'system' found using 'role' does not match any of the expected tags: 'user', 'assistant'"),
        [Fold()],
    ),
    (error("guided decoding failed to compile"), [Drop("response_format")]),
    (error("Cannot specify both temperature and top_p"), [Drop("top_p")]),
    (error("Setting top_p together with temperature is not allowed"), [Drop("top_p")]),
    (error("temperature is too high: max 0.5"), [Bound("temperature", None, 0.5), Drop("temperature")]),
    (error("temperature must be between 0 and 0.5"), [Bound("temperature", 0, 0.5), Drop("temperature")]),
    (error("Unexpected parameter(s): 'min_p', 'top_k'"), [Drop("min_p"), Drop("top_k")]),
    (error("Thinking is not supported for this model"), [Drop("thinking")]),
    # nothing that was sent
    (error("The model `x` does not exist or you do not have access to it.", param="model"), []),
    (error("Invalid API key"), []),
    (error("messages: text content blocks must be non-empty"), []),
    (error("logprobs is not supported"), []),
    (error("`max_tokens` must be greater than `thinking.budget_tokens`"), []),
    ("<html>Bad Request</html>", []),
    ("", []),
    (error("Bad request"), []),
    (
        json.dumps(
            {
                "detail": [
                    {
                        "type": "missing",
                        "loc": ["body", "prompt"],
                        "msg": "Field required",
                        "input": body(messages=None),
                    }
                ]
            },
            default=str,
        ),
        [],
    ),
]


@pytest.mark.parametrize(("said", "changes"), REFUSALS)
def test_a_refusal_objects_to_what_it_names(said: str, changes: list[Change]) -> None:
    assert find_changes(said, body()) == changes


@pytest.mark.parametrize(("said", "changes"), REFUSALS)
def test_what_was_not_sent_is_never_objected_to(said: str, changes: list[Change]) -> None:
    bare = {"model": "m", "messages": (Message("user", "Hi"),)}
    assert find_changes(said, bare) == []


WORDS = sorted({word for said, _ in REFUSALS for word in said.split()})
"""The words of real refusals: any of them together are understood more often than other texts."""


@given(
    st.text(max_size=300)
    | st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "replace"))
    | st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
)
def test_no_text_of_a_server_breaks_the_reading_of_a_refusal(said: str) -> None:
    for text in (said, error(said), json.dumps({"detail": [{"loc": [said], "msg": said}]})):
        sent = body()
        for change in find_changes(text, sent):
            after = change.apply(sent)
            assert after["model"] == "m"
            assert {"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"} & set(after)


def test_what_is_read_of_a_refusal_is_bounded() -> None:
    many = json.dumps({"detail": [{"loc": ["body", "seed"], "msg": f"{n} {'x' * 9000}"} for n in range(999)]})
    read = read_statements(many)
    assert len(read) <= MOST_STATEMENTS
    assert max(len(each.text) for each in read) <= LONGEST
    nested = error("seed is not supported")
    for _ in range(10):
        nested = error(nested)
    assert len(read_statements(nested)) <= MOST_STATEMENTS
