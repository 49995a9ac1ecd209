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
        ('{"messages": [', "not JSON"),
        ("[1]", "a row must be an object, not list"),
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
        (
            {"messages": [USER, {**ASSISTANT, "tool_calls": [{"id": "1"}]}]},
            r"messages\[1\]: key 'tool_calls' would not be",
        ),
        (
            {"messages": [USER, {**ASSISTANT, "thought": "1 and 1"}]},
            "key 'thought' would not be learned; .*reasoning_content",
        ),
        ({"messages": [USER, {**ASSISTANT, "weight": 0}]}, "key 'weight' would not be learned"),
        ({"messages": [{**USER, "name": "Ada"}, ASSISTANT]}, r"messages\[0\]: key 'name'"),
        ({"messages": [{**USER, "reasoning_content": "hm"}, ASSISTANT]}, r"messages\[0\]: key 'reasoning_content'"),
        (
            {"messages": [USER, {**ASSISTANT, "reasoning_content": ["a"]}]},
            r"reasoning_content must be text, not \['a'\]",
        ),
        (
            {"messages": [USER, {**ASSISTANT, "reasoning": "a", "thinking": "b"}]},
            "reasoning and thinking have different",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": "<think>a</think>2", "reasoning_content": "b"}]},
            "reasoning_content and content have different thoughts",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": "<think>a", "reasoning_content": "a long one"}]},
            "reasoning_content and content have different thoughts",
        ),
        (
            {"messages": [USER, ASSISTANT], "reasoning_content": "1 and 1"},
            "'reasoning_content' is a key of the row; put",
        ),
        (
            '{"messages": [{"role": "user", "content": "\\frac12"}]}',
            r"messages\[0\]: content has a control .*\\\\frac",
        ),
        (
            {"messages": [USER, {**ASSISTANT, "reasoning_content": "a\x1bb"}]},
            r"messages\[1\]: reasoning_content has a control character \(U\+001B\)",
        ),
    ],
)
def test_a_bad_row_is_named_with_its_line(row: Any, reason: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=rf"train\.jsonl, line 2: .*{reason}"):
        read(written(tmp_path, {"messages": [USER, ASSISTANT]}, row))


LEARNED = "<think>\n1 and 1\nis 2\n</think>\n\n2"


@pytest.mark.parametrize(
    "answer",
    [
        {"content": "2", "reasoning_content": "1 and 1\nis 2"},
        {"content": "2", "reasoning": "1 and 1\nis 2"},
        {"content": "2", "thinking": "\n1 and 1\nis 2\n"},
        {"content": "\n\n2\n", "reasoning_content": "1 and 1\nis 2\n", "reasoning": "1 and 1\nis 2", "thinking": None},
        {"content": LEARNED},
        {"content": LEARNED, "reasoning_content": None},
        {"content": LEARNED, "reasoning_content": ""},
        {"content": LEARNED, "reasoning_content": "1 and 1\nis 2"},
        {"content": "1 and 1\nis 2\n</think>\n\n2", "reasoning_content": "1 and 1\nis 2"},
        {"content": LEARNED, "refusal": None, "tool_calls": [], "annotations": {}, "name": ""},
    ],
)
def test_a_thought_beside_the_content_is_learned_once_as_a_trace_has_it(tmp_path: Path, answer: dict[str, Any]):
    assistant = {"role": "assistant", **answer}
    file = written(tmp_path, {"messages": [USER, assistant]}, {"prompt": [USER], "completion": [assistant]})
    assert [row.completion for row in read(file).rows] == [LEARNED] * 2


def test_an_earlier_thought_is_shown_as_a_trace_has_it_and_left_to_the_template(tmp_path: Path):
    before = {"role": "assistant", "content": "2", "reasoning_content": "1 and 1\nis 2"}
    (row,) = read(written(tmp_path, {"messages": [USER, before, USER, ASSISTANT]})).rows
    assert [message.content for message in row.prompt] == ["1+1?", LEARNED, "1+1?"]
    assert row.completion == "2"


def test_a_row_may_have_any_other_keys_where_its_thought_is_in_the_message(tmp_path: Path):
    rows = [
        {"messages": [USER, ASSISTANT], "steps": [], "thinking": None, "tags": ["a"]},
        {"messages": [USER, {"role": "assistant", "content": LEARNED}], "reasoning": "1 and 1"},
    ]
    assert len(read(written(tmp_path, *rows)).rows) == 2


def test_a_file_without_rows_or_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="has no rows"):
        read(written(tmp_path, ""))
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "none.jsonl")
