"""Reads training rows as `scale synth` writes them: a conversation whose last turn, the assistant's, is learned.

A thought in another key of the assistant's message is added to its content. A bad row is an error with its line: rows
that are dropped silently would change the training. Other keys of a row than `messages`, or `prompt` and `completion`,
and `problem`, are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

from scale_reasoning.datasets.controls import find_control_character
from scale_reasoning.errors import ConfigError
from scale_reasoning.files import read_bounded
from scale_reasoning.types import JSON, THINK, Message

THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking")
"""Keys that other programs use for a thought. If a message has several, they must be equal."""
OPENS, CLOSES = THINK
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One conversation: the model reads the `prompt` and learns the `completion`. `line` counts from 1. `problem` is
    the text of the problem where the row names it.
    """

    line: int
    prompt: tuple[Message, ...]
    completion: str
    problem: str | None = None


MOST_BYTES = 4 << 30
"""The largest file of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """A file of rows, and the sha256 (hex) of its bytes."""

    file: Path
    sha256: str
    rows: tuple[TrainingRow, ...]


def read(file: Path) -> TrainingRows:
    """Reads a JSONL file. Raises `ConfigError` for the first bad row, with its line, and for a file without rows."""
    try:
        content = read_bounded(file, MOST_BYTES)
    except OSError as error:
        makes = "; scale synth makes rows, and --rows FILE names yours" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"rows {file}: {error.strerror}{makes}") from error
    rows = tuple(_parse_row(f"{file}, line {number}", number, line) for number, line in _split_lines(content))
    if not rows:
        raise ConfigError(f"rows {file}: the file has no rows")
    return TrainingRows(file=file, sha256=sha256(content).hexdigest(), rows=rows)


def _split_lines(content: bytes) -> list[tuple[int, bytes]]:
    return [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]


def _parse_row(where: str, number: int, line: bytes) -> TrainingRow:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{where}: a row must be an object, not {type(fields).__name__}")
    fields = cast("dict[str, JSON]", fields)
    messages = _parse_messages(where, fields)
    if len(messages) < 2 or messages[-1].role != "assistant":
        raise ConfigError(f"{where}: the last message must be the assistant's, after at least one other")
    if messages[-2].role != "user":
        raise ConfigError(f"{where}: the assistant must answer the user, not the {messages[-2].role}")
    beside = [key for key in THOUGHT_KEYS if fields.get(key)]
    if beside and CLOSES not in messages[-1].content:
        raise ConfigError(f"{where}: {beside[0]!r} is a key of the row; put the thought into the assistant's message")
    problem = fields.get("problem")
    named = problem if isinstance(problem, str) else None
    return TrainingRow(line=number, prompt=messages[:-1], completion=messages[-1].content, problem=named)


def _parse_messages(where: str, fields: Mapping[str, JSON]) -> tuple[Message, ...]:
    if "prompt" in fields and "completion" in fields:
        keys = ("prompt", "completion")
    elif "messages" in fields:
        keys = ("messages",)
    else:
        found = ", ".join(map(repr, fields)) or "none"
        raise ConfigError(f"{where}: needs 'messages', or 'prompt' and 'completion'; its keys: {found}")
    return tuple(message for key in keys for message in _parse_turns(f"{where}: {key}", fields[key]))


def _parse_turns(where: str, value: JSON) -> list[Message]:
    if not isinstance(value, list):
        raise ConfigError(f"{where} must be a list of messages, not {type(value).__name__}")
    return [_parse_turn(f"{where}[{place}]", turn) for place, turn in enumerate(cast("list[JSON]", value))]


def _parse_turn(where: str, turn: JSON) -> Message:
    if not isinstance(turn, dict):
        raise ConfigError(f"{where} must be an object with role and content")
    said = cast("dict[str, JSON]", turn)
    role, content = said.get("role"), said.get("content")
    if role not in ROLES:
        raise ConfigError(f"{where}: role is {role!r:.40}; it must be {', '.join(ROLES)}")
    if not isinstance(content, str) or not content.strip():
        raise ConfigError(f"{where}: content must be text, not {content!r:.40}")
    _refuse_others(where, said)
    thoughts = {key: _check_text(where, key, said[key]) for key in THOUGHT_KEYS if said.get(key)}
    return Message(role, _add_thought(where, _check_text(where, "content", content), thoughts))


def _refuse_others(where: str, said: Mapping[str, JSON]) -> None:
    """Refuses keys with a value that would not be learned."""
    known = ("role", "content", *(THOUGHT_KEYS if said["role"] == "assistant" else ()))
    other = next((key for key, value in said.items() if key not in known and value not in (None, "", [], {})), None)
    if other is not None:
        raise ConfigError(
            f"{where}: key {other!r} would not be learned; a message has role and content, an assistant's also "
            f"{' or '.join(THOUGHT_KEYS)}: remove the key, or move its value into content"
        )


def _check_text(where: str, key: str, value: JSON) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} must be text, not {value!r:.40}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{where}: half a character (a lone surrogate) at {error.start}") from None
    if damage := find_control_character(value):
        raise ConfigError(f"{where}: {key} has {damage}")
    return value


def _add_thought(where: str, content: str, thoughts: Mapping[str, str]) -> str:
    """The content after its thought, as in the package's own traces. A thought in both is written once."""
    distinct = {thought.strip(): key for key, thought in thoughts.items() if thought.strip()}
    if not distinct:
        return content
    (thought, key), *others = distinct.items()
    if others:
        raise ConfigError(f"{where}: {key} and {others[0][1]} have different thoughts; keep one of them")
    after = content
    if CLOSES in content or content.lstrip().startswith(OPENS):
        before, _, after = content.partition(CLOSES)
        if before.strip().removeprefix(OPENS).strip() != thought:
            raise ConfigError(f"{where}: {key} and content have different thoughts; keep one of them")
    return f"{OPENS}\n{thought}\n{CLOSES}\n\n{after.strip()}"
