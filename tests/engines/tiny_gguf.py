"""A model of 300 tokens whose next token depends on the last one alone, so that its logits can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

TOKENS, SIZE, EPSILON = 300, 64, 1e-5
NAMES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *(f"▁w{n}" for n in range(TOKENS - 259))]
"""Three special tokens, all bytes, and words."""

Matrix = NDArray[np.float32]


def write_model(file: Path) -> Matrix:
    """Writes the file; returns the logits after each token, [tokens, tokens]."""
    chance = np.random.default_rng(0)
    inner = chance.normal(size=(TOKENS, SIZE)).astype(np.float32)
    outer = (0.4 * chance.normal(size=(TOKENS, SIZE))).astype(np.float32)
    outer[:259] *= 0.3  # bytes are rare, and special tokens are never drawn after filters
    outer[:3] = 0
    _write(file, inner, outer)
    normal = inner / np.sqrt((inner**2).mean(1, keepdims=True) + EPSILON)
    return normal @ outer.T


def log_softmax(logits: Matrix) -> NDArray[np.float64]:
    """By the definition, in 64 bits."""
    wide = logits.astype(np.float64)
    return wide - np.log(np.exp(wide - wide.max()).sum()) - wide.max()


def _write(file: Path, inner: Matrix, outer: Matrix) -> None:
    writer = gguf.GGUFWriter(str(file), "llama")
    for add, value in (
        (writer.add_context_length, 512), (writer.add_embedding_length, SIZE), (writer.add_block_count, 1),
        (writer.add_feed_forward_length, SIZE), (writer.add_head_count, 2), (writer.add_head_count_kv, 2),
        (writer.add_rope_dimension_count, SIZE // 2), (writer.add_vocab_size, TOKENS),
        (writer.add_bos_token_id, 1), (writer.add_eos_token_id, 2), (writer.add_unk_token_id, 0),
    ):  # fmt: skip
        add(value)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(NAMES)
    writer.add_token_scores([-float(n) for n in range(TOKENS)])
    kinds = gguf.TokenType
    kind = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256
    writer.add_token_types([*kind, *[kinds.NORMAL] * (TOKENS - len(kind))])
    writer.add_add_space_prefix(False)
    writer.add_chat_template("{% for turn in messages %}{{ turn.content }}{% endfor %}")
    ones = np.ones(SIZE, np.float32)
    tensors = {"token_embd.weight": inner, "output_norm.weight": ones, "output.weight": outer}
    tensors |= {f"blk.0.{name}_norm.weight": ones for name in ("attn", "ffn")}
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    tensors |= {f"blk.0.{name}.weight": np.zeros((SIZE, SIZE), np.float32) for name in names}
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
