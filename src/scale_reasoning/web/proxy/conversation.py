"""From the messages of a request to the text of one problem: the last user message, with earlier turns as context.

Decides which part of a conversation a strategy sees, and refuses what is not text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from scale_reasoning.engines.values import value_at
from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.refusals import UNSUPPORTED, invalid

LONGEST_PROBLEM = 200_000
"""Characters, context included."""

_SPEAKERS = {"user": "User", "assistant": "Assistant"}
_INSTRUCTIONS = ("system", "developer")
_TOOLS = ("tool", "function")
_IGNORED = {
    "annotations", "cache_control", "id", "metadata", "name", "provider_specific_fields", "reasoning",
    "reasoning_content", "reasoning_details", "refusal", "thinking_blocks",
}  # fmt: skip
"""Keys of a message that a model does not see."""
_CALLS = {"tool_calls", "function_call", "audio"}
"""Keys of an assistant's turn that a problem cannot contain. Its other keys are a server's notes on an earlier reply.
"""
_THOUGHTS = {"thinking", "redacted_thinking", "reasoning"}
"""Parts of an assistant's content that are left out, because they are its working and not its answer."""


def problem_text(messages: Sequence[Mapping[str, JSON]]) -> str:
    """The text of the problem. Raises Refusal for what is not text, and if the last message is not the user's.

    A single user message is the problem as it is. Otherwise the instructions (system and developer messages) come
    first, then the earlier turns under a heading, then the last user message.
    """
    turns = [_turn(message, f"messages[{index}]") for index, message in enumerate(messages)]
    role, problem = turns[-1]
    if role != "user":
        told = f"the last one is the problem, so it must be the user's, not of role {role!r}"
        raise invalid("messages", told, UNSUPPORTED)
    if not problem.strip():
        raise invalid("messages", "the last one, which is the problem, is empty")
    text = _with_context([turn for turn in turns[:-1] if turn[1].strip()], problem.strip())
    if len(text) > LONGEST_PROBLEM:
        raise invalid("messages", f"over {LONGEST_PROBLEM:,} characters together", "string_above_max_length")
    return text


def _with_context(earlier: Sequence[tuple[str, str]], problem: str) -> str:
    instructions = [text.strip() for role, text in earlier if role in _INSTRUCTIONS]
    said = [f"{_SPEAKERS[role]}: {text.strip()}" for role, text in earlier if role in _SPEAKERS]
    if said:
        said = ["Earlier in this conversation:", *said, "Now:"]
    return "\n\n".join((*instructions, *said, problem))


def _turn(message: Mapping[str, JSON], param: str) -> tuple[str, str]:
    role = message.get("role")
    if not isinstance(role, str) or (role not in _SPEAKERS and role not in _INSTRUCTIONS):
        code = UNSUPPORTED if role in _TOOLS else "invalid_value"
        raise invalid(f"{param}.role", f"{_quote(role)} is not supported here: system, user or assistant are", code)
    for key, value in message.items():
        refused = key in _CALLS if role == "assistant" else key not in _IGNORED | {"role", "content"}
        if refused and value not in (None, [], {}, ""):
            raise invalid(f"{param}.{key}", "not supported by strategy models, which read text only", UNSUPPORTED)
    return role, _text(message.get("content"), f"{param}.content", of_assistant=role == "assistant")


def _text(content: JSON, param: str, *, of_assistant: bool) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise invalid(param, "must be a text or a list of text parts")
    parts = enumerate(cast("list[JSON]", content))
    return "\n".join(
        _part(part, f"{param}[{index}]", of_assistant=of_assistant)
        for index, part in parts
        if not (of_assistant and value_at(part, "type") in _THOUGHTS)
    )


def _part(part: JSON, param: str, *, of_assistant: bool) -> str:
    kind = value_at(part, "type")
    key = "refusal" if of_assistant and kind == "refusal" else "text"
    text = value_at(part, key)
    if kind not in ("text", "input_text", "output_text", "refusal") or not isinstance(text, str):
        raise invalid(param, f"a part of type {_quote(kind)} is not supported by strategy models, which read text only",
                      UNSUPPORTED)  # fmt: skip
    return text


def _quote(value: JSON) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
