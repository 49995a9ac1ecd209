"""What is tokenise is what the trace says, whatever the model's chat template does to thoughts."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.synth import models

from scale_reasoning.errors import ConfigError
from scale_reasoning.synth.rows import TrainingRow, read
from scale_reasoning.synth.tokens import end_of_turn, tokenise
from scale_reasoning.types import Message

pytestmark = [pytest.mark.sft, pytest.mark.skipif(find_spec("transformers") is None, reason="needs the sft extra")]

THOUGHT = "<think>\n1+1=2 \n\n and é 🎉 \\frac{1}{2}\n</think>\n\n\\boxed{2}"


def row(completion: str = THOUGHT, line: int = 1) -> TrainingRow:
    return TrainingRow(line=line, prompt=(Message("user", "1+1?"),), completion=completion)


def decoded(tokenizer: Any, ids: Any) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("template", models.TEMPLATES)
def test_shown_and_learned_read_as_one_conversation_with_the_thought_once(template: str):
    tokenizer = models.tokenizer(models.TEMPLATES[template])
    (example,) = tokenise([row()], tokenizer, cutoff=512).kept
    whole = decoded(tokenizer, example.input_ids)
    assert whole == f"<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n{THOUGHT}<|im_end|>"
    learned = THOUGHT.removeprefix("<think>\n") if template == "opens" else THOUGHT
    assert decoded(tokenizer, example.learned) == f"{learned}<|im_end|>"


def test_the_prompt_is_what_a_server_renders_before_it_generates():
    tokenizer = models.tokenizer(models.OPENS)
    turns = [{"role": "user", "content": "1+1?"}]
    rendered = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert list(tokenise([row()], tokenizer, cutoff=512).kept[0].prompt) == rendered


def test_only_the_completion_has_labels():
    (example,) = tokenise([row()], models.tokenizer(), cutoff=512).kept
    shown = len(example.prompt)
    assert example.labels[:shown] == [-100] * shown
    assert example.labels[shown:] == example.input_ids[shown:]
    assert -100 not in example.labels[shown:]


def test_the_end_of_a_turn_is_the_templates_not_the_end_of_text():
    assert end_of_turn(models.tokenizer()) == "<|im_end|>"
    assert end_of_turn(models.tokenizer("{% for m in messages %}{{ m.content }}{% endfor %}")) == "<|end|>"


def test_a_model_without_a_template_is_refused():
    tokenizer = models.tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ConfigError, match="no chat template"):
        tokenise([row()], tokenizer, cutoff=512)


def test_a_thought_that_is_opened_otherwise_is_refused_with_its_line():
    tokenizer = models.tokenizer(models.OPENS)
    with pytest.raises(ConfigError, match=r"line 7: .*opens the thought with '<think>\\n'.*begins with 'no thought'"):
        tokenise([row("no thought", line=7)], tokenizer, cutoff=512)


def test_a_thought_after_one_that_the_template_has_closed_is_refused_with_its_line():
    closes = models.PLAIN.replace("assistant\n{% endif %}", "assistant\n<think>\n\n</think>\n\n{% endif %}")
    tokenizer = models.tokenizer(closes)
    with pytest.raises(ConfigError, match=r"line 7: .*ends with a closed thought .*begins with another"):
        tokenise([row(line=7)], tokenizer, cutoff=512)
    (example,) = tokenise([row("no thought")], tokenizer, cutoff=512).kept
    assert decoded(tokenizer, example.input_ids).endswith("<think>\n\n</think>\n\nno thought<|im_end|>")


KEEPS = models.PLAIN.replace(
    "{{ m.content }}",
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}",
)


@pytest.mark.parametrize("template", [*models.TEMPLATES.values(), KEEPS])
def test_a_thought_beside_the_content_is_learned_once_whatever_the_template_does(template: str, tmp_path: Path):
    turn = {"role": "assistant", "content": "\\boxed{2}", "reasoning_content": "1+1=2"}
    file = tmp_path / "train.jsonl"
    file.write_text(json.dumps({"messages": [{"role": "user", "content": "1+1?"}, turn]}))
    tokenizer = models.tokenizer(template)
    (example,) = tokenise(read(file).rows, tokenizer, cutoff=512).kept
    whole = decoded(tokenizer, example.input_ids)
    assert whole.endswith("<|im_start|>assistant\n<think>\n1+1=2\n</think>\n\n\\boxed{2}<|im_end|>")
    assert whole.count("1+1=2") == 1
    assert decoded(tokenizer, example.learned).endswith("1+1=2\n</think>\n\n\\boxed{2}<|im_end|>")


def test_a_special_token_in_a_trace_is_refused_with_its_line():
    with pytest.raises(ConfigError, match=r"line 3: its completion has '<\|im_end\|>'"):
        tokenise([row("<think>\n<|im_end|>\n</think>", line=3)], models.tokenizer(), cutoff=512)


def test_a_tokenizer_that_does_not_give_the_text_back_is_refused_with_the_place():
    from tokenizers import normalizers

    tokenizer = models.tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(ConfigError, match=r"line 2: .*'bc<\|im_end\|>' instead of 'BC<\|im_end\|>' at character 1"):
        tokenise([row("aBC", line=2)], tokenizer, cutoff=512)


def test_a_template_that_refuses_a_prompt_is_quoted_with_the_line():
    tokenizer = models.tokenizer("{{ raise_exception('no') if add_generation_prompt }}x<|im_end|>")
    with pytest.raises(ConfigError, match="line 4: the model's chat template refuses its prompt: no"):
        tokenise([row(line=4)], tokenizer, cutoff=512)


def test_rows_over_the_cut_off_are_dropped_whole_and_listed():
    rows = [row("short"), row("x" * 300, line=2), row("short", line=3)]
    tokenizer = models.tokenizer()
    dropped = tokenise(rows, tokenizer, cutoff=100)
    assert ([each.line for each in dropped.kept], dropped.dropped) == ([1, 3], (2,))
    assert all(decoded(tokenizer, each.learned) == "short<|im_end|>" for each in dropped.kept)


def test_no_row_left_is_refused():
    with pytest.raises(ConfigError, match="all 1 rows are longer"):
        tokenise([row()], models.tokenizer(), cutoff=10)
