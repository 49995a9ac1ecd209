"""What a finish reason means: the model's own end, a limit, or a server that gave up.

The one table of finish reasons. A reason that is not in it is classified by its words, or stays as the server wrote it.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["stop", "length", "gave up", "filtered"]

_REASONS: dict[Ending, str] = {
    "stop": """
        stop stopped end_turn eos eos_token end_of_text endoftext stop_sequence stop_token stop_word
        complete completed finished
        """,
    "length": """
        length model_length max_length max_tokens max_new_tokens max_output_tokens max_completion_tokens
        max_tokens_reached token_limit limit context_length context_length_exceeded model_context_window_exceeded
        error_limit
        """,
    "gave up": """
        abort aborted cancel cancelled canceled error failed failure internal_error internal_server_error server_error
        network_error insufficient_system_resource overloaded timeout time_limit preempted load unload pause_turn
        """,
    "filtered": """
        content_filter content_filtered content_filter_error guardrail_intervened error_toxic sensitive safety
        image_safety language recitation blocklist prohibited_content spii moderation refusal
        """,
}
ENDINGS: dict[str, Ending] = {reason: ending for ending, reasons in _REASONS.items() for reason in reasons.split()}
"""What each reason means, lower-case with underscores.

"stop" is the model's own end, "length" a limit of tokens. Where the server "gave up", or its provider "filtered" the
reply, the text is not the model's answer.
"""


_WORDS: tuple[tuple[re.Pattern[str], Ending], ...] = (
    (re.compile(r"filter|safety|block|prohibit|moderat|guardrail|refus"), "filtered"),
    (
        re.compile(r"error|fail|abort|cancel|overload|malformed|time_?d?_?out|unavailable|disconnect|crash|interrupt"),
        "gave up",
    ),
)
"""Words in reasons that are not in the table: providers invent new ones."""


def ending(reason: str) -> Ending | None:
    """What a finish reason means, in whichever spelling (`MAX_TOKENS`, `FinishReason.STOP`); None when unknown."""
    name = reason.strip().lower().replace("-", "_").replace(" ", "_")
    name = name.partition(":")[0].rpartition(".")[2].removeprefix("finish_reason_")
    return ENDINGS.get(name) or next((meaning for words, meaning in _WORDS if words.search(name)), None)


def failure_message(reason: str | None, where: str) -> str | None:
    """The message of the failure that a finish reason means; None when it means none."""
    match ending(reason or ""):
        case "gave up":
            return f"{where} gave up in mid-reply (finish reason {reason})"
        case "filtered":
            return f"{where}: the provider's content filter stopped the reply (finish reason {reason})"
        case _:
            return None


def normalize_reason(reason: str | None) -> str | None:
    """The reason of a completion: "stop" or "length" for all their spellings, others unchanged."""
    known = ending(reason or "")
    return known if known in ("stop", "length") else reason or None
