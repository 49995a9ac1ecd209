# ruff: noqa: E501  # a wording stays on one line
"""Window refusals in the wordings of many servers, with their numbers; and refusals that only look like them."""

from __future__ import annotations

import pytest

from scale_reasoning.engines.overflow import read_overflow

OVERFLOWS: dict[str, tuple[int, str, tuple[int | None, int | None, int | None]]] = {
    "vLLM: a lower bound": (
        400,
        "This model's maximum context length is 16384 tokens. However, you requested 4096 output tokens and your prompt contains at least 12289 input tokens, for a total of at least 16385 tokens. (parameter=input_tokens, value=12289)",
        (None, 16384, 12289),
    ),
    "vLLM: characters": (
        400,
        "This model's maximum context length is 32768 tokens. However, you requested 4096 output tokens and your prompt contains 200000 characters (more than 130688 characters, which is the upper bound for 28672 input tokens).",
        (None, 32768, None),
    ),
    "vLLM: the limit and the window": (
        400,
        "max_tokens=8888 cannot be greater than max_model_len=max_total_tokens=3072. Please request fewer output tokens.",
        (None, 3072, None),
    ),
    "vLLM: the limit and the window, short": (
        400,
        "max_tokens=400000 cannot be greater than max_model_len=204800.",
        (None, 204800, None),
    ),
    "vLLM: tokens passed": (
        400,
        "You passed 99073 input tokens and requested 32000 output tokens. However, the model's context length is only 131072 tokens, resulting in a maximum input length of 99072 tokens. (parameter=input_tokens, value=99073)",
        (99073, 131072, None),
    ),
    "vLLM: messages and completion": (
        400,
        "This model's maximum context length is 4096 tokens. However, you requested 4348 tokens (4332 in the messages, 16 in the completion).",
        (4332, 4096, None),
    ),
    "vLLM: the limit is too large": (
        400,
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 1000 input tokens (5000 > 4096 - 1000). (parameter=max_tokens, value=5000)",
        (1000, 4096, None),
    ),
    "vLLM 0.15: the window less the reply": (
        400,
        "This model's maximum context length is 3 tokens. However, your request has 8 input tokens. Please reduce the length of the input messages. (parameter=input_tokens, value=8)",
        (8, 3, None),
    ),
    "vLLM: the decoder prompt": (
        400,
        "The decoder prompt (length 5951) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        (5951, 4096, None),
    ),
    "vLLM: too long to fit": (
        400,
        "The prompt (total length 25938) is too long to fit into the model (context length 4096). Make sure that `max_model_len` is no smaller than the number of text tokens",
        (25938, 4096, None),
    ),
    "vLLM: less than one new token": (400, "max_tokens must be at least 1, got -4.", (None, None, None)),
    "llama.cpp": (
        400,
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        (5000, 4096, None),
    ),
    "llama.cpp: fields": (
        400,
        '{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}',
        (5000, 4096, None),
    ),
    "LM Studio": (
        400,
        "Trying to keep the first 6000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
        (None, 4096, None),
    ),
    "LM Studio: n_keep": (
        400,
        "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5000>= n_ctx: 4096). Try to load the model with a larger context length",
        (5000, 4096, None),
    ),
    "SGLang": (
        400,
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        (5000, 4096, None),
    ),
    "SGLang: the allowed length": (
        400,
        "Input length (5000 tokens) exceeds the maximum allowed length (4091 tokens). Use a shorter input or enable --allow-auto-truncate.",
        (5000, 4091, None),
    ),
    "SGLang: a total": (
        400,
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5348 tokens: 1000 tokens from the input messages and 4348 tokens for the completion.",
        (1000, 4096, None),
    ),
    "TGI": (
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 512 `max_new_tokens`",
        (4000, 4096, None),
    ),
    "TGI: inputs": (
        422,
        "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
        (None, 4096, None),
    ),
    "OpenAI": (
        400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130211 tokens.",
        (130211, 128000, None),
    ),
    "NIM": (
        400,
        "The sum of prompt length (300.0), query length (0) and max_tokens (32768) should not exceed max_num_tokens (8192)",
        (300, 8192, None),
    ),
    "OpenAI: no numbers": (400, "Your input exceeds the context window of this model.", (None, None, None)),
    "Anthropic": (400, "prompt is too long: 250017 tokens > 200000 maximum", (250017, 200000, None)),
    "Anthropic: a sum": (
        400,
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again",
        (188240, 200000, None),
    ),
    "Bedrock": (400, "Input is too long for requested model.", (None, None, None)),
    "Gemini": (
        400,
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048575).",
        (1100000, 1048575, None),
    ),
    "Gemini: the limit alone": (
        400,
        "The input token count exceeds the maximum number of tokens allowed 1048576.",
        (None, 1048576, None),
    ),
    "xAI": (
        400,
        "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
        (150000, 131072, None),
    ),
    "Groq": (400, "Please reduce the length of the messages or completion.", (None, None, None)),
    "Cohere": (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081", (None, 4081, None)),
    "Mistral": (
        400,
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        (40000, 32768, None),
    ),
    "Fireworks": (400, "The prompt is too long: 140000, model maximum context length: 131071", (140000, 131071, None)),
    "OpenRouter": (
        400,
        "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens (36000 of text input, 4000 in the output).",
        (36000, 32768, None),
    ),
    "DashScope": (400, "Range of input length should be [1, 8192]", (None, 8192, None)),
    "TensorRT-LLM": (
        400,
        "Prompt length (1500) exceeds maximum input length (1024). Set log level to info",
        (1500, 1024, None),
    ),
    "TensorRT-LLM: a sum": (
        400,
        "The sum of prompt length (2000.0), query length (0) should not be larger than max_seq_len (2048)",
        (2000, 2048, None),
    ),
    "numbers with commas": (
        400,
        "This model's maximum context length is 1,048,576 tokens. However, you requested 2,000 output tokens and your prompt contains 1,047,000 input tokens",
        (1047000, 1048576, None),
    ),
    "a proxy: 500": (
        500,
        "This model's maximum context length is 16384 tokens. However, you requested 4096 output tokens and your prompt contains at least 12289 input tokens",
        (None, 16384, 12289),
    ),
    "the limit is too large for the window": (
        400,
        "max_tokens is too large for this model's context length of 8192 tokens",
        (None, 8192, None),
    ),
    "SambaNova": (
        400,
        "Requested generation length 8192 is not possible! The provided prompt is 1000 tokens long, so generating 8192 tokens requires a sequence length of 9192, but the maximum supported sequence length is just 8192!",
        (1000, 8192, None),
    ),
    "Cerebras": (
        400,
        "Please reduce the length of the messages or completion. Current length is 9192 while limit is 8192",
        (None, 8192, None),
    ),
    "Moonshot": (
        400,
        "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)",
        (None, 8192, None),
    ),
    "Zhipu": (400, "Prompt exceeds max length", (None, None, None)),
    "tabbyAPI": (400, "Prompt length 5000 is greater than max_seq_len 4096", (5000, 4096, None)),
    "Azure: a configured limit": (
        400,
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 275000 tokens. Please reduce the length of the messages.",
        (275000, 272000, None),
    ),
    "GitHub: a token count": (400, "prompt token count of 5000 exceeds the limit of 4096", (5000, 4096, None)),
    "two numbers in brackets": (400, "Input is longer than the context window (5000 > 4096)", (5000, 4096, None)),
    "a sum in words": (400, "max_tokens (5000) + prompt (1000) exceeds context size 4096", (1000, 4096, None)),
}

OTHERS: dict[str, tuple[int, str]] = {
    "OpenAI: a cap on the reply": (
        400,
        "max_tokens is too large: 4738. This model supports at most 4096 completion tokens, whereas you provided 4738.",
    ),
    "Groq: a cap on the reply": (
        400,
        "`max_tokens` must be less than or equal to `4096`, the maximum value for `max_tokens` is less than the `context_window` for this model",
    ),
    "DeepSeek: a cap on the reply": (400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
    "DashScope: a cap on the reply": (400, "Range of max_tokens should be [1, 8192]"),
    "Anthropic: a cap on the reply": (
        400,
        "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude",
    ),
    "Gemini: a cap on the reply": (
        400,
        "Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 8193 (exclusive).",
    ),
    "Groq: tokens per minute": (
        413,
        "Request too large for model `x` in organization on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again.",
    ),
    "OpenAI: a text too long": (400, "Invalid 'metadata.key': string too long. Expected at most 64 characters."),
    "Ollama: a cap on the reply": (
        400,
        "max_tokens (393216) exceeds model's maximum output tokens (131072) for model nemotron",
    ),
    "a key": (400, "Unrecognized request argument supplied: seed"),
    "out of memory": (500, "CUDA out of memory"),
    "a cap without a reason": (400, "max_tokens (5000) must be at most 4096"),
}


@pytest.mark.parametrize("server", OVERFLOWS)
def test_a_window_refusal_is_read_with_its_numbers(server: str) -> None:
    status, said, numbers = OVERFLOWS[server]
    error = read_overflow(status, said, "refused")
    assert error is not None
    assert (error.prompt_tokens, error.window, error.at_least) == numbers


@pytest.mark.parametrize("server", OTHERS)
def test_a_refusal_of_something_else_is_no_overflow(server: str) -> None:
    status, said = OTHERS[server]
    assert read_overflow(status, said, "refused") is None


def test_an_overflow_is_never_read_into_a_server_that_is_too_busy_or_does_not_know_the_key() -> None:
    said = "This model's maximum context length is 4096 tokens."
    assert [status for status in (200, 401, 404, 429, 500, 503) if read_overflow(status, said, "")] == [500]
