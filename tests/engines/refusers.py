# ruff: noqa: E501  # a wording stays on one line
"""Servers that refuse what others take, one row each: what is refused, in which words, and what should come of it.

A row's `refuses` looks at a body and says whether this server refuses it; what it does not refuse it answers. To add a
refuser, add a row to REFUSERS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web
from tests.servers import stream

Body = dict[str, Any]

QWEN3 = "Qwen/Qwen3-32B"
HOSTED = "gpt-5.1"
HYBRID = "deepseek-v4-flash"
CLAUDE = "claude-sonnet-4"
SHORT, LONG = "What is 6 x 7?", "Add the numbers 12, 34 and 56, then halve the sum. " * 130


@dataclass(frozen=True, kw_only=True)
class Refuser:
    """One server. `said` is a pattern of the line that the user hears ("" for none), `requests` how many the first call
    takes at most, `sends` what holds of the body that is taken.
    """

    refuses: Callable[[Body], bool]
    words: Any
    status: int = 400
    outcome: Literal["answered", "model", "world"] = "answered"
    said: str = ""
    requests: int = 2
    model: str = QWEN3
    mode: str = "system1"
    schema: bool = False
    prompt: str = SHORT
    max_tokens: int | None = None
    window: int | None = None
    sends: Callable[[Body], bool] = lambda _: True

    async def __call__(self, request: web.Request, body: Body) -> web.StreamResponse:
        """A handler for tests.servers."""
        if not request.path.endswith("/chat/completions"):
            return web.json_response({"detail": "Not Found"}, status=404)
        if self.refuses(body):
            words = self.words(body) if callable(self.words) else self.words
            text = words if isinstance(words, str) else json.dumps(words)
            return web.Response(status=self.status, text=text, content_type="application/json")
        assert self.sends(body), body
        if not body.get("stream"):
            message = {"role": "assistant", "content": "42"}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        return await stream(request, '{"choice": 2}' if self.schema else "42")


def openai(message: str, param: str | None = None, code: str | None = None) -> Body:
    """An error as OpenAI and most others write it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def pydantic(*found: tuple[list[Any], str]) -> Body:
    """An error as FastAPI writes it."""
    return {"detail": [{"type": "x", "loc": loc, "msg": message, "input": 0} for loc, message in found]}


def has(*keys: str) -> Callable[[Body], bool]:
    return lambda body: any(key in body for key in keys)


def lacks(*keys: str) -> Callable[[Body], bool]:
    return lambda body: not any(key in body for key in keys)


def over(key: str, most: float) -> Callable[[Body], bool]:
    return lambda body: body.get(key, 0) > most


def has_system(body: Body) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def folded(body: Body) -> bool:
    return [m["role"] for m in body["messages"]] == ["user"] and body["messages"][0]["content"].startswith(
        "Be brief.\n\n"
    )


def schema_has(part: str) -> Callable[[Body], bool]:
    return lambda body: part in json.dumps(body.get("response_format"))


def simpler(part: str) -> Callable[[Body], bool]:
    return lambda body: "response_format" in body and not schema_has(part)(body)


def tokens(body: Body) -> int:
    """What this server counts: three bytes per token."""
    return sum(len(message["content"]) // 3 + 6 for message in body["messages"])


def full(window: int) -> Callable[[Body], bool]:
    return lambda body: tokens(body) + body.get("max_tokens", 0) > window


def always(_: Body) -> bool:
    return True


def at_least(window: int) -> Callable[[Body], Body]:
    """vLLM's words: it stops counting where the prompt cannot fit."""

    def words(body: Body) -> Body:
        most = body["max_tokens"]
        bound = min(tokens(body), window - most + 1)
        return openai(
            f"This model's maximum context length is {window} tokens. However, you requested {most} output tokens and your prompt contains at least {bound} input tokens, for a total of at least {bound + most} tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value={bound})"
        )

    return words


def passed(window: int) -> Callable[[Body], Body]:
    def words(body: Body) -> Body:
        most = body["max_tokens"]
        return openai(
            f"You passed {window - most + 1} input tokens and requested {most} output tokens. However, the model's context length is only {window} tokens, resulting in a maximum input length of {window - most} tokens. Please reduce the length of the input prompt."
        )

    return words


def too_large(window: int) -> Callable[[Body], Body]:
    return lambda body: openai(
        f"max_tokens={body['max_tokens']} cannot be greater than max_model_len=max_total_tokens={window}. Please request fewer output tokens."
    )


def less_the_reply(window: int) -> Callable[[Body], Body]:
    return lambda body: openai(
        f"This model's maximum context length is {window - body['max_tokens']} tokens. However, your request has {tokens(body)} input tokens. Please reduce the length of the input messages."
    )


KEYS: dict[str, Refuser] = {
    "OpenAI: an unknown argument": Refuser(
        refuses=has("seed"),
        words=openai("Unrecognized request argument supplied: seed"),
        said="refuses seed: it is left out",
    ),
    "OpenAI: several unknown arguments": Refuser(
        refuses=has("top_k", "min_p"),
        words=openai("Unrecognized request arguments supplied: top_k, min_p"),
        said="refuses top_k",
        requests=3,
    ),
    "OpenAI: an unknown parameter with its name apart": Refuser(
        refuses=has("min_p"), words=openai("Unknown parameter.", "min_p", "unknown_parameter"), said="refuses min_p"
    ),
    "Mistral: extra inputs": Refuser(
        refuses=has("seed"),
        status=422,
        words={"object": "error", "message": pydantic((["body", "seed"], "Extra inputs are not permitted"))},
        said="refuses seed",
    ),
    "FastAPI: two extra inputs": Refuser(
        refuses=has("top_k", "min_p"),
        status=422,
        words=pydantic(
            (["body", "top_k"], "Extra inputs are not permitted"), (["body", "min_p"], "Extra inputs are not permitted")
        ),
        said="refuses",
        requests=3,
    ),
    "Fireworks: extra inputs, field": Refuser(
        refuses=has("chat_template_kwargs"),
        words=openai(
            "Extra inputs are not permitted, field: 'chat_template_kwargs', value: {'enable_thinking': False}"
        ),
        said="refuses chat_template_kwargs: .*a sentence in the prompt",
    ),
    "Groq: an unsupported property": Refuser(
        refuses=has("top_k"),
        words=openai("property 'top_k' is unsupported, did you mean 'top_p'?"),
        said="refuses top_k",
    ),
    "Gemini: unknown names, in a list": Refuser(
        refuses=has("seed", "min_p"),
        words=[
            openai(
                'Invalid JSON payload received. Unknown name "seed": Cannot find field.\nInvalid JSON payload received. Unknown name "min_p": Cannot find field.'
            )
        ],
        said="refuses",
        requests=3,
    ),
    "xAI: an argument, not supported on this model": Refuser(
        model=HOSTED,
        refuses=has("reasoning_effort"),
        words={"code": "invalid-argument", "error": "Argument not supported on this model: reasoning_effort"},
        said="refuses reasoning_effort: .*a sentence",
    ),
    "xAI: a parameter in camel case": Refuser(
        model=HOSTED,
        refuses=has("reasoning_effort"),
        words={"error": "Model grok-4-1-fast does not support parameter reasoningEffort."},
        said="refuses reasoning_effort",
    ),
    "serde: an unknown field": Refuser(
        refuses=has("min_p"),
        status=422,
        words="Failed to deserialize the JSON body into the target type: unknown field `min_p`, expected one of `model`, `messages`, `temperature`, `top_p`, `seed` at line 1 column 311",
        said="refuses min_p",
    ),
    "JSON Schema: additional properties": Refuser(
        refuses=has("chat_template_kwargs"),
        words=openai("Additional properties are not allowed ('chat_template_kwargs' was unexpected)"),
        said="refuses chat_template_kwargs",
    ),
    "LiteLLM: unsupported parameters": Refuser(
        refuses=has("seed", "top_k"),
        words=openai(
            "litellm.UnsupportedParamsError: databricks does not support parameters: ['seed', 'top_k'], for model=dbrx. To drop these, set `litellm.drop_params=True`"
        ),
        said="refuses",
        requests=3,
    ),
    "LiteLLM: another server's refusal": Refuser(
        refuses=has("seed"),
        words=openai(
            'litellm.BadRequestError: OpenAIException - {"error":{"message":"Unrecognized request argument supplied: seed"}}'
        ),
        said="refuses seed",
    ),
    "OpenRouter: another server's refusal": Refuser(
        refuses=has("seed"),
        words={
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": json.dumps(openai("property 'seed' is unsupported")), "provider_name": "X"},
            }
        },
        said="refuses seed",
    ),
    "a proxy that lists what it allows": Refuser(
        refuses=has("chat_template_kwargs"),
        words=openai(
            "Unknown field 'chat_template_kwargs'. Allowed fields: model, messages, temperature, top_p, seed, max_tokens"
        ),
        said="refuses chat_template_kwargs",
    ),
    "an old server without stream options": Refuser(
        refuses=has("stream_options"),
        words=openai("stream_options.include_usage is not supported"),
        said="refuses stream_options",
    ),
    "a template switch known by its own name": Refuser(
        refuses=has("chat_template_kwargs"),
        words=openai("enable_thinking is not a valid parameter"),
        said="refuses chat_template_kwargs",
    ),
    "DeepSeek: the second switch": Refuser(
        model=HYBRID,
        refuses=has("chat_template_kwargs"),
        words=openai("chat_template_kwargs is not supported"),
        said="refuses chat_template_kwargs: it is left out$",
        sends=has("thinking"),
    ),
    "vLLM: the first switch": Refuser(
        model=HYBRID,
        refuses=has("thinking"),
        words=openai("Extra inputs are not permitted, field: 'thinking'"),
        said="refuses thinking: it is left out$",
        sends=has("chat_template_kwargs"),
    ),
    "a TypeError: 500": Refuser(
        refuses=has("chat_template_kwargs"),
        status=500,
        words={"detail": "create() got an unexpected keyword argument 'chat_template_kwargs'"},
        said="refuses chat_template_kwargs",
    ),
    "Ollama: no thinking": Refuser(
        model=HOSTED,
        refuses=has("reasoning_effort"),
        words=openai('"llama3.2" does not support thinking'),
        said="refuses reasoning_effort: .*a sentence",
    ),
    "Bedrock: an extraneous key": Refuser(
        refuses=has("min_p"),
        words={
            "message": "Malformed input request: #: extraneous key [min_p] is not permitted, please reformat your input and try again."
        },
        said="refuses min_p",
    ),
    "Azure: extra parameters": Refuser(
        refuses=has("min_p"),
        words=openai(
            "Extra parameters ['min_p'] are not allowed when extra-parameters is not set or set to be 'error'."
        ),
        said="refuses min_p",
    ),
    "zod: unrecognized keys": Refuser(
        refuses=has("seed"),
        words={
            "error": {
                "name": "ZodError",
                "issues": [
                    {"code": "unrecognized_keys", "path": [], "message": "Unrecognized key(s) in object: 'seed'"}
                ],
            }
        },
        said="refuses seed",
    ),
    "vLLM: pydantic's list as Python writes it": Refuser(
        refuses=has("min_p"),
        words={
            "object": "error",
            "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'min_p'), 'msg': 'Extra inputs are not permitted', 'input': 0.0}]",
            "type": "BadRequestError",
        },
        said="refuses min_p",
    ),
    "501: not implemented": Refuser(
        refuses=has("min_p"), status=501, words=openai("min_p is not implemented"), said="refuses min_p"
    ),
}

VALUES: dict[str, Refuser] = {
    "OpenAI: the default temperature only": Refuser(
        refuses=has("temperature"), words=openai("Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.", "temperature", "unsupported_value"), said="refuses temperature: it is left out"
    ),
    "OpenAI: a cap on completions": Refuser(
        refuses=over("max_tokens", 4096), words=openai("max_tokens is too large: 8192. This model supports at most 4096 completion tokens, whereas you provided 8192.", "max_tokens"), said="refuses max_tokens: at most 4,096 is sent", sends=lambda body: body["max_tokens"] == 4096
    ),
    "Groq: a cap on completions": Refuser(
        refuses=over("max_tokens", 4096), words=openai("`max_tokens` must be less than or equal to `4096`, the maximum value for `max_tokens` is less than the `context_window` for this model", "max_tokens"), said="at most 4,096", sends=lambda body: body["max_tokens"] == 4096
    ),
    "DeepSeek: a range of max_tokens": Refuser(
        refuses=over("max_tokens", 4096), words=openai("Invalid max_tokens value, the valid range of max_tokens is [1, 4096]"), said="at most 4,096"
    ),
    "DashScope: a range without a space": Refuser(
        refuses=over("max_tokens", 4096), words=openai("Range of max_tokens should be [1,4096]"), said="at most 4,096"
    ),
    "Anthropic: a cap on completions": Refuser(
        model=CLAUDE, refuses=over("max_tokens", 4096), words=openai("max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for claude-3"), said="at most 4,096"
    ),
    "SGLang: a cap by the other name": Refuser(
        refuses=over("max_tokens", 4096), words=openai("max_completion_tokens is too large: 8192.This model supports at most 4096 completion tokens"), said="at most 4,096"
    ),
    "Gemini: an open range": Refuser(
        refuses=over("max_tokens", 4095), words=openai("Unable to submit request because it has a maxOutputTokens value of 8192 but the supported range is from 1 (inclusive) to 4096 (exclusive)."), said="at most 4,095"
    ),
    "temperature at most": Refuser(
        refuses=over("temperature", 0.5), words=openai("temperature must be <= 0.5"), said="refuses temperature: at most 0.5", sends=lambda body: body["temperature"] == 0.5
    ),
    "pydantic: temperature less than": Refuser(
        refuses=over("temperature", 0.5), status=422, words=pydantic((["body", "temperature"], "Input should be less than or equal to 0.5")), said="refuses temperature: at most 0.5"
    ),
    "Kimi: one temperature only": Refuser(
        refuses=lambda body: body.get("temperature") != 1, words=openai("invalid temperature: only 1 is allowed for this model"), said="refuses temperature: 1 is sent"
    ),
    "Anthropic: temperature while thinking": Refuser(
        model=CLAUDE, refuses=lambda body: body.get("temperature", 1) != 1, words=openai("`temperature` may only be set to 1 when thinking is enabled."), said="refuses temperature: 1 is sent"
    ),
    "TGI: an open range of top_p": Refuser(
        refuses=has("top_p"), status=422, words={"error": "Input validation error: `top_p` must be > 0.0 and < 0.8", "error_type": "validation"}, said="refuses top_p"
    ),
    "OpenAI: no streams": Refuser(
        refuses=lambda body: "stream" in body or "stream_options" in body, words=lambda body: openai("Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.", "stream") if "stream" in body else openai("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"), said="refuses stream: it is left out", requests=3
    ),
    "OpenAI: an effort that it lacks": Refuser(
        model=HOSTED, refuses=lambda body: body.get("reasoning_effort") == "none", words=openai("Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'low', 'medium', and 'high'.", "reasoning_effort"), said="refuses reasoning_effort: low is sent for none", sends=lambda body: body["reasoning_effort"] == "low"
    ),
    "pydantic: an effort that it lacks": Refuser(
        model=HOSTED, refuses=lambda body: body.get("reasoning_effort") == "none", status=422, words=pydantic((["body", "reasoning_effort"], "Input should be 'low', 'medium' or 'high'")), said="low is sent for none"
    ),
    "Anthropic: a pair": Refuser(
        refuses=lambda body: "temperature" in body and "top_p" in body, words=openai("`temperature` and `top_p` cannot both be specified for this model. Please use only one."), said="refuses top_p: it is left out", sends=has("temperature")
    ),
    "a schema and a thought": Refuser(
        model=CLAUDE, schema=True, refuses=lambda body: "response_format" in body and "thinking" in body, words=openai("'response_format' and 'thinking' are mutually exclusive"), said="refuses response_format: it is left out", sends=has("thinking")
    ),
    "Groq: its own efforts": Refuser(
        model=HOSTED, mode="system2", refuses=lambda body: body.get("reasoning_effort") not in (None, "default"), words=openai("`reasoning_effort` must be one of `none` or `default`", "reasoning_effort"), said="refuses reasoning_effort: default is sent for high"
    ),
    "Bedrock: a limit in prose": Refuser(
        refuses=over("max_tokens", 4096), words=openai("The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096."), said="at most 4,096"
    ),
    "Zhipu: a limit in Chinese": Refuser(
        refuses=over("max_tokens", 4096), words=openai("max_tokens参数非法:限制数值范围[1,4096]"), said="at most 4,096"
    ),
    "a cap below a number": Refuser(
        refuses=over("max_tokens", 4096), words=openai("max_tokens must be less than 4097"), said="at most 4,096"
    ),
    "a model's own maximum": Refuser(
        refuses=over("max_tokens", 4096), words=openai("max_tokens is out of range: the maximum output length is 4096"), said="at most 4,096"
    ),
    "a seed in bounds": Refuser(
        refuses=over("seed", 65535), words=openai("seed must be between 0 and 65535"), said="refuses seed: it is left out"
    ),
    "OpenAI: max_completion_tokens instead": Refuser(
        refuses=has("max_tokens"), words=openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter"), said="refuses max_tokens: it is sent as max_completion_tokens", sends=has("max_completion_tokens")
    ),
    "Groq: max_tokens instead": Refuser(
        model=HOSTED, refuses=has("max_completion_tokens"), words=openai("property 'max_completion_tokens' is unsupported, did you mean 'max_tokens'?"), said="refuses max_completion_tokens: it is sent as max_tokens", sends=has("max_tokens")
    ),
    "an old server: max_completion_tokens is unknown": Refuser(
        model=HOSTED, refuses=has("max_completion_tokens"), words=openai("Unrecognized request argument supplied: max_completion_tokens"), said="it is sent as max_tokens", sends=has("max_tokens")
    ),
}  # fmt: skip

SCHEMAS: dict[str, Refuser] = {
    "OpenAI: minItems is not permitted": Refuser(
        schema=True, refuses=schema_has("minItems"), words=openai("Invalid schema for response_format 'x': In context=('properties', 'subproblems'), 'minItems' is not permitted.", "response_format"), said="refuses minItems in a schema: schemas go without minItems", sends=simpler("minItems")
    ),
    "Anthropic: maxItems is not supported": Refuser(
        schema=True, refuses=schema_has("maxItems"), words=openai("output_format.schema: For 'array' type, property 'maxItems' is not supported"), said="refuses maxItems in a schema", sends=simpler("maxItems")
    ),
    "Cerebras: two fields of a schema": Refuser(
        schema=True, refuses=lambda body: schema_has("minItems")(body) or schema_has("maxItems")(body), words=openai("Unsupported JSON schema fields: {'minItems', 'maxItems'}"), said="refuses maxItems, minItems in a schema", sends=has("response_format")
    ),
    "Gemini: additionalProperties": Refuser(
        schema=True, refuses=schema_has("additionalProperties"), words=openai('Invalid JSON payload received. Unknown name "additionalProperties" at \'generation_config.response_schema\': Cannot find field.'), said="refuses additionalProperties", sends=has("response_format")
    ),
    "strict is not supported": Refuser(
        schema=True, refuses=schema_has('"strict"'), words=openai("json_schema.strict is not supported"), said="refuses strict in a schema", sends=has("response_format")
    ),
    "Groq: no schemas": Refuser(
        schema=True, refuses=has("response_format"), words=openai("This model does not support response format `json_schema`. See supported models."), said="refuses response_format: it is left out"
    ),
    "DeepSeek: no schemas": Refuser(
        schema=True, refuses=has("response_format"), words=openai("This response_format type is unavailable now"), said="refuses response_format"
    ),
    "vLLM: xgrammar": Refuser(
        schema=True, refuses=has("response_format"), words=openai("The provided JSON schema contains features not supported by xgrammar."), said="refuses response_format"
    ),
    "llama.cpp: the grammar": Refuser(
        schema=True, refuses=has("response_format"), words={"error": {"code": 400, "message": "Failed to initialize samplers: failed to parse grammar"}}, said="refuses response_format"
    ),
    "500: the grammar": Refuser(
        schema=True, refuses=has("response_format"), status=500, words=openai("Grammar error: xgrammar could not compile the schema"), said="refuses response_format"
    ),
    "500 without words": Refuser(
        schema=True, refuses=has("response_format"), status=500, words="Internal Server Error", said="refuses response_format", requests=3
    ),
    "500, empty": Refuser(schema=True, refuses=has("response_format"), status=500, words="", said="refuses response_format", requests=3),
    "400 without words": Refuser(
        schema=True, refuses=has("response_format"), words=openai("Bad request"), said="refuses response_format"
    ),
}  # fmt: skip

SYSTEM: dict[str, Refuser] = {
    "Gemma's template": Refuser(refuses=has_system, words=openai("System role not supported"), said="refuses the system role: the system text is put into the first user turn", sends=folded),
    "Gemma's template at llama.cpp": Refuser(
        refuses=has_system, status=500, words={"error": {"code": 500, "message": "Value is not callable: System role not supported", "type": "server_error"}}, said="refuses the system role", sends=folded
    ),
    "Mistral's template": Refuser(
        refuses=has_system, words=openai("Conversation roles must alternate user/assistant/user/assistant/..."), said="refuses the system role", sends=folded
    ),
    "Qwen 3.5's template": Refuser(refuses=has_system, words=openai("System message must be at the beginning."), said="refuses the system role", sends=folded),
    "Google's Gemma": Refuser(
        refuses=has_system, words=[openai("Developer instruction is not enabled for models/gemma-3-12b-it")], said="refuses the system role", sends=folded
    ),
    "OpenAI's o1": Refuser(
        refuses=has_system, words=openai("Unsupported value: 'messages[0].role' does not support 'system' with this model.", "messages[0].role"), said="refuses the system role", sends=folded
    ),
    "pydantic: the role": Refuser(
        refuses=has_system, status=422, words=pydantic((["body", "messages", 0, "role"], "Input should be 'user' or 'assistant'")), said="refuses the system role", sends=folded
    ),
}  # fmt: skip

WINDOWS: dict[str, Refuser] = {
    "vLLM: a lower bound, a short prompt": Refuser(refuses=full(4096), words=at_least(4096)),
    "vLLM: a lower bound, a long prompt": Refuser(refuses=full(4096), words=at_least(4096), prompt=LONG, requests=3),
    "vLLM: a lower bound, a prompt that does not fit": Refuser(
        refuses=full(4096), words=at_least(4096), prompt=LONG * 3, outcome="model", requests=3
    ),
    "vLLM: max_model_len": Refuser(refuses=full(4096), words=too_large(4096)),
    "vLLM: context length is only": Refuser(refuses=full(4096), words=passed(4096), prompt=LONG, requests=3),
    "vLLM 0.15: the window less the reply": Refuser(refuses=full(16384), words=less_the_reply(16384), max_tokens=16300),
    "vLLM: max_tokens must be at most": Refuser(
        refuses=full(4096), words=lambda body: openai(f"max_tokens ({body['max_tokens']}) must be at most {4096 - tokens(body)}")
    ),
    "TGI: inputs and new tokens": Refuser(
        refuses=full(4096), status=422, prompt=LONG, words=lambda body: {"error": f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: {tokens(body)} `inputs` tokens and {body['max_tokens']} `max_new_tokens`", "error_type": "validation"}
    ),
    "Anthropic: a sum": Refuser(
        refuses=full(4096), prompt=LONG, words=lambda body: openai(f"input length and `max_tokens` exceed context limit: {tokens(body)} + {body['max_tokens']} > 4096, decrease input length or `max_tokens` and try again")
    ),
    "LM Studio: a smaller window": Refuser(
        refuses=full(4096), prompt=LONG, requests=3, words={"error": "Trying to keep the first 3000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."}
    ),
    "llama.cpp: a prompt that does not fit": Refuser(
        refuses=full(4096), prompt=LONG * 3, outcome="model", requests=3, words=lambda body: {"error": {"code": 400, "message": f"request ({tokens(body)} tokens) exceeds the available context size (4096 tokens), try increasing it", "type": "exceed_context_size_error"}}
    ),
    "a short prompt that is always too long": Refuser(
        refuses=always, words=at_least(40960), outcome="world", requests=3
    ),
    "a proxy: 500 for a 400": Refuser(refuses=full(4096), status=500, words=at_least(4096), prompt=LONG, requests=3),
    "Groq: tokens per minute": Refuser(
        refuses=always, status=413, outcome="world", requests=1, words=openai("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again.", code="rate_limit_exceeded")
    ),
}  # fmt: skip

STANDING: dict[str, Refuser] = {
    "a refusal of the messages": Refuser(
        refuses=always, words=openai("messages: text content blocks must be non-empty"), outcome="world", requests=1
    ),
    "a refusal of what was not sent": Refuser(refuses=always, words=openai("logprobs is not supported"), outcome="world", requests=1),
    "a cap below the budget of a thought": Refuser(
        refuses=always, model=CLAUDE, words=openai("`max_tokens` must be greater than `thinking.budget_tokens`"), outcome="world", requests=1
    ),
    "a key that is refused, left out or not": Refuser(
        refuses=always, words=openai("Unrecognized request argument supplied: seed"), outcome="world"
    ),
    "a refusal that repeats the request": Refuser(
        refuses=always, status=422, words=lambda body: {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "input": body}]}, outcome="world", requests=1
    ),
    "every key in turn": Refuser(
        refuses=always, outcome="world", requests=13, words=lambda body: openai(f"Unknown parameter: '{list(body)[-1]}'.")
    ),
}  # fmt: skip

REFUSERS = {**KEYS, **VALUES, **SCHEMAS, **SYSTEM, **WINDOWS, **STANDING}
