"""Which parameters of OpenAI's protocol a strategy does not support, and which values of them ask for nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from scale_reasoning.types import JSON

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


def list_unsupported_keys(said: Mapping[str, JSON], supported: Collection[str]) -> list[str]:
    """The keys of a body that would change an answer and that no strategy supports; `supported` are those it does."""
    return [
        key
        for key, value in said.items()
        if key not in supported and key not in _ABOUT_THE_CALLER and value not in _NEUTRAL.get(key, ())
    ]


def explain_unsupported(key: str) -> str:
    """Why a parameter is not supported."""
    return _REASONS.get(key, "it would have no effect")
