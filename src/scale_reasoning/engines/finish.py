"""What ended a reply, in the words that servers use for it: its own end, a limit, or a server that gave up.

The one table of finish reasons. Of a reason that is not in it the words count; one without such a word stays as the
server wrote it.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["stop", "length", "gave up", "filtered"]

ENDINGS: dict[str, Ending] = {
    "stop": "stop",
    "stopped": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_of_text": "stop",
    "endoftext": "stop",
    "stop_sequence": "stop",
    "stop_token": "stop",
    "stop_word": "stop",
    "complete": "stop",
    "completed": "stop",
    "finished": "stop",
    "length": "length",
    "model_length": "length",
    "max_length": "length",
    "max_tokens": "length",
    "max_new_tokens": "length",
    "max_output_tokens": "length",
    "max_completion_tokens": "length",
    "max_tokens_reached": "length",
    "token_limit": "length",
    "limit": "length",
    "context_length": "length",
    "context_length_exceeded": "length",
    "model_context_window_exceeded": "length",
    "error_limit": "length",
    "abort": "gave up",
    "aborted": "gave up",
    "cancel": "gave up",
    "cancelled": "gave up",
    "canceled": "gave up",
    "error": "gave up",
    "failed": "gave up",
    "failure": "gave up",
    "internal_error": "gave up",
    "internal_server_error": "gave up",
    "server_error": "gave up",
    "network_error": "gave up",
    "insufficient_system_resource": "gave up",
    "overloaded": "gave up",
    "timeout": "gave up",
    "time_limit": "gave up",
    "preempted": "gave up",
    "load": "gave up",
    "unload": "gave up",
    "content_filter": "filtered",
    "content_filtered": "filtered",
    "content_filter_error": "filtered",
    "guardrail_intervened": "filtered",
    "error_toxic": "filtered",
    "sensitive": "filtered",
    "safety": "filtered",
    "image_safety": "filtered",
    "language": "filtered",
    "recitation": "filtered",
    "blocklist": "filtered",
    "prohibited_content": "filtered",
    "spii": "filtered",
    "moderation": "filtered",
    "refusal": "filtered",
}
"""What each reason means, lower-case with underscores.

"stop" is the model's own end and "length" a limit on tokens. Where the server "gave up", or its provider "filtered"
the reply, what came is no answer of the model's.
"""


_WORDS: tuple[tuple[re.Pattern[str], Ending], ...] = (
    (re.compile(r"filter|safety|block|prohibit|moderat|guardrail|refus"), "filtered"),
    (
        re.compile(r"error|fail|abort|cancel|overload|malformed|time_?d?_?out|unavailable|disconnect|crash|interrupt"),
        "gave up",
    ),
)
"""Words of a reason that is not in the table: providers make up new ones."""


def ending(reason: str) -> Ending | None:
    """What a finish reason means, in whichever spelling (`MAX_TOKENS`, `FinishReason.STOP`); None when unknown."""
    name = reason.strip().lower().replace("-", "_").replace(" ", "_")
    name = name.partition(":")[0].rpartition(".")[2].removeprefix("finish_reason_")
    return ENDINGS.get(name) or next((meaning for words, meaning in _WORDS if words.search(name)), None)


def given_up(reason: str | None, where: str) -> str | None:
    """The message of the failure that a finish reason stands for; None when the model itself ended the reply."""
    match ending(reason or ""):
        case "gave up":
            return f"{where} gave up in mid-reply (finish reason {reason})"
        case "filtered":
            return f"{where}: the provider's content filter stopped the reply (finish reason {reason})"
        case _:
            return None


def named(reason: str | None) -> str | None:
    """The reason as a completion has it: "stop" or "length" for all their spellings, others as they came."""
    known = ending(reason or "")
    return known if known in ("stop", "length") else reason or None
