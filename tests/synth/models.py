"""A tiny Llama of random weights with a tokenizer of bytes, and chat templates that treat thoughts each in its way."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OPENS = PLAIN.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}")
STRIPS = PLAIN.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1].lstrip() }}")
TEMPLATES = {"plain": PLAIN, "opens": OPENS, "strips": STRIPS}
SPECIAL = ["<|end|>", "<|im_start|>", "<|im_end|>"]


def tokenizer(template: str = PLAIN) -> Any:
    """Bytes are tokens; the end of text is not the end of a turn."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=letters, eos_token=SPECIAL[0], pad_token=SPECIAL[0])
    made.add_special_tokens({"additional_special_tokens": SPECIAL[1:]})
    made.add_tokens(["<think>", "</think>"])
    made.chat_template = template
    return made


def save(folder: Path, template: str = PLAIN) -> Path:
    """A folder with model and tokenizer, as transformers loads them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(template)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=words.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def trace(number: int) -> tuple[str, str]:
    """A problem and its trace."""
    draws = random.Random(number)
    a, b = draws.randint(1, 9), draws.randint(1, 9)
    return f"What is {a}+{b}?", f"<think>\n{a}+{b}={a + b}\n</think>\n\n\\boxed{{{a + b}}}"


def write_rows(file: Path, count: int) -> Path:
    """A train.jsonl of sums."""
    lines = list[str]()
    for number in range(count):
        problem, completion = trace(number)
        turns = [{"role": "user", "content": problem}, {"role": "assistant", "content": completion}]
        lines.append(json.dumps({"messages": turns, "problem_id": f"p{number}"}))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
