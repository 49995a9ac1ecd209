from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.rows import read
from scale_reasoning.types import Message

USER, ASSISTANT = {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}


def written(tmp_path: Path, *lines: Any) -> Path:
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return file


def test_messages_and_prompt_with_completion_say_the_same(tmp_path: Path):
    system = {"role": "system", "content": "Think."}
    file = written(
        tmp_path,
        {"messages": [system, USER, ASSISTANT], "problem_id": "p1"},
        {"prompt": [system, USER], "completion": [ASSISTANT], "steps": []},
    )
    first, second = read(file).rows
    assert (first.prompt, first.completion) == (second.prompt, second.completion)
    assert first.prompt == (Message("system", "Think."), Message("user", "1+1?"))
    assert (first.line, second.line) == (1, 2)


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path):
    file = written(tmp_path, {"messages": [USER, ASSISTANT]}, "", {"messages": [USER, ASSISTANT], "note": "a\u2028b"})
    assert [row.line for row in read(file).rows] == [1, 3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"messages": [', "no JSON"),
        ("[1]", "a row is an object, not list"),
        ({"text": "x"}, "needs 'messages', or 'prompt' and 'completion'; its keys: 'text'"),
        ({"messages": [USER]}, "the last message must be the assistant's"),
        ({"messages": [ASSISTANT]}, "the last message must be the assistant's"),
        ({"messages": [USER, ASSISTANT, USER]}, "the last message must be the assistant's"),
        ({"messages": [{"role": "system", "content": "x"}, ASSISTANT]}, "must answer the user, not the system"),
        ({"messages": [{"role": "tool", "content": "x"}, ASSISTANT]}, r"messages\[0\]: role is 'tool'"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, r"messages\[1\]: content must be text"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, r"messages\[1\]: content must be text"),
        ({"messages": "hello"}, "messages must be a list of messages, not str"),
        ({"prompt": [USER], "completion": "2"}, "completion must be a list of messages, not str"),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', "half a character"),
    ],
)
def test_a_bad_row_is_named_with_its_line(row: Any, reason: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=rf"train\.jsonl, line 2: .*{reason}"):
        read(written(tmp_path, {"messages": [USER, ASSISTANT]}, row))


def test_a_file_without_rows_or_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="has no rows"):
        read(written(tmp_path, ""))
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "none.jsonl")
